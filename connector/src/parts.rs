//! Builds the running parts from the configuration.

use std::sync::Arc;
use std::time::Duration;

use breakers::Breakers;
use budget::{Budget, Records};
use common::failure::Failure;
use common::service::Service;
use config::Config;
use ledger::Ledger;
use ledger::state::State;
use page::Live;
use queue::EmbeddedQueue;
use telemetry::Metrics;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use wiring::quiet_hours;
use worker::Concurrency;

pub(crate) struct Parts {
    pub(crate) budget: Budget,
    pub(crate) ledger: Ledger,
    pub(crate) queue: EmbeddedQueue,
    pub(crate) producer: producer::run::Environment,
    pub(crate) worker: worker::Environment,
}

/// How often unusable services are recorded; a record expires after a few of these intervals.
const RECORD_EVERY: Duration = Duration::from_secs(3);

impl Parts {
    /// What a working process does besides its jobs, until this is dropped: it keeps to quiet hours, follows the records of other
    /// processes, and records which services cannot be used.
    pub(crate) fn attend(&self, config: &Config) -> [AbortOnDropHandle<()>; 3] {
        let budget = self.budget.clone();
        let recorded =
            record_unusable_services(self.worker.breakers.clone(), Records::new(&config.producer.state_dir));
        [
            quiet_hours::keep(config, &self.budget),
            AbortOnDropHandle::new(tasks::lasting(async move { budget.follow_records().await })),
            AbortOnDropHandle::new(tasks::lasting(recorded)),
        ]
    }

    /// What the operator's page shows and acts on.
    pub(crate) fn live(&self, config: &Config) -> Live {
        Live {
            ledger: self.ledger.clone(),
            failed: Arc::new(self.queue.clone()),
            jobs: Arc::new(self.queue.clone()),
            pause: Arc::new(Records::new(&config.producer.state_dir)),
            budget: self.budget.clone(),
            pictures: Arc::new(self.producer.bynder.clone()),
        }
    }

    /// Takes jobs from the queue until `stop` is cancelled and those in work have ended.
    pub(crate) fn consume(&self, config: &Config, stop: CancellationToken) -> JoinHandle<()> {
        tasks::brief(worker::consume(self.worker.clone(), stop, config.worker.grace.0))
    }
}

/// Records which services cannot be used, for `connector status`, while that is so.
async fn record_unusable_services(breakers: Breakers, records: Records) {
    let mut recorded = Vec::new();
    loop {
        let out = Service::ALL.into_iter().filter(|service| breakers.is_open(*service));
        let out: Vec<_> = out.map(|service| service.label().to_owned()).collect();
        if !out.is_empty() || out != recorded {
            if let Err(error) = records.record_services_out(&out) {
                tracing::warn!(%error, "cannot write into the state directory");
            }
            recorded = out;
        }
        tokio::time::sleep(RECORD_EVERY).await;
    }
}

/// Builds the parts, and asks the portal for what a run needs to know.
pub(crate) async fn parts(config: &Config, metrics: Metrics) -> Result<Parts, Failure> {
    let budget = wiring::whole_budget(config);
    let concurrency = Concurrency::new(config.worker.concurrency, &metrics);
    let bynder = wiring::bynder_observed(config, &budget, Arc::new(concurrency.clone()))?;
    let imatag = wiring::imatag_observed(config, Arc::new(concurrency.clone()), None)?;
    let state = State::open_when_free(&config.producer.state_dir).await?;
    let ledger = Ledger::new(state.clone());
    let queue = EmbeddedQueue::open(state).await?;
    let spool = wiring::spool(config)?;
    let resolved = producer::portal::resolve(config, &bynder).await?;
    producer::portal::bind_state_to_portal(config, &ledger).await?;
    let settings = worker::wiring::settings(config, resolved.fields.clone(), resolved.metaproperties.clone());
    let profile = config.imatag.wire()?;
    let proven = profile.confirmed || ledger.is_wire_proven(&profile.hash).await?;
    let worker = worker::Environment {
        bynder: Arc::new(bynder.clone()),
        imatag: Arc::new(imatag),
        queue: Arc::new(queue.clone()),
        locks: Arc::new(queue.clone()),
        spool,
        readers: Arc::new(worker::wiring::readers(config)),
        budget: budget.clone(),
        breakers: breakers::Breakers::for_wire(proven),
        concurrency,
        probes: worker::Probes::default(),
        approval: worker::approval::Approval::default(),
        service_times: worker::ServiceTimes::new(&settings.rungs),
        metrics: metrics.clone(),
        settings: Arc::new(settings),
    };
    let queues = producer::wiring::Queues { jobs: Arc::new(queue.clone()), failed: Arc::new(queue.clone()) };
    let producer = producer::wiring::environment(config, bynder, ledger.clone(), queues, resolved, metrics);
    Ok(Parts { budget, ledger, queue, producer, worker })
}
