//! The wire format of a job: versioned JSON.

use serde::{Deserialize, Serialize};

use super::Job;
use crate::parse_error::of_json;

/// The format that this release writes. Later formats are refused.
pub const MESSAGE_VERSION: u32 = 1;

/// Maximum length of a body: far below RabbitMQ's 16 MiB, far above any genuine job.
pub const MOST_MESSAGE_BYTES: usize = 64 * 1024;

/// A body that is not a job in a format that this release knows.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The format of a later release.
    #[error(
        "message format {0} is a newer release's (this one knows up to {MESSAGE_VERSION}); update this process"
    )]
    Newer(u32),
    /// Not JSON, or not a job.
    #[error("not a job: {}", of_json(.0))]
    Malformed(#[from] serde_json::Error),
    /// Larger than [`MOST_MESSAGE_BYTES`], or, for a failed job and an outcome, four times that.
    #[error("a message of {0} bytes is larger than any that this release writes")]
    TooLarge(usize),
}

/// The stated format of a message.
#[derive(Deserialize)]
struct Version {
    v: u32,
}

/// Fails if the format is that of a later release, in which the other fields may mean anything.
pub fn check_version(body: &[u8]) -> Result<(), MessageError> {
    match serde_json::from_slice(body)? {
        Version { v } if v > MESSAGE_VERSION => Err(MessageError::Newer(v)),
        Version { .. } => Ok(()),
    }
}

#[derive(Serialize)]
struct Envelope<'a> {
    v: u32,
    #[serde(flatten)]
    job: &'a Job,
}

impl Job {
    /// Encodes the message body.
    ///
    /// # Errors
    /// The body is longer than [`MOST_MESSAGE_BYTES`].
    pub fn encode(&self) -> Result<Vec<u8>, MessageError> {
        let body = serde_json::to_vec(&Envelope { v: MESSAGE_VERSION, job: self })?;
        if body.len() > MOST_MESSAGE_BYTES {
            return Err(MessageError::TooLarge(body.len()));
        }
        Ok(body)
    }

    /// Decodes a message body, which anyone with access to the broker may have written.
    pub fn decode(body: &[u8]) -> Result<Self, MessageError> {
        if body.len() > MOST_MESSAGE_BYTES {
            return Err(MessageError::TooLarge(body.len()));
        }
        check_version(body)?;
        let mut job: Self = serde_json::from_slice(body)?;
        job.unknown.remove("v");
        // Encoding may yield a longer body, and then the job could not be forwarded after its step.
        job.encode()?;
        Ok(job)
    }
}
