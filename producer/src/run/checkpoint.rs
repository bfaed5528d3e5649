//! The position of a run between two pages, and what its walk counted so far.

use serde::{Deserialize, Serialize};

use ledger::state::DatabaseError;

use super::census::Counted;
use super::{Run, RunError};
use crate::enumerate::WalkPosition;

/// The position of a run, as the ledger keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    #[serde(flatten)]
    pub(super) place: WalkPosition,
    /// Absent in a run that does not count the library, and in runs of earlier releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) counted: Option<Counted>,
}

impl Run<'_> {
    /// Everything on the page is published: the next run can skip it.
    pub(super) async fn checkpoint(&mut self, next: Option<&WalkPosition>) -> Result<(), RunError> {
        let Some(next) = next.filter(|_| !self.options.dry_run) else { return Ok(()) };
        let counted = self.census.as_mut().map(|census| census.settled(next));
        let text = serde_json::to_string(&Checkpoint { place: next.clone(), counted })
            .map_err(|error| DatabaseError::Damaged(error.to_string()))?;
        let unsupported = self.found.unsupported() - self.recorded;
        self.environment.ledger.checkpoint(&self.id, text, unsupported).await?;
        self.recorded += unsupported;
        Ok(())
    }
}
