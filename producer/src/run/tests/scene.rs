//! The environment of a run: a portal in memory, and the queue of one machine.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Mutex, Once};

use async_trait::async_trait;
use budget::Budget;
use bynder::Metaproperty;
use common::job::Job;
use common::outcome::{Failure, FailureClass, Outcome, Placed};
use config::Config;
use ledger::state::State;
use queue::{Depth, EmbeddedQueue, JobConsumer, QueueError, Settlement, StepSet};
use wiring::WrittenFields;

use super::super::*;
use super::portal::FakePortal;
use crate::portal::Resolved;
use crate::wiring::Queues;

/// A queue that may refuse calls and show another depth.
pub(super) struct Jobs {
    pub(super) queue: EmbeddedQueue,
    /// Another run publishes this job while a run waits for room.
    pub(super) meanwhile: Mutex<Option<Job>>,
    /// The jobs in the order in which they were published.
    pub(super) published: Mutex<Vec<Job>>,
    /// The next calls fail with these.
    pub(super) fails: Mutex<VecDeque<QueueError>>,
    /// What is shown instead of the depth, in turn.
    pub(super) depths: Mutex<VecDeque<Depth>>,
    /// How often the depth was asked for.
    pub(super) looks: Mutex<usize>,
}

impl Jobs {
    fn fail(&self) -> Result<(), QueueError> {
        self.fails.lock().unwrap().pop_front().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl JobPublisher for Jobs {
    async fn publish(&self, job: &Job) -> Result<(), QueueError> {
        self.fail()?;
        self.queue.publish(job).await?;
        self.published.lock().unwrap().push(job.clone());
        Ok(())
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        *self.looks.lock().unwrap() += 1;
        self.fail()?;
        let job = self.meanwhile.lock().unwrap().take();
        if let Some(job) = job {
            self.queue.publish(&job).await?;
        }
        let shown = self.depths.lock().unwrap().pop_front();
        match shown {
            Some(depth) => Ok(depth),
            None => self.queue.depth().await,
        }
    }
}

pub(super) struct Scene {
    pub(super) portal: FakePortal,
    pub(super) jobs: Arc<Jobs>,
    pub(super) environment: Environment,
}

impl Scene {
    pub(super) async fn new() -> Self {
        Self::with("").await
    }

    /// A scene with this at the end of the configuration.
    pub(super) async fn with(more: &str) -> Self {
        listen();
        let portal = FakePortal::default();
        let address = portal.serve().await;
        let file = format!(
            "bynder = {{ domain = '{address}', hash_metaproperty = 'h', api_token = 't' }}\n\
             imatag = {{ directory = 'd', api_key = 'k' }}\n{more}"
        );
        let config = Config::parse(&file).unwrap();
        let metrics = Metrics::new();
        let budget = Budget::alone(std::num::NonZero::new(4_000_000).unwrap(), None);
        let bynder = wiring::bynder(&config, &budget, &metrics).unwrap();
        let state = State::in_memory().unwrap();
        let queue = EmbeddedQueue::open(state.clone()).await.unwrap();
        let hash: Metaproperty = serde_json::from_str(r#"{"id": "1", "name": "h"}"#).unwrap();
        let resolved = Resolved {
            filter: Filter::default(),
            destinations: Destinations::resolve(&config.imatag, &bynder, &[]).await.unwrap(),
            fields: WrittenFields { hash, status: None, link: None },
            metaproperties: Vec::new(),
        };
        let jobs = Arc::new(Jobs {
            queue: queue.clone(),
            meanwhile: Mutex::default(),
            published: Mutex::default(),
            fails: Mutex::default(),
            depths: Mutex::default(),
            looks: Mutex::default(),
        });
        let queues = Queues { jobs: Arc::<Jobs>::clone(&jobs), failed: Arc::new(queue) };
        let ledger = Ledger::new(state);
        let environment = crate::wiring::environment(&config, bynder, ledger, queues, resolved, metrics);
        Self { portal, jobs, environment }
    }

    /// Does a run, which must not fail.
    pub(super) async fn run(&self, options: &Options) -> Report {
        run(&self.environment, options, &Patience::brief(), |_| ()).await.unwrap()
    }

    /// Does a run, which must not fail; returns what it logged as well.
    pub(super) async fn logged(&self, options: &Options) -> (Report, String) {
        LOG.take();
        let report = self.run(options).await;
        (report, String::from_utf8(LOG.take()).unwrap())
    }

    /// The published jobs since the last call, by their assets.
    pub(super) fn published(&self) -> Vec<String> {
        self.jobs.published.lock().unwrap().drain(..).map(|job| job.asset_id.to_string()).collect()
    }

    /// The published jobs since the last call.
    pub(super) fn taken(&self) -> Vec<Job> {
        std::mem::take(&mut *self.jobs.published.lock().unwrap())
    }

    /// Ends the next job in the queue.
    pub(super) async fn ends(&self, outcome: Outcome) {
        self.ends_with(outcome, None).await;
    }

    /// Ends the next job in the queue, whose file is there.
    pub(super) async fn ends_with(&self, outcome: Outcome, placed: Option<Placed>) {
        let delivery = self.jobs.queue.next(StepSet::ALL).await.unwrap();
        let mut job = delivery.job.clone();
        job.effects.placed = placed;
        let event = Box::new(job.ended(outcome, Timestamp::now()));
        let settlement = match &event.outcome {
            Outcome::Failed(_) => Settlement::Fail { job: Box::new(job.clone()), event },
            _ => Settlement::Finish(event),
        };
        self.jobs.queue.settle(delivery, settlement).await.unwrap();
    }

    /// Whether the metrics have this line.
    pub(super) fn measures(&self, line: &str) -> bool {
        self.environment.metrics.render().lines().any(|shown| shown == line)
    }
}

pub(super) fn failed(class: FailureClass) -> Outcome {
    Outcome::Failed(Failure { class, reason: "no".into(), request_id: None })
}

/// The reasons for which assets were left alone.
pub(super) fn skipped(report: &Report) -> Vec<(SkipReason, u64)> {
    report.found.skipped.iter().map(|(reason, count)| (*reason, *count)).collect()
}

thread_local! {
    /// The log lines of the test that runs in this thread.
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Log;

impl std::io::Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        LOG.with_borrow_mut(|log| log.write(line))
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Collects the log lines of all tests. A subscriber of one test alone can miss lines that another test logs for the first
/// time just then.
fn listen() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(|| Log).finish();
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
}
