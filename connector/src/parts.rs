//! Builds the running parts from the configuration.

use std::sync::Arc;

use budget::Budget;
use common::failure::Failure;
use config::Config;
use ledger::Ledger;
use ledger::state::State;
use queue::EmbeddedQueue;
use telemetry::Metrics;
use wiring::WrittenFields;

pub(crate) struct Parts {
    pub(crate) budget: Budget,
    pub(crate) ledger: Ledger,
    pub(crate) queue: EmbeddedQueue,
    pub(crate) producer: producer::run::Environment,
    pub(crate) worker: worker::Environment,
}

/// Builds the parts, and asks the portal for what a run needs to know.
pub(crate) async fn parts(config: &Config) -> Result<Parts, Failure> {
    let budget = wiring::whole_budget(config);
    let metrics = Metrics::new();
    let bynder = wiring::bynder(config, &budget, &metrics)?;
    let imatag = wiring::imatag(config, &metrics)?;
    let state = State::open_when_free(&config.producer.state_dir).await?;
    let ledger = Ledger::new(state.clone());
    let queue = EmbeddedQueue::open(state).await?;
    let spool = wiring::spool(config)?;
    let resolved = producer::portal::resolve(config, &bynder).await?;
    producer::portal::bind_state_to_portal(config, &ledger).await?;
    let (status, link) = (resolved.status.as_ref(), resolved.link.as_ref());
    let fields = WrittenFields { hash: &resolved.metaproperty, status, link };
    let settings = worker::wiring::settings(config, fields, resolved.metaproperties.clone());
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
        breakers: worker::breaker::Breakers::for_wire(proven),
        probes: worker::Probes::default(),
        approval: worker::approval::Approval::default(),
        metrics: metrics.clone(),
        settings: Arc::new(settings),
    };
    let queues = producer::wiring::Queues { jobs: Arc::new(queue.clone()), failed: Arc::new(queue.clone()) };
    let producer = producer::wiring::environment(config, bynder, ledger.clone(), queues, resolved, metrics);
    Ok(Parts { budget, ledger, queue, producer, worker })
}
