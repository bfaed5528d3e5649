//! Everything a step needs, built once and shared by all.

use std::sync::Arc;

use budget::Budget;
use bynder::BynderError;
use common::service::Service;
use files::spool::Spool;
use queue::{JobConsumer, Locks};
use telemetry::Metrics;

use crate::approval::Approval;
use crate::breaker::Breakers;
use crate::inspect::Inspector;
use crate::probe::{self, Evidence, Probed, Probes};
use crate::services::{Portal, Watermarker};
use crate::settings::Settings;

/// The services, the queue and the settings; clones share them.
#[derive(Clone)]
pub struct Environment {
    /// The portal.
    pub bynder: Arc<dyn Portal>,
    /// The watermarking service.
    pub imatag: Arc<dyn Watermarker>,
    /// Where jobs come from and go to.
    pub queue: Arc<dyn JobConsumer>,
    /// Who may touch an asset.
    pub locks: Arc<dyn Locks>,
    /// Where files rest between the services.
    pub spool: Spool,
    /// Who reads files.
    pub readers: Arc<dyn Inspector>,
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

impl Evidence for Environment {
    async fn of(&self, service: Service) -> Probed {
        let probe = async {
            match service {
                Service::Bynder => probe::bynder(&*self.bynder).await,
                Service::Imatag => probe::imatag(&*self.imatag, &self.settings.directory).await,
                Service::Machine => probe::machine(&self.spool).await,
            }
        };
        self.probes.ask(service, probe).await
    }

    async fn may_read_any(&self) -> Result<bool, BynderError> {
        probe::may_read_any(&*self.bynder).await
    }
}
