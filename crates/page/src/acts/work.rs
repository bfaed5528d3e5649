//! Acts on failed jobs, one at a time and in the background: there may be a hundred thousand jobs, and the browser may be closed
//! meanwhile.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use common::job::JobId;
use jiff::Timestamp;
use ledger::state::DatabaseError;
use ledger::{ActKind, FailedFilter, Ledger, NewAct};
use queue::{FailedJobs, QueueError};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::state::PageState;

/// What happens to failed jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Retry,
    Drop,
}

impl Change {
    pub(super) fn kind(self) -> ActKind {
        match self {
            Self::Retry => ActKind::Retry,
            Self::Drop => ActKind::Drop,
        }
    }
}

/// Which failed jobs a person decided on.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    pub(super) by: Arc<str>,
    pub(super) change: Change,
    pub(super) filter: FailedFilter,
    /// The filter in words.
    pub(super) what: String,
    /// The last outcome when the jobs were counted.
    pub(super) until: u64,
    /// The asset of a single job.
    pub(super) asset: Option<common::asset::AssetId>,
}

/// What the change works on.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) ledger: Ledger,
    pub(super) failed: Arc<dyn FailedJobs>,
    /// Cancelled when the process lets go of both.
    pub(super) end: CancellationToken,
}

/// How far the act under way is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Progress {
    pub(crate) id: u64,
    pub(crate) by: String,
    pub(crate) kind: &'static str,
    pub(crate) matching: u64,
    /// Failed jobs that were looked at to find the counted ones.
    pub(crate) looked_at: u64,
    pub(crate) changed: u64,
}

#[derive(Debug)]
struct UnderWay {
    id: u64,
    by: Arc<str>,
    kind: ActKind,
    matching: u64,
    looked_at: AtomicU64,
    changed: AtomicU64,
}

/// Why an act did not begin.
#[derive(Debug)]
pub(super) enum NotBegun {
    /// Another one is under way.
    Busy,
    /// None of the counted jobs is failed any more.
    Nothing,
    Record(DatabaseError),
}

/// An act that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Begun {
    pub(super) act: u64,
    pub(super) matching: u64,
}

/// Why an act ended early.
#[derive(Debug)]
enum Trouble {
    Stopped,
    Queue(QueueError),
}

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => write!(formatter, "the connector was stopped; the rest is as it was"),
            Self::Queue(error) => write!(formatter, "{error}; the rest is as it was"),
        }
    }
}

/// The acts of this process; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Acts {
    one: Arc<Semaphore>,
    under_way: Arc<Mutex<Option<Arc<UnderWay>>>>,
}

impl Acts {
    pub(crate) fn new() -> Self {
        Self { one: Arc::new(Semaphore::new(1)), under_way: Arc::default() }
    }

    pub(crate) fn progress(&self) -> Option<Progress> {
        let under_way = self.slot().clone()?;
        Some(Progress {
            id: under_way.id,
            by: under_way.by.to_string(),
            kind: under_way.kind.name(),
            matching: under_way.matching,
            looked_at: under_way.looked_at.load(Ordering::Relaxed),
            changed: under_way.changed.load(Ordering::Relaxed),
        })
    }

    /// Begins a change of exactly the jobs that were counted, as far as they are still failed. It is on record when this returns.
    pub(super) async fn begin(
        &self,
        page: &PageState,
        place: Place,
        decided: Decided,
    ) -> Result<Begun, NotBegun> {
        let permit = Arc::clone(&self.one).try_acquire_owned().map_err(|_| NotBegun::Busy)?;
        let Decided { by, change, filter, what, until, asset } = decided;
        let jobs = place.ledger.counted_failed(&filter, until).await.map_err(NotBegun::Record)?;
        if jobs.is_empty() {
            return Err(NotBegun::Nothing);
        }
        let (kind, matching) = (change.kind(), jobs.len() as u64);
        tracing::info!(
            by = &*by,
            what,
            jobs = matching,
            act = kind.name(),
            "an act by the operator's page begins"
        );
        let act = NewAct { by: by.to_string(), at: Timestamp::now(), kind, what, asset, matching };
        let id = place.ledger.begin_act(act).await.map_err(NotBegun::Record)?;
        let (looked_at, changed) = (AtomicU64::default(), AtomicU64::default());
        let under_way = Arc::new(UnderWay { id, by, kind, matching, looked_at, changed });
        *self.slot() = Some(Arc::clone(&under_way));
        page.in_background(self.clone().run(place, change, filter, jobs, under_way, permit));
        Ok(Begun { act: id, matching })
    }

    async fn run(
        self,
        place: Place,
        change: Change,
        filter: FailedFilter,
        jobs: HashSet<JobId>,
        under_way: Arc<UnderWay>,
        _permit: OwnedSemaphorePermit,
    ) {
        let working = work(&place, change, &filter, &jobs, &under_way);
        let ended = place.end.run_until_cancelled(working).await.unwrap_or(Err(Trouble::Stopped));
        let (changed, trouble) = match ended {
            Ok(changed) => (changed, None),
            Err(trouble) => (under_way.changed.load(Ordering::Relaxed), Some(trouble.to_string())),
        };
        let (id, by) = (under_way.id, &*under_way.by);
        tracing::info!(by, jobs = changed, trouble, "the act by the operator's page has ended");
        if let Err(error) = place.ledger.end_act(id, Timestamp::now(), changed, trouble).await {
            tracing::warn!(%error, "cannot record how the act ended");
        }
        *self.slot() = None;
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Arc<UnderWay>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Changes the jobs; returns how many it found. Each is changed on its own, so this may be dropped at any time.
async fn work(
    place: &Place,
    change: Change,
    filter: &FailedFilter,
    jobs: &HashSet<JobId>,
    under_way: &UnderWay,
) -> Result<u64, Trouble> {
    let looked_at = |passed| under_way.looked_at.store(passed, Ordering::Relaxed);
    let changed = |passed| under_way.changed.store(passed, Ordering::Relaxed);
    let mut selected = place.failed.select(filter, &looked_at).await.map_err(Trouble::Queue)?;
    selected.retain(|job, _| jobs.contains(job));
    let changed = match change {
        Change::Retry => place.failed.replay(&selected, &changed).await,
        Change::Drop => place.failed.forget(&selected, &changed).await,
    };
    changed.map_err(Trouble::Queue)
}
