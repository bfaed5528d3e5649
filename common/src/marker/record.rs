//! Records of the marker.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::bounded::{MOST_BYTES, MOST_COUNT, at_most};
use crate::hash::ContentHash;

/// One protected file of an asset: its original, and how to recognise it without a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Record {
    /// Hash of the original.
    pub original: ContentHash,
    /// Hash of the watermarked file.
    pub watermarked: ContentHash,
    /// The asset's version that holds the protected file.
    #[serde(deserialize_with = "at_most::<MOST_COUNT, _, _>")]
    pub version: u32,
    /// Size of that version's file, in bytes.
    #[serde(deserialize_with = "at_most::<MOST_BYTES, _, _>")]
    pub bytes: u64,
}

impl Record {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let record = Self {
            original: words.next()?.parse().ok()?,
            watermarked: words.next()?.parse().ok()?,
            version: number(words.next()?.strip_prefix('v')?)?,
            bytes: number(words.next()?)?,
        };
        words.next().is_none().then_some(record)
    }
}

/// Parses digits only; `parse` alone would accept a sign.
fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

impl fmt::Display for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} v{} {}", self.original, self.watermarked, self.version, self.bytes)
    }
}
