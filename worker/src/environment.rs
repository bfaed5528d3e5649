//! Everything a step needs, built once and shared by all.

use std::sync::Arc;

use budget::Budget;
use bynder::BynderError;
use common::service::Service;
use files::spool::Spool;
use queue::{JobConsumer, Locks};
use telemetry::Metrics;

use crate::approval::Approval;
use crate::concurrency::Concurrency;
use crate::inspect::Inspector;
use crate::probe::{self, Probed, Probes, ServiceHealth};
use crate::service_times::ServiceTimes;
use crate::services::{Portal, Watermarker};
use crate::settings::Settings;
use breakers::Breakers;

/// The services, the queue and the settings; clones share them.
#[derive(Clone)]
pub struct Environment {
    pub bynder: Arc<dyn Portal>,
    pub imatag: Arc<dyn Watermarker>,
    /// The queue that delivers the jobs.
    pub queue: Arc<dyn JobConsumer>,
    /// The leases of assets.
    pub locks: Arc<dyn Locks>,
    /// The folder for files in transit.
    pub spool: Spool,
    /// The reader processes.
    pub readers: Arc<dyn Inspector>,
    /// The portal's request budget; no job is taken while it is paused.
    pub budget: Budget,
    /// The breakers of the services.
    pub breakers: Breakers,
    /// How many steps run at once.
    pub concurrency: Concurrency,
    /// The latest probes of services that fail.
    pub probes: Probes,
    /// Whether saved versions are visible.
    pub approval: Approval,
    /// How long the services have been taking.
    pub service_times: ServiceTimes,
    pub metrics: Metrics,
    pub settings: Arc<Settings>,
}

impl ServiceHealth for Environment {
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
