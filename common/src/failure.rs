//! How a command fails: one exit code for each action that the caller can take.

use std::process::ExitCode;

/// The failure of a command. The exit codes are a stable interface.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// 1: an unexpected error.
    #[error("{0}")]
    Unexpected(String),
    /// 2: wrong usage of the command line.
    #[error("{0}")]
    Usage(String),
    /// 3: wrong configuration or secret.
    #[error("{0}")]
    Configuration(String),
    /// 4: authentication failed or permission denied.
    #[error("{0}")]
    Credential(String),
    /// 5: the network, a limit or an interruption; a retry may succeed later.
    #[error("{0}")]
    Temporary(String),
    /// 6: finished, with failed jobs.
    #[error("{0} jobs failed; `connector failed list` names them")]
    FailedJobs(u64),
    /// 6: finished, but some assets cannot be read and got no job.
    #[error("{0} assets were left alone that cannot be read; the log names each, with the reason")]
    Unreadable(u64),
    /// 8: a safety limit was reached.
    #[error("{0}")]
    Limit(String),
    /// The findings have been printed; only this exit code is left.
    #[error("")]
    Reported(u8),
}

impl Failure {
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    /// The exit code as a number.
    pub fn code(&self) -> u8 {
        match self {
            Self::Unexpected(_) => 1,
            Self::Usage(_) => 2,
            Self::Configuration(_) => 3,
            Self::Credential(_) => 4,
            Self::Temporary(_) => 5,
            Self::FailedJobs(_) | Self::Unreadable(_) => 6,
            Self::Limit(_) => 8,
            Self::Reported(code) => *code,
        }
    }

    /// The message to print; `None` if everything has been printed.
    pub fn message(&self) -> Option<String> {
        match self {
            Self::Reported(_) => None,
            other => Some(other.to_string()),
        }
    }
}
