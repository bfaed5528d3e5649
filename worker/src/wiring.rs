//! From the configuration to the worker's settings.

use std::time::Duration;

use bynder::Metaproperty;
use common::check::Check;
use config::{ChecksSection, Config};
use media::Checks;
use media::reader::{Options, Readers};
use wiring::WrittenFields;

use crate::settings::Settings;
use decide::Rungs;

/// A single GET shows a saved version sooner than the listing does: after this many index lags it will not show.
const UNSEEN_LAGS: u32 = 2;

/// The settings for this configuration. `definitions` are all metaproperties of the portal: a copy takes over their
/// values.
pub fn settings(config: &Config, fields: WrittenFields, definitions: Vec<Metaproperty>) -> Settings {
    Settings {
        fields,
        mode: config.output.mode,
        definitions,
        index_lag: config.bynder.index_lag.0,
        legacy: config.marker.legacy,
        resubmit_unknown: config.imatag.resubmit_unknown,
        directory: config.imatag.directory.clone(),
        checks: checks(&config.checks),
        keep_rejected_in: config.checks.keep_rejected_in.clone(),
        uploads_in_flight: config.imatag.uploads_in_flight,
        quiet_hours: config.quiet_hours.clone(),
        max_attempts: config.worker.max_attempts,
        request_timeout: config.worker.request_timeout.0,
        submit_patience: config.imatag.wire().map_or(Duration::ZERO, |profile| profile.submit_patience()),
        rungs: Rungs::new(config.queue.rungs.iter().map(|rung| rung.0).collect()),
        longest_unseen: longest_unseen(config),
        longest_wait: config.worker.longest_wait.0,
        step_deadline: config.worker.step_deadline.0,
        longest_hold: config.queue.longest_hold.0,
    }
}

/// How long a saved version may stay invisible before it counts as waiting for approval.
pub fn longest_unseen(config: &Config) -> Duration {
    config.bynder.index_lag.0 * UNSEEN_LAGS
}

/// The reader processes.
pub fn readers(config: &Config) -> Readers {
    let reader = &config.reader;
    Readers::new(Options::of_this_program(reader.memory.as_u64(), reader.deadline.0))
}

/// The checks that the configuration enables.
pub fn checks(section: &ChecksSection) -> Checks {
    let enabled = Check::ALL.into_iter().filter(|check| section.includes(*check)).collect();
    Checks { enabled, similarity: section.similarity }
}
