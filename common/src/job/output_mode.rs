//! What becomes of the watermarked file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

/// What becomes of the watermarked file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
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
        self.into()
    }
}
