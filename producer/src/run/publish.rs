//! Publishes a job for an asset: within the limits, no faster than the queue, and however long the broker is away.

use std::time::{Duration, SystemTime};

use bynder::patience::Stopped;
use common::asset::Asset;
use common::job::{Job, Lane};
use jiff::Timestamp;
use queue::{Depth, QueueError};

use super::{Cause, Fate, Run, RunError, Scope};
use crate::allowance::Limit;
use crate::select::Decision;

/// Open jobs above which a run waits before it publishes more: the queue does not grow with the library.
const MOST_OPEN_JOBS: u64 = 5000;
/// The depth is measured only once in this many jobs, since it costs a request per queue.
const JOBS_BETWEEN_LOOKS: u64 = 50;
/// The pause before a call to the queue is repeated.
const QUEUE_PAUSE: Duration = Duration::from_secs(1);
/// How often a full queue is checked.
const LOOK_AT_QUEUE: Duration = Duration::from_millis(500);

impl Run<'_> {
    pub(super) async fn publish(
        &mut self,
        asset: &Asset,
        base: u32,
        lane: Lane,
        cause: Cause,
        suspect: bool,
    ) -> Result<Fate, RunError> {
        let environment = self.environment;
        let marker = asset.marker_text(&environment.metaproperty);
        let (id, name) = (asset.id.clone(), &asset.name);
        let mut job = Job::new(self.id.clone(), id, name, lane, base, marker, Timestamp::now());
        job.show_file(asset.shown_file());
        job.directory = Some(environment.destinations.of(asset).clone());
        if let Scope::Since(since) = self.options.scope {
            job.listed_since = Some(since);
        }
        if suspect {
            job.suspect_now();
        }
        // If an interrupted run published this job without a confirm, the job is already counted, and is lost
        // unless it is published again.
        let has_place = environment.ledger.was_published(&job.job_id).await?;
        if !has_place && self.ended_by(self.allowance.spent(job.created_at).await?) {
            return Ok(Fate::Limited);
        }
        let _alone;
        if !self.options.dry_run {
            self.let_the_queue_catch_up(lane).await?;
            job.created_at = Timestamp::now();
            _alone = self.patience.unless_over(environment.publishing.lock()).await?;
            let known = environment.ledger.known(&asset.id).await?;
            if let Decision::Skip(reason) = self.row_decision(asset, lane, cause, known) {
                return self.leave(asset, reason, cause, known).await;
            }
        }
        if !has_place {
            let limit = self.allowance.take(job.created_at).await?;
            if self.ended_by(limit) {
                return Ok(Fate::Limited);
            }
            self.show_allowance();
        }
        self.found.select(asset, environment.part_size);
        environment.metrics.asset_selected();
        if self.options.dry_run {
            if let Some(planned) = &self.options.planned {
                planned.show(asset, base);
            }
            return Ok(Fate::Published);
        }
        let since = SystemTime::now();
        self.patiently(async || environment.queue.publish(&job).await).await?;
        traces::published(&job, since);
        environment.metrics.job_published(lane);
        self.found.published += 1;
        Ok(Fate::Published)
    }

    /// Whether the queue can take another batch of jobs without a wait.
    pub(super) async fn has_room(&self) -> Result<bool, RunError> {
        if self.options.dry_run {
            return Ok(true);
        }
        let depth = self.patiently(async || self.environment.queue.depth().await).await?;
        Ok(depth.open() < MOST_OPEN_JOBS - JOBS_BETWEEN_LOOKS)
    }

    /// Reports to the metrics what the run may still publish.
    pub(super) fn show_allowance(&self) {
        if let Some(left) = self.allowance.left_of_run().filter(|_| !self.options.dry_run) {
            self.environment.metrics.limit_leaves("assets_per_run", left);
        }
    }

    fn ended_by(&mut self, limit: Option<Limit>) -> bool {
        self.found.limit = limit;
        limit.is_some()
    }

    /// Waits while too many jobs are open; the fresh lane overtakes a full backlog.
    async fn let_the_queue_catch_up(&mut self, lane: Lane) -> Result<(), RunError> {
        if !self.found.published.is_multiple_of(JOBS_BETWEEN_LOOKS) {
            return Ok(());
        }
        loop {
            let depth = self.patiently(async || self.environment.queue.depth().await).await?;
            if ahead(lane, depth, self.environment.ledger.open_in_lane(lane).await?) < MOST_OPEN_JOBS {
                return Ok(());
            }
            if !self.patience.wait(LOOK_AT_QUEUE).await {
                return Err(Stopped.into());
            }
        }
    }

    /// Repeats a call to the queue until it succeeds, fails permanently, or is stopped: a broker that is away for
    /// an hour costs an hour, not the run.
    pub(super) async fn patiently<T>(
        &self,
        call: impl AsyncFn() -> Result<T, QueueError>,
    ) -> Result<T, RunError> {
        loop {
            match call().await {
                Err(error) if error.is_retryable() => {
                    tracing::warn!(%error, "the queue cannot be used; trying again");
                    if !self.patience.wait(QUEUE_PAUSE).await {
                        return Err(Stopped.into());
                    }
                }
                answer => return Ok(answer?),
            }
        }
    }
}

/// The open jobs that a job of this lane has to wait for. `recorded` are those of its lane without an outcome: for
/// waiting jobs the queue does not report the lane, and the ledger may hold jobs that were lost with the broker.
fn ahead(lane: Lane, depth: Depth, recorded: u64) -> u64 {
    match lane {
        Lane::Backlog => depth.open(),
        Lane::Fresh => depth.open().min(recorded),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_jobs_stand_behind_fresh_ones_alone_wherever_the_backlog_is() {
        let backlog = Depth { submit_backlog: 2000, waiting: 2990, transfer: 10, ..Depth::default() };
        assert_eq!(ahead(Lane::Backlog, backlog, 5000), 5000);
        assert_eq!(ahead(Lane::Fresh, backlog, 7), 7);
        // Lost with the broker, and not given up yet.
        assert_eq!(ahead(Lane::Fresh, Depth::default(), 6000), 0);
    }
}
