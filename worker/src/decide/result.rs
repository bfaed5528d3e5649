//! Whether a watermarked file may go into the library.

use common::hash::FileFacts;

/// A check that the watermarked file failed; both values are named.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadResult {
    /// Nothing came back.
    #[error("Imatag returned an empty file")]
    Empty,
    /// The very same bytes came back: no watermark.
    #[error("Imatag returned the original unchanged (SHA-256 {0})")]
    Unchanged(String),
    /// Another kind of file came back.
    #[error("the original is {original}, Imatag returned {result}")]
    OtherType {
        /// Media type of the original.
        original: String,
        /// Media type of what came back.
        result: String,
    },
    /// A picture of another size came back.
    #[error("the original has {original} pixels, Imatag returned {result}")]
    OtherSize {
        /// Width × height of the original.
        original: String,
        /// Width × height of what came back.
        result: String,
    },
}

/// Compares the result with the original by what their first bytes and headers say.
pub fn check_result(original: &FileFacts, result: &FileFacts) -> Result<(), BadResult> {
    if result.bytes == 0 {
        return Err(BadResult::Empty);
    }
    if result.sha256 == original.sha256 {
        return Err(BadResult::Unchanged(result.sha256.to_string()));
    }
    if result.media_type != original.media_type {
        let name =
            |facts: &FileFacts| facts.media_type.clone().unwrap_or_else(|| "of no known type".to_owned());
        return Err(BadResult::OtherType { original: name(original), result: name(result) });
    }
    if result.pixels != original.pixels {
        let size = |facts: &FileFacts| {
            facts
                .pixels
                .map_or_else(|| "unreadable".to_owned(), |(width, height)| format!("{width} × {height}"))
        };
        return Err(BadResult::OtherSize { original: size(original), result: size(result) });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use common::hash::ContentHash;

    use super::*;

    fn facts(hash: u8, bytes: u64, media_type: Option<&str>, pixels: Option<(u32, u32)>) -> FileFacts {
        let sha256 = ContentHash::from_bytes([hash; 32]);
        FileFacts { sha256, bytes, media_type: media_type.map(str::to_owned), pixels }
    }

    #[test]
    fn each_difference_that_matters_is_named() {
        let original = facts(1, 10, Some("image/png"), Some((3, 2)));
        let table = [
            (facts(2, 11, Some("image/png"), Some((3, 2))), None),
            (facts(2, 0, None, None), Some("Imatag returned an empty file")),
            (facts(1, 10, Some("image/png"), Some((3, 2))), Some("the original unchanged")),
            (facts(2, 9, Some("image/jpeg"), Some((3, 2))), Some("is image/png, Imatag returned image/jpeg")),
            (facts(2, 9, None, Some((3, 2))), Some("returned of no known type")),
            (facts(2, 9, Some("image/png"), Some((2, 3))), Some("has 3 × 2 pixels, Imatag returned 2 × 3")),
            (facts(2, 9, Some("image/png"), None), Some("returned unreadable")),
        ];
        for (result, wanted) in table {
            let error = check_result(&original, &result).err().map(|error| error.to_string());
            assert_eq!(error.is_some(), wanted.is_some(), "{result:?}");
            assert!(error.unwrap_or_default().contains(wanted.unwrap_or_default()), "{result:?}");
        }
    }
}
