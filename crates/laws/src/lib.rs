//! What holds for every input from outside, as one function each: the fuzzer ([`fuzz/`]) calls them with bytes of its own,
//! and a plain test with the seeds and with everything that was ever found.
//!
//! A law that does not hold panics. What it returns says whether the input got past the first look: only such inputs
//! are worth further mutation.
//!
//! [`fuzz/`]: https://rust-fuzz.github.io/book/cargo-fuzz.html

#![expect(clippy::missing_panics_doc, reason = "each law panics where it does not hold")]

mod files;
mod messages;
mod mutations;
mod wire;

pub use files::{any, compare, film, gif, jpeg, metadata, pdf, png, tiff, webp};
pub use messages::{event, job};
pub use mutations::mutations;
pub use wire::{bynder, imatag, marker, row};

/// A law by the name of its target.
pub type Law = (&'static str, fn(&[u8]) -> bool);

/// Every law.
pub const LAWS: [Law; 16] = [
    ("any", any),
    ("bynder", bynder),
    ("compare", compare),
    ("event", event),
    ("film", film),
    ("gif", gif),
    ("imatag", imatag),
    ("job", job),
    ("jpeg", jpeg),
    ("marker", marker),
    ("metadata", metadata),
    ("pdf", pdf),
    ("png", png),
    ("row", row),
    ("tiff", tiff),
    ("webp", webp),
];

/// What is shown of an input: one line, and not a long one.
fn is_line(text: &str) {
    assert!(text.len() <= 2000, "a line of {} bytes", text.len());
    assert!(!text.contains('\n'), "several lines: {text:?}");
}
