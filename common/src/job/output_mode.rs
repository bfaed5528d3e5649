//! What becomes of the watermarked file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes of the watermarked file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OutputMode {
    /// The asset's new active version.
    #[default]
    Version,
    /// A new asset.
    Copy,
    /// An additional file of the asset.
    Additional,
}

impl OutputMode {
    /// The word in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Copy => "copy",
            Self::Additional => "additional",
        }
    }
}
