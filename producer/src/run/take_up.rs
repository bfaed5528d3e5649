//! Assets that are fetched by id: those of jobs that were given up, and failed ones that a person wants retried.

use std::collections::{BTreeMap, HashSet};

use bynder::patience::{Stopped, patiently};
use bynder::{ListQuery, MOST_IDS};
use common::asset::{Asset, AssetId};
use common::job::JobId;
use common::outcome::FailureClass;
use jiff::Timestamp;
use ledger::LostJob;

use super::{Cause, Fate, Run, RunError};
use crate::filter::digits;
use crate::select::SkipReason;

impl Run<'_> {
    /// Decides again about the assets of jobs that were given up. It is unknown what those jobs did, so the new
    /// ones are suspect. Assets without room in the queue are left to the next run: changes must not wait for them.
    pub(super) async fn take_up_lost(&mut self) -> Result<(), RunError> {
        let environment = self.environment;
        // Another run takes them up; changes must not wait for it.
        let Ok(_alone) = environment.taking_up.try_lock() else { return Ok(()) };
        let mut after: Option<AssetId> = None;
        loop {
            let lost = environment.ledger.lost_jobs(after.as_ref(), MOST_IDS).await?;
            after = lost.last().map(|job| job.asset_id.clone());
            if after.is_none() || !self.has_room().await? {
                return Ok(());
            }
            let (limited, _) = self.take_up_all(&lost, Cause::Walked).await?;
            if limited {
                return Ok(());
            }
        }
    }

    /// Takes up the assets that failed before. Discards the failed jobs that have a successor, if the queue still
    /// has them, so that they cannot be replayed.
    pub(super) async fn take_up_failed(&mut self, class: Option<FailureClass>) -> Result<(), RunError> {
        let mut after: Option<AssetId> = None;
        loop {
            let failed = self.environment.ledger.failed_jobs(class, after.as_ref(), MOST_IDS).await?;
            after = failed.last().map(|job| job.asset_id.clone());
            if after.is_none() {
                return Ok(());
            }
            let (limited, published) = self.take_up_all(&failed, Cause::Again).await?;
            if !self.options.dry_run && !published.is_empty() {
                self.patiently(async || self.environment.failed_jobs.discard(&published).await).await?;
            }
            if limited {
                return Ok(());
            }
        }
    }

    /// Fetches the assets of these jobs and decides about each. Returns whether a limit ended it, and the jobs that
    /// have a successor.
    async fn take_up_all(
        &mut self,
        jobs: &[LostJob],
        cause: Cause,
    ) -> Result<(bool, HashSet<JobId>), RunError> {
        let listed = self
            .ask_for(ListQuery {
                ids: jobs.iter().map(|job| job.asset_id.clone()).collect(),
                ..ListQuery::default()
            })
            .await?;
        let mut published = HashSet::new();
        for job in jobs {
            if self.patience.is_over() {
                return Err(Stopped.into());
            }
            let fate = self.take_up(job, listed.get(&digits(job.asset_id.as_str())), cause).await?;
            // Bounded by the number of jobs that were open at once, or that failed.
            self.taken_up.insert(job.asset_id.clone(), fate);
            match fate {
                Fate::Limited => return Ok((true, published)),
                Fate::Published => {
                    published.insert(job.job_id.clone());
                }
                Fate::Left(_) | Fate::Gone => {}
            }
        }
        Ok((false, published))
    }

    async fn take_up(
        &mut self,
        job: &LostJob,
        listed: Option<&Asset>,
        cause: Cause,
    ) -> Result<Fate, RunError> {
        let fate = match listed {
            Some(asset) => self.consider(asset, job.lane, cause).await?,
            // The listing lags or omits some: this does not prove that an asset is gone.
            None => match self.read_asset(&job.asset_id).await? {
                Some(detail) => {
                    let active_version = detail.active();
                    self.consider(&Asset { active_version, ..detail.asset }, job.lane, cause).await?
                }
                None => Fate::Gone,
            },
        };
        if self.options.dry_run {
            return Ok(fate);
        }
        let ledger = &self.environment.ledger;
        match fate {
            Fate::Left(reason) if is_decided(reason) => ledger.settle_lost(&job.asset_id).await?,
            Fate::Gone => ledger.lost_asset_is_gone(job, Timestamp::now()).await?,
            Fate::Left(_) | Fate::Published | Fate::Limited => {}
        }
        Ok(fate)
    }

    /// The rows of the assets that this query names in the listing, by the digits of their ids.
    pub(super) async fn ask_for(&mut self, asked: ListQuery) -> Result<BTreeMap<String, Asset>, RunError> {
        let limit = u32::try_from(asked.ids.len()).unwrap_or(u32::MAX);
        let query = ListQuery { limit, page: 1, include_versions: true, ..asked };
        let listing = patiently(self.patience, || self.environment.bynder.list(&query));
        let page = self.patience.unless_over(listing).await??;
        self.found.listed += page.rows() as u64;
        self.environment.metrics.assets_listed(page.rows() as u64);
        let wanted: HashSet<_> = query.ids.iter().map(|id| digits(id.as_str())).collect();
        let assets = page.assets.into_iter().map(|asset| (digits(asset.id.as_str()), asset));
        // A portal that does not know the filter returns other assets.
        Ok(assets.filter(|(id, _)| wanted.contains(id)).collect())
    }
}

/// Whether the asset no longer needs its lost job. Otherwise the next run asks again.
fn is_decided(reason: SkipReason) -> bool {
    match reason {
        SkipReason::Unchanged
        | SkipReason::Filtered(_)
        | SkipReason::OptedOut
        | SkipReason::JobOpen
        | SkipReason::AwaitingApproval
        | SkipReason::FailedBefore
        | SkipReason::Copy
        | SkipReason::NotAskedFor
        | SkipReason::Unsupported => true,
        SkipReason::ListingBehind
        | SkipReason::VersionUnknown
        | SkipReason::Unreadable
        | SkipReason::Postponed => false,
    }
}
