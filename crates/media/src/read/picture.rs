//! What pictures of every kind have in common.

use common::content::{Content, Picture, View};

const LONGEST_REASON: usize = 200;

/// What was read of a picture, or why it could not be.
pub(super) fn content(read: Result<Picture, String>) -> Content {
    match read {
        Ok(picture) => Content::Picture(picture),
        Err(reason) => Content::Unreadable(bounded(&reason)),
    }
}

/// What a picture that its decoder gave up shows.
pub(super) fn undecodable(reason: &dyn std::fmt::Display) -> View {
    View::Undecodable(bounded(&reason.to_string()))
}

/// Some decoders quote the file.
fn bounded(reason: &str) -> String {
    reason.chars().take(LONGEST_REASON).collect()
}

/// Whether anything is transparent: a channel for it may say of every pixel that it is not.
pub(super) fn is_transparent(has_channel: bool, view: Option<&View>) -> bool {
    match view {
        Some(View::Thumbnail(thumbnail)) => has_channel && thumbnail.is_transparent(),
        Some(View::TooLarge { .. } | View::Undecodable(_)) | None => has_channel,
    }
}
