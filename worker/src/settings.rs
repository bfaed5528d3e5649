//! The worker's settings, derived from the configuration.

use std::path::PathBuf;
use std::time::Duration;

use bynder::Metaproperty as Definition;
use common::marker::LegacyMeaning;
use config::{OutputMode, QuietHours};
use imatag::Directory;
use media::Checks;

/// The longest interval at which a job checks whether a service has finished.
pub(crate) const LONGEST_IDLE_RUNG: Duration = Duration::from_mins(2);

/// The settings of the three steps.
#[derive(Debug, Clone)]
pub struct Settings {
    pub metaproperty: Metaproperty,
    /// Id of the metaproperty that shows people the status of an asset.
    pub status_id: Option<String>,
    /// Where the watermarked file goes, for jobs that start now.
    pub mode: OutputMode,
    /// Id of the metaproperty that links copy and original.
    pub link_id: Option<String>,
    /// All metaproperties of the portal, read at the start.
    pub definitions: Vec<Definition>,
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
    /// Jobs in flight at once.
    pub concurrency: usize,
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
    /// The delays of waiting jobs, ascending.
    pub rungs: Vec<Duration>,
    /// How long a saved version may stay invisible before it counts as waiting for approval.
    pub longest_unseen: Duration,
    /// The longest total wait of a job; pauses do not count.
    pub longest_wait: Duration,
    /// The deadline of a step.
    pub step_deadline: Duration,
    /// How long a delivery is held before it is renewed.
    pub longest_hold: Duration,
}

impl Settings {
    /// Ids of the metaproperties that the connector writes.
    pub fn own_ids(&self) -> Vec<&str> {
        let others = self.status_id.iter().chain(&self.link_id).map(String::as_str);
        [self.metaproperty.id.as_str()].into_iter().chain(others).collect()
    }
}

/// The hash metaproperty: listings show it by name, writes need its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metaproperty {
    /// Its name in the database.
    pub name: String,
    pub id: String,
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// The settings of a configuration that leaves everything at its default.
    pub(crate) fn default_settings() -> Settings {
        Settings {
            metaproperty: Metaproperty { name: "m".to_owned(), id: "i".to_owned() },
            status_id: None,
            mode: config::OutputMode::Version,
            link_id: None,
            definitions: Vec::new(),
            index_lag: Duration::from_mins(1),
            legacy: common::marker::LegacyMeaning::Original,
            resubmit_unknown: false,
            directory: "acme".parse().unwrap(),
            checks: media::Checks::default(),
            keep_rejected_in: None,
            concurrency: 1,
            uploads_in_flight: 1,
            quiet_hours: Vec::new(),
            max_attempts: 12,
            request_timeout: Duration::from_mins(1),
            submit_patience: Duration::from_mins(5),
            rungs: [5, 30, 120, 600, 3600].map(Duration::from_secs).to_vec(),
            longest_unseen: Duration::from_mins(2),
            step_deadline: Duration::from_hours(6),
            longest_hold: Duration::from_mins(8),
            longest_wait: Duration::from_hours(24),
        }
    }
}
