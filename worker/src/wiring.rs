//! From the configuration to the worker's settings.

use common::config::Config;

use crate::environment::{Metaproperty, Settings};

/// What the configuration says about doing jobs.
pub fn settings(config: &Config, metaproperty: Metaproperty) -> Settings {
    Settings {
        metaproperty,
        legacy: config.marker.legacy,
        resubmit_unknown: config.imatag.resubmit_unknown,
        concurrency: config.worker.concurrency,
        max_attempts: config.worker.max_attempts,
        request_timeout: config.worker.request_timeout.0,
        rungs: config.queue.rungs.iter().map(|rung| rung.0).collect(),
        longest_wait: config.worker.longest_wait.0,
        longest_hold: config.queue.longest_hold.0,
    }
}
