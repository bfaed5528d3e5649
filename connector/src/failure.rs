//! How a command ends when it does not end well: one exit code for each thing the caller can do about it.

use std::process::ExitCode;

use common::bynder::BynderError;
use common::config::ConfigError;
use common::http::TransportError;
use common::queue::QueueError;
use common::state::{DatabaseError, StateError};
use producer::enumerate::WalkError;
use producer::filter::ResolveError;
use producer::portal::PortalError;
use producer::run::RunError;

/// A command that did not end well. The codes are a stable interface.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
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
    /// 8: a safety limit was reached.
    #[error("{0}")]
    Limit(String),
    /// The findings were printed; only the code is left to say.
    #[error("")]
    Told(u8),
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Unexpected(_) => 1,
            Self::Usage(_) => 2,
            Self::Configuration(_) => 3,
            Self::Credential(_) => 4,
            Self::Temporary(_) => 5,
            Self::FailedJobs(_) => 6,
            Self::Limit(_) => 8,
            Self::Told(code) => *code,
        })
    }

    /// What to say; nothing where everything was said.
    pub(crate) fn message(&self) -> Option<String> {
        match self {
            Self::Told(_) => None,
            other => Some(other.to_string()),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Configuration(error.to_string())
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        match error {
            StateError::InUse { .. } => Self::Temporary(error.to_string()),
            StateError::Io { .. } | StateError::Damaged { .. } | StateError::Newer { .. } => {
                Self::Configuration(error.to_string())
            }
        }
    }
}

impl From<BynderError> for Failure {
    fn from(error: BynderError) -> Self {
        let message = error.to_string();
        match error {
            BynderError::Unauthorized { .. } | BynderError::Forbidden { .. } => Self::Credential(message),
            BynderError::Misconfigured { .. } => Self::Configuration(message),
            BynderError::Paused { .. } | BynderError::Unavailable { .. } => Self::Temporary(message),
            BynderError::NotFound { .. }
            | BynderError::Refused { .. }
            | BynderError::Unexpected { .. }
            | BynderError::Local { .. } => Self::Unexpected(message),
        }
    }
}

impl From<PortalError> for Failure {
    fn from(error: PortalError) -> Self {
        match error {
            PortalError::Bynder(error) | PortalError::Filter(ResolveError::Bynder(error)) => error.into(),
            PortalError::Metaproperty(_) | PortalError::Id(_) => Self::Configuration(error.to_string()),
            PortalError::Filter(error) => Self::Configuration(error.to_string()),
        }
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Unavailable(_) => Self::Temporary(error.to_string()),
            DatabaseError::Damaged(_) => Self::Unexpected(error.to_string()),
        }
    }
}

impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Self {
        if error.is_retryable() {
            Self::Temporary(error.to_string())
        } else {
            Self::Unexpected(error.to_string())
        }
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        Self::Unexpected(format!("cannot set up the network client: {error}"))
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Walk(WalkError::Bynder(error)) | RunError::Bynder(error) => error.into(),
            RunError::Walk(WalkError::NotSorted(error)) => Self::Unexpected(error.to_string()),
            RunError::Ledger(error) => error.into(),
            RunError::Queue(error) => error.into(),
            RunError::Stopped => Self::Temporary(error.to_string()),
        }
    }
}
