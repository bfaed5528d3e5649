//! The state of the work, looked at once for all who ask at the same time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use budget::{Figures, Records};
use common::failure::Failure;
use jiff::Timestamp;
use ledger::{FailedFilter, Library, RecordCounts};
use queue::EmbeddedQueue;
use standing::{Queues, Standing};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::state::{PageState, Record};

/// How long a snapshot is shown, at least.
const FRESH: Duration = Duration::from_secs(2);
/// How many times as long as it took a snapshot is shown, so that looking takes a small part of a processor.
const REST_FACTOR: u32 = 10;

pub(super) struct Snapshot {
    pub(super) at: Timestamp,
    pub(super) standing: Standing,
    /// The library by the last complete walk over it; `None` before the first.
    pub(super) library: Option<Library>,
    /// The assets of the record, by the end of their latest job.
    pub(super) record: RecordCounts,
    /// Failed jobs that are kept, by class.
    pub(super) failed: BTreeMap<&'static str, u64>,
    /// The request budget of the running connector.
    pub(super) budget: Option<BudgetFigures>,
    /// Why the connector cannot do its work.
    pub(super) reasons: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct BudgetFigures {
    pub(super) requests_per_5_minutes: u32,
    pub(super) figures: Figures,
}

#[derive(Default)]
pub(super) struct Snapshots {
    /// The latest one, and until when it is shown.
    latest: Mutex<Option<(Instant, Arc<Snapshot>)>>,
}

impl Snapshots {
    pub(super) async fn latest(&self, state: &PageState) -> Result<Arc<Snapshot>, Failure> {
        let mut latest = self.latest.lock().await;
        let started = Instant::now();
        if let Some((_, snapshot)) = latest.as_ref().filter(|(until, _)| started < *until) {
            return Ok(Arc::clone(snapshot));
        }
        let snapshot = Arc::new(self.take(state).await?);
        let fresh = FRESH.max(started.elapsed() * REST_FACTOR);
        *latest = Some((Instant::now() + fresh, Arc::clone(&snapshot)));
        Ok(snapshot)
    }

    async fn take(&self, state: &PageState) -> Result<Snapshot, Failure> {
        let record = state.record().await?;
        let queues = queues(state, record.as_ref()).await;
        let ledger = record.as_ref().map(|record| &record.ledger);
        let standing = Standing::of(state.config(), ledger, queues).await?;
        let (mut library, mut counts, mut failed) = (None, RecordCounts::default(), BTreeMap::new());
        if let Some(ledger) = ledger {
            library = ledger.library().await?;
            counts = ledger.record_counts().await?;
            failed = ledger.failed_by_class(&FailedFilter::default()).await?;
        }
        let budget = state.live().map(|live| BudgetFigures {
            requests_per_5_minutes: live.budget.requests(),
            figures: live.budget.figures(),
        });
        Ok(Snapshot {
            at: Timestamp::now(),
            standing,
            library,
            record: counts,
            failed,
            budget,
            reasons: state.reasons(),
        })
    }
}

/// What the queue of the running connector shows, or this machine's record of it.
async fn queues(state: &PageState, record: Option<&Record>) -> Queues {
    let config = state.config();
    let mut queues = Queues::on_record(config);
    if config.broker.is_none() {
        queues.services_out = Records::new(&config.producer.state_dir).services_out();
    }
    match (state.live(), record) {
        (Some(live), _) => {
            queues.depth = live.jobs.depth().await.map_err(Failure::from);
            match live.pause.paused().await {
                Ok(paused) => queues.paused = paused,
                Err(failure) => queues.depth = Err(failure),
            }
            queues.silent = live.budget.paused().is_some();
        }
        (None, _) if config.broker.is_some() => {
            queues.depth = Err(Failure::Temporary("the connector is not connected to the broker".to_owned()));
        }
        (None, Some(record)) => {
            queues.depth = EmbeddedQueue::depth_in(&record.state).await.map_err(Failure::from);
        }
        (None, None) => {}
    }
    queues
}
