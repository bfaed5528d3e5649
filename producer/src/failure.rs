//! How a command ends when the producer's part of it failed.

use bynder::BynderError;
use common::failure::Failure;

use crate::enumerate::WalkError;
use crate::filter::ResolveError;
use crate::portal::PortalError;
use crate::run::RunError;

impl From<PortalError> for Failure {
    fn from(error: PortalError) -> Self {
        match error {
            PortalError::Bynder(error) | PortalError::Filter(ResolveError::Bynder(error)) => error.into(),
            PortalError::Metaproperty(_) | PortalError::Id(_) => Self::Configuration(error.to_string()),
            PortalError::Filter(error) => Self::Configuration(error.to_string()),
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            // Most likely a page from the portal that says it is away: the next attempt may succeed.
            RunError::Walk(WalkError::Bynder(error @ BynderError::Unexpected { .. })) => {
                Self::Temporary(error.to_string())
            }
            RunError::Walk(WalkError::Bynder(error)) | RunError::Bynder(error) => error.into(),
            RunError::Walk(WalkError::NotWalkable(error)) => Self::Unexpected(error.to_string()),
            RunError::Ledger(error) => error.into(),
            RunError::Queue(error) => error.into(),
            RunError::Stopped(_) => Self::Temporary(error.to_string()),
        }
    }
}
