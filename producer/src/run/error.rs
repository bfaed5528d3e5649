//! Why a run could not be finished.

use bynder::BynderError;
use ledger::state::DatabaseError;
use queue::QueueError;

use crate::enumerate::WalkError;

/// A run that could not be finished; what it published stays published, and the next run goes on where it stood.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The library cannot be listed.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// The portal failed.
    #[error(transparent)]
    Bynder(#[from] BynderError),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] DatabaseError),
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Somebody asked to stop.
    #[error("stopped; the next run resumes where this one stopped")]
    Stopped,
}

impl RunError {
    /// Whether it concerns the asset at hand and no other.
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
                | BynderError::Shared { .. }
                | BynderError::Withheld { .. }
                | BynderError::Local { .. } => false,
            },
            Self::Queue(error) => matches!(error, QueueError::Message(_)),
            Self::Walk(_) | Self::Ledger(_) | Self::Stopped => false,
        }
    }
}
