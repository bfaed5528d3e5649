//! What pictures of every kind have in common.

use common::content::{Content, Picture, View};
use sha2::{Digest, Sha256};

/// The ICC profile's tag that names it, and the longest name that is kept.
const DESCRIPTION: &[u8; 4] = b"desc";
const LONGEST_NAME: usize = 60;

/// What was read of a picture, or why it could not be.
pub(super) fn content(read: Result<Picture, String>) -> Content {
    match read {
        Ok(picture) => Content::Picture(picture),
        Err(reason) => Content::Unreadable(reason.chars().take(200).collect()),
    }
}

/// Whether anything is transparent: a channel for it may say of every pixel that it is not.
pub(super) fn is_transparent(has_channel: bool, view: Option<&View>) -> bool {
    match view {
        Some(View::Thumbnail(thumbnail)) => has_channel && thumbnail.is_transparent(),
        Some(View::TooLarge { .. } | View::Undecodable(_)) | None => has_channel,
    }
}

/// The name people know a profile by, and enough of its hash to tell it from any other.
pub(super) fn profile(icc: &[u8]) -> String {
    let hash = hex::encode(&Sha256::digest(icc)[..6]);
    match description(icc) {
        Some(name) => format!("{name} ({hash})"),
        None => hash,
    }
}

/// The profile's description: ASCII in profiles of version 2, UTF-16 in those of version 4.
fn description(icc: &[u8]) -> Option<String> {
    let number =
        |at: usize| Some(u32::from_be_bytes(icc.get(at..at.checked_add(4)?)?.try_into().ok()?) as usize);
    let tags = number(128)?.min(100);
    let tag = (0..tags).map(|tag| 132 + tag * 12).find(|at| icc.get(*at..at + 4) == Some(DESCRIPTION))?;
    let at = number(tag + 4)?;
    let text = icc.get(at..at.checked_add(number(tag + 8)?)?)?;
    let name = match text.get(..4)? {
        b"desc" => String::from_utf8_lossy(text.get(12..)?).into_owned(),
        b"mluc" => {
            let words = text.get(28..)?.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            char::decode_utf16(words).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        _ => return None,
    };
    let name: String = name.chars().take_while(|letter| *letter != '\0').take(LONGEST_NAME).collect();
    let name = name.trim().to_owned();
    (!name.is_empty() && !name.contains(char::is_control)).then_some(name)
}
