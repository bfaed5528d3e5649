//! How files are read.

use std::time::Duration;

use bytesize::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigError, Span};

/// The memory of one reader of ordinary files and the reader of large ones.
const LEAST_MEMORY: ByteSize = ByteSize::mib(448);

/// `[reader]`
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReaderSection {
    /// The memory of all readers together.
    #[schemars(with = "String")]
    pub memory: ByteSize,
    /// The limit for reading one file.
    pub deadline: Span,
}

impl Default for ReaderSection {
    fn default() -> Self {
        Self { memory: ByteSize::mib(640), deadline: Span(Duration::from_mins(1)) }
    }
}

impl ReaderSection {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if self.memory < LEAST_MEMORY {
            return Err(ConfigError::value("reader.memory", "must be at least 448MiB"));
        }
        if !(Duration::from_secs(1)..=Duration::from_hours(1)).contains(&self.deadline.0) {
            return Err(ConfigError::value("reader.deadline", "must be from 1s to 1h"));
        }
        Ok(())
    }
}
