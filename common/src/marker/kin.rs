//! The link between an original and its copy.

use std::fmt;

use crate::asset::AssetId;

/// A link to the other asset of the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kin {
    /// On a copy: it was made from this asset.
    CopyOf(AssetId),
    /// On an original: its watermarked file is in this asset.
    CopiedTo(AssetId),
}

const COPY_OF: &str = "copy-of";
const COPIED_TO: &str = "copied-to";

impl Kin {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (word, id) = text.split_once(' ')?;
        let id = id.trim().parse().ok()?;
        match word {
            COPY_OF => Some(Self::CopyOf(id)),
            COPIED_TO => Some(Self::CopiedTo(id)),
            _ => None,
        }
    }
}

impl fmt::Display for Kin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CopyOf(id) => write!(formatter, "{COPY_OF} {id}"),
            Self::CopiedTo(id) => write!(formatter, "{COPIED_TO} {id}"),
        }
    }
}
