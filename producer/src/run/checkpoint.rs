//! The position of a run between two pages, and what its walk counted so far.

use common::asset::Asset;
use serde::{Deserialize, Serialize};

use ledger::state::DatabaseError;

use super::census::{Census, Counted};
use super::{Fate, Run, RunError};
use crate::enumerate::WalkPosition;

/// The position of a run, as the ledger keeps it.
#[derive(Debug, Serialize, Deserialize)]
struct Checkpoint {
    #[serde(flatten)]
    place: WalkPosition,
    /// Absent in a run that does not count the library, and in runs of earlier releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counted: Option<Counted>,
}

/// Where an interrupted run goes on, and its count.
pub(super) fn of(interrupted: Option<&ledger::Run>) -> (Option<WalkPosition>, Option<Census>) {
    let text = interrupted.and_then(|run| run.checkpoint.as_deref());
    let known = text.and_then(|text| serde_json::from_str::<Checkpoint>(text).ok());
    known.map_or((None, None), |Checkpoint { place, counted }| {
        let census = counted.map(|counted| Census::resumed(counted, &place));
        (Some(place), census)
    })
}

impl Run<'_> {
    /// Counts an asset. The outcomes of the run's own jobs are added later, also of one that ended before the walk resumed.
    pub(super) async fn count(&mut self, asset: &Asset, fate: Fate) -> Result<(), RunError> {
        let Some(census) = &mut self.census else { return Ok(()) };
        let has_job =
            self.is_page_again && self.environment.ledger.is_last_job_of(&self.id, &asset.id).await?;
        census.count(asset.created, if has_job { Fate::Published } else { fate });
        Ok(())
    }

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
