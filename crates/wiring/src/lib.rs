//! Builds the parts of a running program from the command line and the configuration: clients, budget, spool and the
//! broker's settings.
//!
//! All programs build their parts here, so that a configuration key means the same in each.
//! [`command_budget::CommandBudget`] is the budget of a command that a person runs while a fleet works;
//! [`quiet_hours`] applies the schedule of quiet hours.
//!
//! ```no_run
//! use common::failure::Failure;
//! use telemetry::Metrics;
//!
//! # async fn example() -> Result<(), Failure> {
//! let loaded = wiring::load(None, &[], false)?;
//! let (config, metrics) = (&loaded.config, Metrics::new());
//! let budget = wiring::whole_budget(config);
//! let bynder = wiring::bynder(config, &budget, &metrics)?;
//! println!("{:?}", bynder.account().await?);
//! # Ok(())
//! # }
//! ```

pub mod command_budget;
mod notifying;
pub mod quiet_hours;
mod written_fields;

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

pub use notifying::notifier;
pub use written_fields::{MetapropertyError, WrittenFields, written_fields};

use budget::{Budget, Records};
use bynder::Bynder;
use cli::options::GlobalOptions;
use cli::output;
use common::failure::Failure;
use config::{Config, Loaded, Override};
use files::spool::Spool;
use files::written::{self, Chosen};
use http_client::{ExchangeLog, RequestObserver};
use imatag::Imatag;
use telemetry::Metrics;

/// The default path of the configuration file.
pub const DEFAULT_FILE: &str = "connector.toml";

/// The configuration file: the given one, or else the default.
pub fn file(named: Option<&Path>) -> (&Path, Chosen) {
    named.map_or((Path::new(DEFAULT_FILE), Chosen::Found), |named| (named, Chosen::Named))
}

/// Reads the configuration with the overrides from the command line, and prints its warnings unless `quiet`.
pub fn load(named: Option<&Path>, overrides: &[Override], quiet: bool) -> Result<Loaded, Failure> {
    let (file, chosen) = file(named);
    let file = Some(file).filter(|file| named.is_some() || file.symlink_metadata().is_ok());
    let loaded = Config::load(file, chosen, overrides).map_err(|error| match file {
        Some(_) => Failure::from(error),
        None => Failure::Configuration(format!("{error} (no {DEFAULT_FILE} here; name one with --config)")),
    })?;
    if !quiet {
        for warning in &loaded.warnings {
            output::warning(warning);
        }
    }
    Ok(loaded)
}

/// The same, with the options of a command.
pub fn load_for(global: &GlobalOptions, overrides: &[Override]) -> Result<Loaded, Failure> {
    load(global.config.as_deref(), overrides, global.quiet)
}

/// The whole budget for this process, with the silence and the pause in the state directory.
pub fn whole_budget(config: &Config) -> Budget {
    let records = Records::new(&config.producer.state_dir);
    Budget::alone(quiet_hours::requests(config, Timestamp::now()), Some(records))
}

/// The portal's client, whose calls this budget admits.
pub fn bynder(config: &Config, budget: &Budget, metrics: &Metrics) -> Result<Bynder, Failure> {
    bynder_observed(config, budget, Arc::new(metrics.clone()))
}

/// The portal's client, whose requests this observer counts.
pub fn bynder_observed(
    config: &Config,
    budget: &Budget,
    observer: Arc<dyn RequestObserver>,
) -> Result<Bynder, Failure> {
    let settings = bynder::Settings {
        portal: config.bynder.portal()?,
        allow_http: config.bynder.allow_http,
        storage_hosts: config.bynder.storage_hosts(),
        credential: config.bynder.credential()?,
        request_timeout: config.worker.request_timeout.0,
        part_size: config.bynder.part_size.as_u64(),
        parts_at_once: config.bynder.parts_at_once,
        observer,
    };
    Ok(Bynder::new(settings, Arc::new(budget.clone()))?)
}

pub fn imatag(config: &Config, metrics: &Metrics) -> Result<Imatag, Failure> {
    imatag_observed(config, Arc::new(metrics.clone()), None)
}

/// Imatag's client, whose requests this observer counts, and which logs each exchange.
pub fn imatag_observed(
    config: &Config,
    observer: Arc<dyn RequestObserver>,
    exchange_log: Option<ExchangeLog>,
) -> Result<Imatag, Failure> {
    let settings = imatag::Settings {
        profile: config.imatag.wire()?,
        base_url: config.imatag.base_url.clone(),
        allow_http: config.imatag.allow_http,
        credential: config.imatag.credential()?,
        directories: config.imatag.all_directories(),
        media_id_metadata: config.imatag.media_id_metadata.clone(),
        request_timeout: config.worker.request_timeout.0,
        observer,
        uploads_in_flight: config.imatag.uploads_in_flight,
        exchange_log,
    };
    Ok(Imatag::new(settings)?)
}

/// The settings for the broker; `program` is the name to announce.
pub fn broker(config: &Config, program: &str) -> Result<rabbitmq::Settings, Failure> {
    let Some(broker) = &config.broker else {
        return Err(Failure::Configuration(
            "broker.url is missing; write url = { env = … } under [broker], or use `connector sync`, which needs none"
                .to_owned(),
        ));
    };
    let read = |path| written::read_to_string(path, Chosen::Found).map(|(text, _)| text);
    let authority = broker.ca_file.as_deref().map(read).transpose();
    let authority = authority
        .map_err(|error| Failure::Configuration(format!("broker.ca_file: cannot read it: {error}")))?;
    let keys = broker.message_key.as_ref().map(|key| {
        let wrong = |reason| Failure::Configuration(format!("broker.message_key: {reason}"));
        rabbitmq::MessageKeys::read(&key.resolve("broker.message_key")?).map_err(wrong)
    });
    let keys = keys.transpose()?;
    let settings = rabbitmq::Settings {
        url: broker.url.resolve("broker.url")?,
        allow_plain: broker.allow_plain,
        authority,
        portal: config.bynder.origin()?,
        prefix: config.queue.prefix.clone(),
        rungs: config.queue.rungs.iter().map(|rung| rung.0).collect(),
        keys: keys.unwrap_or_default(),
        program: program.to_owned(),
        egress_group: config.bynder.egress_group.clone(),
    };
    settings.check().map_err(|error| Failure::Configuration(error.to_string()))?;
    Ok(settings)
}

/// Opens the spool.
pub fn spool(config: &Config) -> Result<Spool, Failure> {
    let directory = &config.worker.spool_dir;
    Spool::open(directory, config.worker.spool_max.as_u64()).map_err(|error| {
        Failure::Configuration(format!("worker.spool_dir: cannot use {}: {error}", directory.display()))
    })
}
