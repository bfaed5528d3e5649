//! The wire form of a job: versioned JSON.

use serde::{Deserialize, Serialize};

use super::Job;
use crate::parse_error::of_json;

/// The message format this release writes. A format it does not know is refused, never guessed at.
pub const MESSAGE_VERSION: u32 = 1;

/// The largest body that is read or written: far below RabbitMQ's 16 MiB, far above any honest job.
pub const MOST_MESSAGE_BYTES: usize = 64 * 1024;

/// A body that is not a job of this release's format.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The format is a later release's.
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

/// The format that a message says it has.
#[derive(Deserialize)]
struct Version {
    v: u32,
}

/// Fails where the message's format is a newer release's: its other fields may mean anything.
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
    /// Writes the message body.
    ///
    /// # Errors
    /// The job has grown beyond [`MOST_MESSAGE_BYTES`].
    pub fn encode(&self) -> Result<Vec<u8>, MessageError> {
        let body = serde_json::to_vec(&Envelope { v: MESSAGE_VERSION, job: self })?;
        if body.len() > MOST_MESSAGE_BYTES {
            return Err(MessageError::TooLarge(body.len()));
        }
        Ok(body)
    }

    /// Reads a message body, which anybody with access to the queue may have written.
    pub fn decode(body: &[u8]) -> Result<Self, MessageError> {
        if body.len() > MOST_MESSAGE_BYTES {
            return Err(MessageError::TooLarge(body.len()));
        }
        check_version(body)?;
        let mut job: Self = serde_json::from_slice(body)?;
        job.unknown.remove("v");
        // It may be longer in this release's words, and would have no successor once its step is done.
        job.encode()?;
        Ok(job)
    }
}
