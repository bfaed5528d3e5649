//! How a command ends when it does not end well: one exit code for each thing the caller can do about it.

use std::process::ExitCode;

/// A command that did not end well. The codes are a stable interface.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// 1: nothing the caller could have foreseen.
    #[error("{0}")]
    Unexpected(String),
    /// 2: the command line.
    #[error("{0}")]
    Usage(String),
    /// 3: configuration or secret.
    #[error("{0}")]
    Configuration(String),
    /// 4: authentication or permission.
    #[error("{0}")]
    Credential(String),
    /// 5: the network, a limit, an interruption: the same command may work later.
    #[error("{0}")]
    Temporary(String),
    /// 6: done, with failed jobs.
    #[error("{0} jobs failed; `connector failed list` names them")]
    FailedJobs(u64),
    /// 6: done, but for some assets that no job could be made for.
    #[error("{0} assets were left alone that cannot be read; the log names each, with the reason")]
    Unreadable(u64),
    /// 8: a safety limit was reached.
    #[error("{0}")]
    Limit(String),
    /// The findings were printed; only the code is left to say.
    #[error("")]
    Told(u8),
}

impl Failure {
    /// The code for whoever called.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    /// The same as a number.
    pub fn code(&self) -> u8 {
        match self {
            Self::Unexpected(_) => 1,
            Self::Usage(_) => 2,
            Self::Configuration(_) => 3,
            Self::Credential(_) => 4,
            Self::Temporary(_) => 5,
            Self::FailedJobs(_) | Self::Unreadable(_) => 6,
            Self::Limit(_) => 8,
            Self::Told(code) => *code,
        }
    }

    /// What to say; nothing where everything was said.
    pub fn message(&self) -> Option<String> {
        match self {
            Self::Told(_) => None,
            other => Some(other.to_string()),
        }
    }
}
