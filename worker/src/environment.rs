//! Everything a step needs, built once and shared by all.

use std::sync::Arc;

use budget::Budget;
use bynder::{Bynder, BynderError};
use common::asset::Asset;
use common::job::Job;
use common::marker::Marker;
use common::permission::Permission;
use common::service::Service;
use config::OutputMode;
use files::spool::Spool;
use imatag::{Directory, Imatag};
use media::reader::Readers;
use queue::{JobConsumer, Locks, QueueError};
use telemetry::Metrics;

use crate::approval::Approval;
use crate::breaker::Breakers;
use crate::probe::{self, Evidence, Probed, Probes};
use crate::settings::Settings;

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

    /// What the asset's hash metaproperty says.
    pub(crate) fn marker(&self, asset: &Asset) -> Marker {
        asset.marker(&self.settings.metaproperty.name)
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

impl Evidence for Environment {
    async fn of(&self, service: Service) -> Probed {
        let probe = async {
            match service {
                Service::Bynder => probe::bynder(&self.bynder).await,
                Service::Imatag => probe::imatag(&self.imatag, &self.settings.directory).await,
                Service::Machine => probe::machine(&self.spool).await,
            }
        };
        self.probes.ask(service, probe).await
    }

    async fn may_read_any(&self) -> Result<bool, BynderError> {
        probe::may_read_any(&self.bynder).await
    }
}
