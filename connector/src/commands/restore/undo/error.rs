//! Why an asset's original could not be put back.

use bynder::BynderError;
use common::failure::Failure;
use files::spool::ReceiveError;
use ledger::state::DatabaseError;
use queue::QueueError;

/// What went wrong with one asset.
#[derive(Debug, thiserror::Error)]
pub(super) enum RestoreError {
    /// The portal or its storage.
    #[error(transparent)]
    Bynder(#[from] BynderError),
    /// The record.
    #[error(transparent)]
    Record(#[from] DatabaseError),
    /// The lease.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The original did not arrive whole.
    #[error("{0}")]
    Incomplete(String),
    /// No name is known under which the original would keep its type.
    #[error("{0}")]
    Unnamed(String),
    /// Bynder did not do what it says it did, or not in time.
    #[error("{0}")]
    Unconfirmed(String),
}

impl RestoreError {
    pub(super) fn receiving(error: ReceiveError<BynderError>) -> Self {
        match error {
            ReceiveError::Source(error) => error.into(),
            other => Self::Incomplete(other.to_string()),
        }
    }

    /// Whether the other assets will not fare better: then nothing further is begun.
    pub(super) fn concerns_all(&self) -> bool {
        match self {
            Self::Bynder(error) => match error {
                BynderError::Paused { .. }
                | BynderError::Unauthorized { .. }
                | BynderError::Unavailable { .. }
                | BynderError::Misconfigured { .. } => true,
                BynderError::Withheld { .. }
                | BynderError::Forbidden { .. }
                | BynderError::NotFound { .. }
                | BynderError::Refused { .. }
                | BynderError::Unexpected { .. }
                | BynderError::Shared { .. }
                | BynderError::Local { .. } => false,
            },
            Self::Record(_) | Self::Queue(_) => true,
            Self::Incomplete(_) | Self::Unnamed(_) | Self::Unconfirmed(_) => false,
        }
    }
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::Bynder(error) => error.into(),
            RestoreError::Record(error) => error.into(),
            RestoreError::Queue(error) => error.into(),
            RestoreError::Incomplete(_) | RestoreError::Unnamed(_) | RestoreError::Unconfirmed(_) => {
                Self::Temporary(error.to_string())
            }
        }
    }
}
