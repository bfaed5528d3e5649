//! Bare hashes from other tools in the metaproperty.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A bare file hash; its length shows the algorithm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LegacyHash {
    /// 32 hex digits.
    Md5(String),
    /// 40 hex digits.
    Sha1(String),
    /// 64 hex digits.
    Sha256(String),
}

/// What a legacy hash that equals the file's own says of the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LegacyMeaning {
    /// The file is the unprotected original: protect it.
    #[default]
    Original,
    /// The file is protected: write a full record and leave it.
    Protected,
}

impl LegacyHash {
    pub(super) fn parse(text: &str) -> Option<Self> {
        if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let digits = text.to_ascii_lowercase();
        match digits.len() {
            32 => Some(Self::Md5(digits)),
            40 => Some(Self::Sha1(digits)),
            64 => Some(Self::Sha256(digits)),
            _ => None,
        }
    }

    /// The hash in lower-case hex.
    pub fn digits(&self) -> &str {
        match self {
            Self::Md5(digits) | Self::Sha1(digits) | Self::Sha256(digits) => digits,
        }
    }
}

impl fmt::Display for LegacyHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.digits())
    }
}
