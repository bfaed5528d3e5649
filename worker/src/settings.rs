//! The worker's settings, derived from the configuration.

use std::path::PathBuf;
use std::time::Duration;

use bynder::Metaproperty;
use common::marker::LegacyMeaning;
use config::{OutputMode, QuietHours};
use imatag::Directory;
use media::Checks;
use wiring::WrittenFields;

use decide::Rungs;

/// The settings of the three steps.
#[derive(Debug, Clone)]
pub struct Settings {
    pub fields: WrittenFields,
    /// Where the watermarked file goes, for jobs that start now.
    pub mode: OutputMode,
    /// All metaproperties of the portal, read at the start.
    pub definitions: Vec<Metaproperty>,
    /// How long the listing may lag behind.
    pub index_lag: Duration,
    /// What a hash written by another tool means.
    pub legacy: LegacyMeaning,
    /// Whether to submit again if Imatag may already have the file and cannot be asked.
    pub resubmit_unknown: bool,
    /// Imatag's directory for media whose job names none.
    pub directory: Directory,
    /// The checks that a watermarked file must pass.
    pub checks: Checks,
    /// The folder that keeps files that failed a check, for people to examine.
    pub keep_rejected_in: Option<PathBuf>,
    /// Files being uploaded to Imatag at once.
    pub uploads_in_flight: usize,
    /// When the worker does less.
    pub quiet_hours: Vec<QuietHours>,
    /// Attempts after which a job fails.
    pub max_attempts: u32,
    /// The longest time a request may take; a suspect job waits longer than this.
    pub request_timeout: Duration,
    /// The longest time after giving up on a submit until Imatag shows its medium; a suspect submit waits longer
    /// than this.
    pub submit_patience: Duration,
    pub rungs: Rungs,
    /// How long a saved version may stay invisible before it counts as waiting for approval.
    pub longest_unseen: Duration,
    /// The longest total wait of a job; pauses do not count.
    pub longest_wait: Duration,
    /// The deadline of a step.
    pub step_deadline: Duration,
    /// How long a delivery is held before it is renewed.
    pub longest_hold: Duration,
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// The settings of a configuration that leaves everything at its default.
    pub(crate) fn default_settings() -> Settings {
        let hash = serde_json::from_str(r#"{"id": "i", "name": "m"}"#).unwrap();
        Settings {
            fields: WrittenFields { hash, status: None, link: None },
            mode: config::OutputMode::Version,
            definitions: Vec::new(),
            index_lag: Duration::from_mins(1),
            legacy: common::marker::LegacyMeaning::Original,
            resubmit_unknown: false,
            directory: "acme".parse().unwrap(),
            checks: media::Checks::default(),
            keep_rejected_in: None,
            uploads_in_flight: 1,
            quiet_hours: Vec::new(),
            max_attempts: 12,
            request_timeout: Duration::from_mins(1),
            submit_patience: Duration::from_mins(5),
            rungs: Rungs::new([1, 2, 5, 10, 20, 60, 120, 600, 3600].map(Duration::from_secs).to_vec()),
            longest_unseen: Duration::from_mins(2),
            step_deadline: Duration::from_hours(6),
            longest_hold: Duration::from_mins(8),
            longest_wait: Duration::from_hours(24),
        }
    }
}
