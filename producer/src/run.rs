//! One run: walks, decides, publishes.

mod ask;
mod census;
mod changes;
mod checkpoint;
mod consider;
mod error;
mod named;
mod options;
mod publish;
mod take_up;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bynder::{Bynder, DateField};
use common::asset::{Asset, AssetId};
use common::job::{Lane, RunId};
use config::{DateRange, Limits};
use jiff::{SignedDuration, Timestamp};
use ledger::{Ledger, Library, RunMode, RunState};
use queue::{FailedJobs, JobPublisher};
use telemetry::Metrics;

pub use self::error::RunError;
pub use self::options::{Admission, Options, Planned};
use crate::allowance::{Allowance, DayAllowance};
use crate::cursor::{self, Walked};
use crate::destination::Destinations;
use crate::enumerate::{Step, Stretch, Walk, WalkPosition};
use crate::filter::Filter;
pub use crate::found::RunCounts;
pub use crate::scope::Scope;
use crate::select::SkipReason;
use bynder::patience::{Patience, Stopped, patiently};
use census::Census;
use named::RequestedIds;

/// The dependencies and settings of a run.
#[derive(Clone)]
pub struct Environment {
    pub bynder: Bynder,
    /// Runs, cursor and outcomes.
    pub ledger: Ledger,
    /// Takes the published jobs.
    pub queue: Arc<dyn JobPublisher>,
    /// Failed jobs that the queue keeps.
    pub failed_jobs: Arc<dyn FailedJobs>,
    /// Which assets the run concerns.
    pub filter: Filter,
    /// Imatag's directories for their media.
    pub destinations: Destinations,
    /// What may be sent to Imatag.
    pub sent: imatag::profile::Limits,
    /// Name of the hash metaproperty.
    pub metaproperty: String,
    /// How much may be published.
    pub limits: Limits,
    /// What all runs have published today.
    pub(crate) day: Arc<DayAllowance>,
    /// Held by the one run that takes up lost jobs; others may run concurrently.
    pub(crate) taking_up: Arc<tokio::sync::Mutex<()>>,
    /// Held from the last look at the ledger until a job is published: of two runs that consider the same asset concurrently, the
    /// second one sees the first one's job.
    pub(crate) publishing: Arc<tokio::sync::Mutex<()>>,
    pub metrics: Metrics,
    /// The size of an upload part in bytes.
    pub part_size: u64,
    /// How far a delta run reaches back.
    pub overlap: Duration,
    /// How long after a save the listing may still show the previous version.
    pub listing_settles_in: Duration,
}

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub run_id: RunId,
    /// The kind of run.
    pub mode: RunMode,
    /// What it found and did.
    pub found: RunCounts,
}

/// Does one run. Calls `observe` after each page.
pub async fn run(
    environment: &Environment,
    options: &Options,
    patience: &Patience,
    observe: impl Fn(&RunCounts),
) -> Result<Report, RunError> {
    let mut run = Run::start(environment, options, patience).await?;
    // With filters that apply only once, no run would take up the lost jobs of other assets.
    if !options.is_part {
        run.take_up_lost().await?;
    }
    if let Some(class) = options.retry_failed {
        run.take_up_failed(class).await?;
    }
    match run.most_fresh() {
        Some(most) => run.publish_newest(most, &observe).await?,
        None => run.publish_in_order(&observe).await?,
    }
    run.finish().await
}

/// The bounds of a date range for the portal, wide enough however it interprets them; each row is checked again.
fn bounds(range: Option<DateRange>) -> (Option<Timestamp>, Option<Timestamp>) {
    let range = range.unwrap_or_default();
    let a_second_before = |from: Timestamp| from.checked_sub(SignedDuration::from_secs(1)).unwrap_or(from);
    (range.from.map(a_second_before), range.before)
}

/// Why an asset is considered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// The walk reached it, or its job was lost.
    Walked,
    /// The walk reached it, but no person requested it.
    Unasked,
    /// A person wants it tried, even if it failed before.
    Again,
}

/// The result of considering an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It has a job.
    Published,
    /// It has none, for this reason.
    Left(SkipReason),
    /// It was deleted.
    Gone,
    /// A limit leaves no room for it.
    Limited,
}

struct Run<'a> {
    environment: &'a Environment,
    options: &'a Options,
    patience: &'a Patience,
    id: RunId,
    walked: Walked,
    /// The cursor before the run.
    cursor: Option<Timestamp>,
    walk: Walk,
    /// The first page of the walk, if it was received already.
    first: Option<Step>,
    found: RunCounts,
    allowance: Allowance,
    named: RequestedIds,
    /// Assets of unsupported types that are already in the ledger.
    recorded: u64,
    /// Assets that were fetched by id; the walk can skip them.
    taken_up: HashMap<AssetId, Fate>,
    /// The count of the library, if the run covers all of it.
    census: Option<Census>,
    /// Whether the walk was interrupted on this page, so that the run may have published jobs for its assets.
    is_page_again: bool,
}

impl<'a> Run<'a> {
    async fn start(
        environment: &'a Environment,
        options: &'a Options,
        patience: &'a Patience,
    ) -> Result<Self, RunError> {
        let ledger = &environment.ledger;
        let mode = options.scope.mode();
        let fingerprint = format!("{:?} {}", options.scope, environment.filter.fingerprint());
        let interrupted = if options.dry_run {
            None
        } else {
            ledger.interrupted_run(mode, options.is_part, &fingerprint).await?
        };
        let (place, counted) = checkpoint::of(interrupted.as_ref());
        let stretch = match options.scope {
            Scope::Full => {
                let (from, to) = bounds(environment.filter.created);
                Stretch { field: DateField::Created, from, to }
            }
            Scope::Since(since) | Scope::WholeSince(since) => {
                let (from, to) = bounds(environment.filter.modified);
                Stretch { field: DateField::Modified, from: from.max(Some(since)), to }
            }
        };
        let requests = environment.filter.push_down();
        // A resumed walk does not see the earlier rows again.
        let names_all = options.scope == Scope::Full && place.is_none();
        let counts =
            options.scope == Scope::Full && !options.is_part && !options.dry_run && !requests.may_overlap();
        let mut census = counted.filter(|_| counts);
        let place = place.map(WalkPosition::a_second_earlier);
        let mut walk =
            Walk::new(environment.bynder.clone(), requests, stretch, environment.overlap, place.clone());
        let mut first = None;
        let is_page_again = interrupted.is_some();
        let (id, started, by_portal) = if let Some(run) = interrupted {
            tracing::info!(run_id = %run.run_id, "going on with the interrupted run");
            if options.most_fresh.is_some() && options.scope.lane() == Lane::Fresh && place.is_none() {
                // It begins anew, with what changed meanwhile; only its jobs' ids have to be the same.
                first = patience.unless_over(walk.next(patience)).await??;
            }
            if counts && place.is_none() {
                census = Some(Census::of(look(environment, patience, true).await?.total));
            }
            (run.run_id, run.started, true)
        } else {
            // The first page of changes shows the portal's time as well as any other call.
            let by_portal = match options.scope {
                Scope::Full => {
                    let page = look(environment, patience, counts).await?;
                    census = counts.then(|| Census::of(page.total));
                    page.portal_time
                }
                Scope::Since(_) | Scope::WholeSince(_) => {
                    let asked = Instant::now();
                    first = patience.unless_over(walk.next(patience)).await??;
                    // The answer states the time after the search, in whole seconds; what was added between is not in it.
                    let after = SignedDuration::try_from(asked.elapsed()).unwrap_or(SignedDuration::MAX);
                    let time = first.as_ref().and_then(|page| page.portal_time);
                    time.and_then(|time| {
                        time.checked_sub(after.saturating_add(SignedDuration::from_secs(1))).ok()
                    })
                }
            };
            let started = by_portal.unwrap_or_else(Timestamp::now);
            (RunId(new_run_id(started)), started, by_portal.is_some())
        };
        if stretch.field == DateField::Modified {
            walk.end_at(first.as_ref().and_then(|page| page.portal_time).unwrap_or(started));
        }
        if !options.dry_run && place.is_none() {
            // A resumed run that never reached a checkpoint already exists, and starting it anew is harmless.
            ledger.begin_run_if_new(&id, mode, options.is_part, &fingerprint, started).await?;
        }
        let named = if names_all {
            RequestedIds::new(&environment.filter.include.ids)
        } else {
            RequestedIds::default()
        };
        // The jobs that a dry run counts are not published, so they must not count towards the day of other runs.
        let (limits, max_assets) = (&environment.limits, options.max_assets);
        let day = if options.dry_run {
            Arc::new(DayAllowance::new(limits, ledger.clone()))
        } else {
            Arc::clone(&environment.day)
        };
        let allowance = Allowance::of(&id, limits, max_assets, options.asked_for, ledger, day).await?;
        let run = Self {
            environment,
            options,
            patience,
            id,
            walked: Walked { scope: options.scope, started, by_portal, latest_change: None },
            cursor: ledger.cursor().await?,
            walk,
            first,
            found: RunCounts::default(),
            allowance,
            named,
            recorded: 0,
            taken_up: HashMap::new(),
            census,
            is_page_again,
        };
        run.show_allowance();
        Ok(run)
    }

    /// Publishes the assets in the order of the listing, and waits for room in the queue.
    async fn publish_in_order(&mut self, observe: &impl Fn(&RunCounts)) -> Result<(), RunError> {
        let lane = self.options.scope.lane();
        while let Some(step) = self.next_page().await? {
            self.saw(&step);
            let known = self.known_of(&step.assets).await?;
            for asset in &step.assets {
                self.go_on()?;
                let fate = if let Some(fate) = self.taken_up.get(&asset.id) {
                    *fate
                } else {
                    let known = known.get(&asset.id).copied().unwrap_or_default();
                    self.consider_row(asset, lane, self.cause(asset), known).await?
                };
                if fate == Fate::Limited {
                    break;
                }
                self.count(asset, fate).await?;
            }
            self.is_page_again = false;
            observe(&self.found);
            if self.found.limit.is_some() {
                break;
            }
            self.checkpoint(step.next.as_ref()).await?;
        }
        Ok(())
    }

    fn cause(&self, asset: &Asset) -> Cause {
        let retry = self.options.retries_named && !self.environment.filter.include.ids.is_empty();
        match (self.options.admission.admits(asset), retry) {
            (false, _) => Cause::Unasked,
            (true, true) => Cause::Again,
            (true, false) => Cause::Walked,
        }
    }

    fn go_on(&self) -> Result<(), RunError> {
        if self.patience.is_over() { Err(Stopped.into()) } else { Ok(()) }
    }

    async fn next_page(&mut self) -> Result<Option<Step>, RunError> {
        // A page may have no asset.
        self.go_on()?;
        match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => Ok(self.patience.unless_over(self.walk.next(self.patience)).await??),
        }
    }

    /// Counts the rows of a page.
    fn saw(&mut self, step: &Step) {
        for _ in 0..step.unreadable {
            self.skip(SkipReason::Unreadable);
        }
        if let Some(census) = &mut self.census {
            census.count_unreadable(step.unreadable);
        }
        let rows = (step.assets.len() + step.unreadable) as u64;
        self.found.listed += rows;
        self.environment.metrics.assets_listed(rows);
        self.walked.by_portal &= step.portal_time.is_some();
        let latest = step.assets.iter().map(|asset| asset.modified).max();
        self.walked.latest_change = self.walked.latest_change.max(latest);
    }

    fn skip(&mut self, reason: SkipReason) {
        let reason = self.found.skip(reason);
        self.environment.metrics.asset_skipped(reason);
    }

    async fn finish(mut self) -> Result<Report, RunError> {
        if !self.options.dry_run {
            if let Some(census) = self.census.take().filter(|_| self.found.limit.is_none()) {
                // Before the end of the walk: a run that is resumed in between counts the same again.
                let library = Library { run: self.id.clone(), at: Timestamp::now(), counts: census.finish() };
                self.environment.ledger.note_library(&library).await?;
            }
            let state = if self.found.limit.is_some() { RunState::Stopped } else { RunState::Enumerated };
            let cursor = self.cursor_after();
            let unsupported = self.found.unsupported() - self.recorded;
            self.environment.ledger.end_walk(&self.id, state, cursor, unsupported).await?;
        }
        if self.found.limit.is_none() {
            self.named.log_missing();
        }
        Ok(Report { run_id: self.id, mode: self.options.scope.mode(), found: self.found })
    }

    fn cursor_after(&self) -> Option<Timestamp> {
        // What is postponed must be listed again.
        if self.options.is_part || self.found.limit.is_some() || self.found.is_postponed() {
            return None;
        }
        let after = cursor::after(&self.walked, self.cursor, self.environment.overlap);
        if let (None, Some(cursor), true) = (after, self.cursor, self.walked.by_portal) {
            tracing::warn!(
                %cursor,
                "the cursor stays where it is: the run began later, and what changed between is left to the next one"
            );
        }
        after
    }
}

/// One row of the library: it shows the start of the run by the portal's clock, since the cursor must not depend on this machine's,
/// and how many assets there are.
async fn look(environment: &Environment, patience: &Patience, total: bool) -> Result<bynder::Page, RunError> {
    let query = bynder::ListQuery { limit: 1, page: 1, total, ..bynder::ListQuery::default() };
    Ok(patience.unless_over(patiently(patience, || environment.bynder.list(&query))).await??)
}

fn new_run_id(started: Timestamp) -> String {
    let time = jiff::fmt::strtime::format("%Y%m%dT%H%M%SZ", started).unwrap_or_default();
    format!("{time}-{:08x}", rand::random::<u32>())
}
