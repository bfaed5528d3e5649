//! An asset to restore.

use common::asset::AssetId;
use common::hash::ContentHash;

/// A selected asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub id: AssetId,
    /// The watermarked file to remove, if only that one may be removed.
    pub watermarked: Option<ContentHash>,
    /// The version that was protected, if the record contains it.
    pub base: Option<u32>,
    /// Whether the record says that the watermarked file is not a version of this asset.
    pub elsewhere: bool,
}
