//! Sends files as parts of a form.

use common::file_name::for_header;
use reqwest::Body;
use reqwest::multipart::Part;

/// A file as a part of a form, with its name in the part's header.
#[expect(clippy::disallowed_methods, reason = "the name is cleaned here")]
pub fn part(body: impl Into<Body>, bytes: u64, name: &str) -> Part {
    Part::stream_with_length(body, bytes).file_name(for_header(name))
}
