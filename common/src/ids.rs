//! Ids of runs and jobs. Those in messages are validated, because anyone with access to the broker may have written them.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::asset::AssetId;

/// Maximum length: twice what any release writes, and below the 255 bytes of a name in AMQP.
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

/// Identifies a job. The same run, asset and version give the same id, so a resumed run publishes no job twice.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct JobId(pub String);

impl JobId {
    /// Derives the id: the first 32 hex digits of a SHA-256.
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

/// The text is not a valid id of a job or a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected at most {MOST_BYTES} bytes without control characters")]
pub struct InvalidId;

fn checked(text: String) -> Result<String, InvalidId> {
    if text.len() > MOST_BYTES || text.contains(char::is_control) { Err(InvalidId) } else { Ok(text) }
}

/// A valid id from the beginning of a text.
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
