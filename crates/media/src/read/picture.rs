//! Helpers for all kinds of picture.

use common::content::{Content, Picture, View};
use common::prose::prose;

const LONGEST_REASON: usize = 200;

pub(super) fn content(read: Result<Picture, String>) -> Content {
    match read {
        Ok(picture) => Content::Picture(picture),
        Err(reason) => Content::Unreadable(bounded(&reason)),
    }
}

/// The view of a picture whose decoder failed.
pub(super) fn undecodable(reason: &dyn std::fmt::Display) -> View {
    View::Undecodable(bounded(&reason.to_string()))
}

/// Some decoders quote the file in their errors, as text or as numbers.
fn bounded(reason: &str) -> String {
    prose(reason).chars().take(LONGEST_REASON).collect()
}

/// Whether any pixel is transparent: an alpha channel may be fully opaque. Without a thumbnail, the channel decides.
pub(super) fn is_transparent(has_channel: bool, view: Option<&View>) -> bool {
    match view {
        Some(View::Thumbnail(thumbnail)) => has_channel && thumbnail.is_transparent(),
        Some(View::TooLarge { .. } | View::Undecodable(_)) | None => has_channel,
    }
}
