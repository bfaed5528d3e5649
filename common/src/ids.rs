//! Ids of runs and jobs, as messages hold them, which anybody with access to the broker may have written.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::asset::AssetId;

/// Twice what any release writes. A name of AMQP has at most 255 bytes.
const MOST_BYTES: usize = 128;

/// Identifies one pass of the producer over the library.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct RunId(pub String);

impl fmt::Display for RunId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Identifies a job: the same run, asset and version always give the same id, so a resumed run repeats none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct JobId(pub String);

impl JobId {
    /// Derives the id; 32 hex digits of a SHA-256.
    pub fn derive(run: &RunId, asset: &AssetId, base: u32) -> Self {
        let digest = Sha256::digest(format!("{run}\n{asset}\n{base}"));
        Self(hex::encode(&digest[..16]))
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The text cannot be the id of a job or a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected at most {MOST_BYTES} bytes without control characters")]
pub struct InvalidId;

fn checked(text: String) -> Result<String, InvalidId> {
    if text.len() > MOST_BYTES || text.contains(char::is_control) { Err(InvalidId) } else { Ok(text) }
}

/// The start of a text that was to be an id.
fn shortened(text: &str) -> String {
    let start = &text[..text.floor_char_boundary(MOST_BYTES)];
    start.chars().filter(|letter| !letter.is_control()).collect()
}

impl TryFrom<String> for JobId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        checked(text).map(Self)
    }
}

impl JobId {
    /// As much of a text as can be an id.
    pub fn shortened(text: &str) -> Self {
        Self(shortened(text))
    }
}

impl TryFrom<String> for RunId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        checked(text).map(Self)
    }
}

impl RunId {
    /// As much of a text as can be an id.
    pub fn shortened(text: &str) -> Self {
        Self(shortened(text))
    }
}
