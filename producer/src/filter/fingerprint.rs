//! A text that identifies a filter in the ledger, and does not grow with it.

use std::fmt::{self, Debug, Write};

use sha2::{Digest, Sha256};

/// Up to this many bytes, the fingerprint is the filter itself. It is in the row of its run, which is rewritten after
/// each page of the walk.
const LONGEST: usize = 64 << 10;

/// The filter as text, or the hash of a long one.
pub(super) fn of(filter: &impl Debug) -> String {
    let mut text = Bounded::Text(String::new());
    // Writing into memory does not fail.
    let _ = write!(text, "{filter:?}");
    match text {
        Bounded::Text(text) => text,
        Bounded::Hash(hash) => format!("sha256 {}", hex::encode(hash.finalize())),
    }
}

enum Bounded {
    Text(String),
    Hash(Sha256),
}

impl Write for Bounded {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        match self {
            Self::Text(text) if text.len() + part.len() <= LONGEST => text.push_str(part),
            Self::Text(text) => {
                let begun = Sha256::new_with_prefix(text.as_bytes());
                *self = Self::Hash(begun.chain_update(part));
            }
            Self::Hash(hash) => hash.update(part),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_filter_has_a_short_fingerprint_that_each_of_its_parts_changes() {
        let ids = |last: u32| (0..100_000).chain([last]).collect::<Vec<_>>();
        assert_eq!(of(&[1, 2]), "[1, 2]");
        assert_eq!(of(&ids(7)), of(&ids(7)));
        assert_ne!(of(&ids(7)), of(&ids(8)));
        assert_eq!(of(&ids(7)).len(), "sha256 ".len() + 64);
    }
}
