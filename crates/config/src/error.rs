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
        path: PathBuf,
        /// What the system reported, and what to do.
        reason: String,
    },
    /// Another user may change the file.
    #[error("{path} is not obeyed: {doubt}")]
    Doubt {
        path: PathBuf,
        /// Who, and what to do.
        doubt: Doubt,
    },
    /// The file is not TOML.
    #[error("{path} is not valid TOML: {reason}")]
    Syntax {
        path: PathBuf,
        /// Where, and what is wrong.
        reason: String,
    },
    /// An unknown key.
    #[error("unknown key {key}{}", suggestion(.nearest.as_deref()))]
    Unknown {
        /// The dotted key.
        key: String,
        /// The most similar known key.
        nearest: Option<String>,
    },
    /// A value that is missing, of the wrong type or not usable.
    #[error("{key}: {reason}")]
    Value {
        /// The dotted key.
        key: String,
        /// What is wrong, and what to write.
        reason: String,
    },
    /// A secret that cannot be read.
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
