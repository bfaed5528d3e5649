//! From the configuration to running parts.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::budget::Budget;
use common::bynder::Bynder;
use common::config::{Config, Loaded, Override};
use common::imatag::Imatag;
use common::ledger::Ledger;
use common::queue::EmbeddedQueue;
use common::spool::Spool;
use common::state::State;
use producer::filter::Filter;
use producer::portal::{PortalError, hash_metaproperty};
use producer::{Patience, patiently};
use toml::Value;

use crate::arguments::{Common, Scope};
use crate::failure::Failure;
use crate::output;

/// Where the configuration is looked for if nobody says.
const DEFAULT_FILE: &str = "connector.toml";

/// Reads the configuration with everything the command line lays over it, and says its warnings.
pub(crate) fn load(common: &Common, run: Option<&Scope>) -> Result<Loaded, Failure> {
    let default = Path::new(DEFAULT_FILE);
    let file = common.config.as_deref().or_else(|| default.exists().then_some(default));
    let overrides = run.map(overrides).transpose()?.unwrap_or_default();
    let loaded = Config::load(file, &overrides).map_err(|error| match file {
        Some(_) => Failure::from(error),
        None => Failure::Configuration(format!("{error} (no {DEFAULT_FILE} here; name one with --config)")),
    })?;
    if !common.quiet {
        for warning in &loaded.warnings {
            output::talk(&format!("warning: {warning}"));
        }
    }
    Ok(loaded)
}

fn overrides(run: &Scope) -> Result<Vec<Override>, Failure> {
    let mut overrides = Vec::new();
    for filter in &run.filters {
        let Some((key, value)) = filter.split_once('=') else {
            return Err(Failure::Usage(format!("--filter {filter}: write KEY=VALUE, such as types=image")));
        };
        let values = value.split(',').map(|value| Value::String(value.trim().to_owned())).collect();
        overrides.push(Override { key: format!("filters.{}", key.trim()), value: Value::Array(values) });
    }
    if let Some(path) = &run.ids_from {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::Usage(format!("--ids-from: cannot read {}: {error}", path.display()))
        })?;
        let ids = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let ids = ids.map(|id| Value::String(id.to_owned())).collect();
        overrides.push(Override { key: "filters.ids".to_owned(), value: Value::Array(ids) });
    }
    Ok(overrides)
}

/// The portal's client and its request budget.
pub(crate) fn bynder(config: &Config) -> Result<(Bynder, Budget), Failure> {
    let budget = Budget::new(config.bynder.requests_per_5_minutes);
    let settings = common::bynder::Settings {
        portal: config.bynder.portal()?,
        credential: config.bynder.credential()?,
        request_timeout: config.worker.request_timeout.0,
    };
    Ok((Bynder::new(settings, Arc::new(budget.clone()))?, budget))
}

/// Imatag's client.
pub(crate) fn imatag(config: &Config) -> Result<Imatag, Failure> {
    let settings = common::imatag::Settings {
        profile: config.imatag.wire()?,
        base_url: config.imatag.base_url.clone(),
        credential: config.imatag.credential()?,
        directory: config.imatag.directory.clone(),
        media_id_metadata: config.imatag.media_id_metadata.clone(),
        request_timeout: config.worker.request_timeout.0,
    };
    Ok(Imatag::new(settings)?)
}

/// Everything a run needs.
pub(crate) struct Parts {
    pub(crate) budget: Budget,
    pub(crate) ledger: Ledger,
    pub(crate) queue: EmbeddedQueue,
    pub(crate) producer: producer::run::Environment,
    pub(crate) worker: worker::Environment,
}

/// How many times its configured lag the listing is given under load.
const LAGS: u32 = 10;

/// A version restored within this time is taken up by the next run, so that run's overlap has to reach as far back.
pub(crate) fn listing_settles_in(config: &Config) -> Duration {
    (config.bynder.index_lag.0 * LAGS).min(config.producer.overlap.0)
}

/// Builds the parts and asks the portal what has to be known before anything is done.
pub(crate) async fn parts(config: &Config) -> Result<Parts, Failure> {
    let (bynder, budget) = bynder(config)?;
    let imatag = imatag(config)?;
    let state = State::open(&config.producer.state_dir)?;
    let ledger = Ledger::new(state.clone());
    let queue = EmbeddedQueue::open(state).await?;
    let spool_dir = &config.worker.spool_dir;
    let spool = Spool::open(spool_dir, config.worker.spool_max.as_u64()).map_err(|error| {
        Failure::Configuration(format!("worker.spool_dir: cannot use {}: {error}", spool_dir.display()))
    })?;
    let (filter, metaproperty) = resolve(config, &bynder).await?;
    let producer = producer::run::Environment {
        bynder: bynder.clone(),
        ledger: ledger.clone(),
        queue: Arc::new(queue.clone()),
        filter,
        metaproperty: metaproperty.name.clone(),
        limits: config.limits.clone(),
        listing_settles_in: listing_settles_in(config),
    };
    let settings = worker::Settings {
        metaproperty,
        legacy: config.marker.legacy,
        resubmit_unknown: config.imatag.resubmit_unknown,
        concurrency: config.worker.concurrency,
        max_attempts: config.worker.max_attempts,
        request_timeout: config.worker.request_timeout.0,
        rungs: config.queue.rungs.iter().map(|rung| rung.0).collect(),
    };
    let worker = worker::Environment {
        bynder,
        imatag,
        queue: Arc::new(queue.clone()),
        spool,
        budget: budget.clone(),
        breakers: worker::breaker::Breakers::default(),
        settings: Arc::new(settings),
    };
    Ok(Parts { budget, ledger, queue, producer, worker })
}

async fn resolve(config: &Config, bynder: &Bynder) -> Result<(Filter, worker::Metaproperty), PortalError> {
    let known = patiently(&Patience::brief(), || bynder.metaproperties()).await?;
    let found = hash_metaproperty(&known, &config.bynder.hash_metaproperty)?;
    let metaproperty = worker::Metaproperty { name: found.name.clone(), id: found.id.clone() };
    let filter = producer::filter::resolve(&config.filters, bynder, &known).await?;
    Ok((filter, metaproperty))
}
