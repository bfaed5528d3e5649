//! Everything a step needs, built once and shared by all.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use budget::Budget;
use bynder::{Bynder, Metaproperty as Definition};
use common::job::Job;
use common::marker::LegacyMeaning;
use common::permission::Permission;
use config::{OutputMode, QuietHours};
use files::spool::Spool;
use imatag::{Directory, Imatag};
use media::Checks;
use media::reader::Readers;
use queue::{JobConsumer, Locks, QueueError};
use telemetry::Metrics;

use crate::approval::Approval;
use crate::breaker::Breakers;
use crate::probe::Probes;

/// The services, the queue and the settings; clones share them.
#[derive(Clone)]
pub struct Environment {
    /// The portal.
    pub bynder: Bynder,
    /// The watermarking service.
    pub imatag: Imatag,
    /// Where jobs come from and go to.
    pub queue: Arc<dyn JobConsumer>,
    /// Who may touch an asset.
    pub locks: Arc<dyn Locks>,
    /// Where files rest between the services.
    pub spool: Spool,
    /// Who reads files.
    pub readers: Readers,
    /// The portal's request budget; nothing is taken while it is paused.
    pub budget: Budget,
    /// Which services can be used right now.
    pub breakers: Breakers,
    /// Whether services that fail work at all.
    pub probes: Probes,
    /// Whether what is saved shows.
    pub approval: Approval,
    /// What is counted.
    pub metrics: Metrics,
    /// What the configuration says.
    pub settings: Arc<Settings>,
}

impl Environment {
    /// The same, where nothing that changes the asset is sent without this permission.
    #[must_use]
    pub fn under(&self, permission: Permission<QueueError>) -> Self {
        Self {
            bynder: self.bynder.under(permission.clone()),
            imatag: self.imatag.under(permission),
            ..self.clone()
        }
    }

    /// Where Imatag saves the job's medium.
    pub fn directory<'a>(&'a self, job: &'a Job) -> &'a Directory {
        job.directory.as_ref().unwrap_or(&self.settings.directory)
    }

    /// What becomes of the job's watermarked file.
    pub fn mode(&self, job: &Job) -> OutputMode {
        job.mode.unwrap_or(self.settings.mode)
    }
}

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
