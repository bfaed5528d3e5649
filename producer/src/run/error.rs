//! Why a run could not be finished.

use bynder::BynderError;
use bynder::patience;
use ledger::state::DatabaseError;
use queue::QueueError;

use crate::enumerate::WalkError;

/// A run that could not be finished. What it published stays published, and the next run continues where it
/// stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The library cannot be listed.
    #[error(transparent)]
    Walk(#[from] WalkError),
    #[error(transparent)]
    Bynder(#[from] BynderError),
    #[error(transparent)]
    Ledger(#[from] DatabaseError),
    #[error(transparent)]
    Queue(#[from] QueueError),
    #[error(transparent)]
    Stopped(#[from] patience::Stopped),
}

impl RunError {
    /// Whether it concerns only the current asset.
    pub(super) fn is_of_one_asset(&self) -> bool {
        match self {
            Self::Bynder(error) => match error {
                BynderError::NotFound { .. }
                | BynderError::Refused { .. }
                | BynderError::Forbidden { .. }
                | BynderError::Unexpected { .. } => true,
                BynderError::Unauthorized { .. }
                | BynderError::Misconfigured { .. }
                | BynderError::Unavailable { .. }
                | BynderError::Paused { .. }
                | BynderError::BatchFailed { .. }
                | BynderError::Withheld { .. }
                | BynderError::Local { .. } => false,
            },
            Self::Queue(error) => matches!(error, QueueError::Message(_)),
            Self::Walk(_) | Self::Ledger(_) | Self::Stopped(_) => false,
        }
    }
}
