//! What the worker's part of the configuration comes to.

use std::path::PathBuf;
use std::time::Duration;

use bynder::Metaproperty as Definition;
use common::marker::LegacyMeaning;
use config::{OutputMode, QuietHours};
use imatag::Directory;
use media::Checks;

/// How seldom a job looks whether a service has finished.
pub(crate) const LONGEST_IDLE_RUNG: Duration = Duration::from_mins(2);

/// What the configuration says about doing jobs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The hash metaproperty.
    pub metaproperty: Metaproperty,
    /// Id of the metaproperty that tells people how an asset stands.
    pub status_id: Option<String>,
    /// What becomes of the watermarked file, for jobs that begin now.
    pub mode: OutputMode,
    /// Id of the metaproperty that links copy and original.
    pub link_id: Option<String>,
    /// All metaproperties of the portal, as of the start.
    pub definitions: Vec<Definition>,
    /// How long the listing may lag behind.
    pub index_lag: Duration,
    /// What another tool's hash means.
    pub legacy: LegacyMeaning,
    /// Whether to submit again when it is unknown whether Imatag has the file and it cannot be asked.
    pub resubmit_unknown: bool,
    /// Where media are saved of which the job says nothing.
    pub directory: Directory,
    /// What a watermarked file must be like.
    pub checks: Checks,
    /// Where files that failed a check are kept for a person to look at.
    pub keep_rejected_in: Option<PathBuf>,
    /// Jobs in flight at once.
    pub concurrency: usize,
    /// Files on their way to Imatag at once.
    pub uploads_in_flight: usize,
    /// When less is done.
    pub quiet_hours: Vec<QuietHours>,
    /// Attempts after which a job fails.
    pub max_attempts: u32,
    /// The longest a request may take; a suspect job waits longer than this.
    pub request_timeout: Duration,
    /// The longest a submit may take to show at Imatag after it was given up; a suspect submit waits longer than this.
    pub submit_patience: Duration,
    /// The waits a job can be sent to, ascending.
    pub rungs: Vec<Duration>,
    /// How long a saved version may not show before it counts as waiting for approval.
    pub longest_unseen: Duration,
    /// How long a job may wait in all; pauses do not count.
    pub longest_wait: Duration,
    /// How long a step may take as a whole.
    pub step_deadline: Duration,
    /// How long one delivery is worked on before it is exchanged for a new one.
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
    /// Its database name.
    pub name: String,
    /// Its id.
    pub id: String,
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// What a configuration says that leaves everything at its default.
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
