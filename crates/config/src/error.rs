//! Configuration errors: each names the key and what to do.

use common::failure::Failure;
use std::path::PathBuf;

use files::written::Doubt;

/// A configuration that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said, and what to do.
        reason: String,
    },
    /// Another user decides what the file says.
    #[error("{path} is not obeyed: {doubt}")]
    Doubt {
        /// The file.
        path: PathBuf,
        /// Who, and what to do.
        doubt: Doubt,
    },
    /// The file is no TOML.
    #[error("{path} is not valid TOML: {reason}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where, and what is wrong.
        reason: String,
    },
    /// A key nobody knows.
    #[error("unknown key {key}{}", suggestion(.nearest.as_deref()))]
    Unknown {
        /// The dotted key.
        key: String,
        /// The nearest known key.
        nearest: Option<String>,
    },
    /// A value that is missing, of the wrong type or of no use.
    #[error("{key}: {reason}")]
    Value {
        /// The dotted key.
        key: String,
        /// What is wrong, and what to write.
        reason: String,
    },
    /// A secret that cannot be had.
    #[error("{key}: {reason}")]
    Secret {
        /// The dotted key.
        key: String,
        /// What is wrong; never the secret.
        reason: String,
    },
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(
        || "; docs/configuration.md lists the keys".to_owned(),
        |near| format!("; did you mean {near}?"),
    )
}

impl ConfigError {
    pub(super) fn value(key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Value { key: key.into(), reason: reason.into() }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Configuration(error.to_string())
    }
}
