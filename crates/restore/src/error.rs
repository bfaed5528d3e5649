//! Why an asset's original could not be restored.

use bynder::BynderError;
use common::asset::{AssetId, MOST_CANDIDATES};
use common::failure::Failure;
use files::spool::ReceiveError;
use ledger::state::DatabaseError;
use queue::QueueError;

#[derive(Debug, thiserror::Error)]
pub(super) enum RestoreError {
    /// The portal or its storage failed.
    #[error(transparent)]
    Bynder(#[from] BynderError),
    /// The record cannot be used.
    #[error(transparent)]
    Record(#[from] DatabaseError),
    /// The lease cannot be acquired.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// This asset's original cannot be downloaded or named, or Bynder did not do what it reported.
    #[error("{0}")]
    Asset(String),
}

impl RestoreError {
    pub(super) fn receiving(error: ReceiveError<BynderError>) -> Self {
        match error {
            ReceiveError::Source(error) => error.into(),
            other => Self::Asset(other.to_string()),
        }
    }

    pub(super) fn too_many_versions(asset: &AssetId, count: usize) -> Self {
        Self::Asset(format!(
            "{count} versions of asset {asset} may hold the original, and it is not in the {MOST_CANDIDATES} likeliest, which alone \
             are downloaded; restore it in Bynder itself"
        ))
    }

    /// Its original was saved, and the version is not visible.
    pub(super) fn waiting(asset: &AssetId) -> Self {
        Self::Asset(format!(
            "the original of asset {asset} was saved and is not visible: it waits for approval in Bynder. Approve it there, \
             then run the command again; if it was refused, first remove `opted-out; ` from the asset's hash metaproperty. \
             With the role MEDIAUPLOAD the token's user saves without approval"
        ))
    }

    /// Whether the other assets would fail as well: then no further one is begun.
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
                | BynderError::BatchFailed { .. }
                | BynderError::Local { .. } => false,
            },
            Self::Record(_) | Self::Queue(_) => true,
            Self::Asset(_) => false,
        }
    }
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::Bynder(error) => error.into(),
            RestoreError::Record(error) => error.into(),
            RestoreError::Queue(error) => error.into(),
            RestoreError::Asset(reason) => Self::Temporary(reason),
        }
    }
}
