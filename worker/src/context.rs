//! What the parts of a step share. A step does not settle: this holds no queue. Of the metrics it counts paid watermarks, which nothing
//! else knows of.

use std::sync::Arc;

use budget::Budget;
use bynder::BynderError;
use common::asset::{Asset, AssetId};
use common::hash::ContentHash;
use common::job::{Job, Lane};
use common::marker::Marker;
use common::permission::Permission;
use config::OutputMode;
use files::spool::Spool;
use imatag::Directory;
use queue::{Locks, QueueError};
use telemetry::Metrics;

use crate::approval::Approval;
use crate::environment::Environment;
use crate::inspect::Inspector;
use crate::leases::StepLease;
use crate::service_times::ServiceTimes;
use crate::services::{Portal, Watermarker};
use crate::settings::Settings;
use breakers::Breakers;

/// The services and what is known about them, with the permission to change the job's asset.
#[derive(Clone)]
pub(crate) struct StepContext {
    pub(crate) bynder: Arc<dyn Portal>,
    pub(crate) imatag: Arc<dyn Watermarker>,
    pub(crate) locks: Arc<dyn Locks>,
    pub(crate) spool: Spool,
    pub(crate) readers: Arc<dyn Inspector>,
    pub(crate) budget: Budget,
    pub(crate) breakers: Breakers,
    pub(crate) approval: Approval,
    pub(crate) service_times: ServiceTimes,
    pub(crate) metrics: Metrics,
    pub(crate) settings: Arc<Settings>,
    permission: Permission<QueueError>,
}

impl StepContext {
    /// Without a lease, only contact with the lock service is required.
    pub(crate) fn of(environment: &Environment) -> Self {
        let contact = Arc::clone(&environment.locks);
        Self {
            bynder: Arc::clone(&environment.bynder),
            imatag: Arc::clone(&environment.imatag),
            locks: Arc::clone(&environment.locks),
            spool: environment.spool.clone(),
            readers: Arc::clone(&environment.readers),
            budget: environment.budget.clone(),
            breakers: environment.breakers.clone(),
            approval: environment.approval.clone(),
            service_times: environment.service_times.clone(),
            metrics: environment.metrics.clone(),
            settings: Arc::clone(&environment.settings),
            permission: Permission::new(move || contact.contact()),
        }
    }

    /// The same context, with its portal calls in this lane.
    pub(crate) fn in_lane(self, lane: Lane) -> Self {
        Self { bynder: self.bynder.in_lane(lane), ..self }
    }

    /// The same context under the asset's lease: once the lease is lost, nothing that changes the asset is sent.
    pub(crate) fn under(&self, lease: &StepLease) -> Self {
        let permission = lease.permission();
        Self {
            bynder: self.bynder.under(permission.clone()),
            imatag: self.imatag.under(permission.clone()),
            permission,
            ..self.clone()
        }
    }

    /// Fails unless the asset may still be changed, as far as can be known. The permission may be lost while the
    /// request is under way: the next holder of the lease waits for longer than a request can last.
    pub(crate) fn may_change(&self) -> Result<(), QueueError> {
        self.permission.check()
    }

    /// The marker in the asset's hash metaproperty.
    pub(crate) fn marker(&self, asset: &Asset) -> Marker {
        self.settings.fields.marker(asset)
    }

    /// Hashes a version's file, which downloads it.
    pub(crate) async fn hash(
        &self,
        job: &mut Job,
        asset: &AssetId,
        version: u32,
    ) -> Result<ContentHash, BynderError> {
        let (sha256, bytes) = self.bynder.hash_version(asset, version).await?;
        job.bytes_downloaded += bytes;
        Ok(sha256)
    }

    /// Imatag's directory for the job's medium.
    pub(crate) fn directory<'a>(&'a self, job: &'a Job) -> &'a Directory {
        job.directory.as_ref().unwrap_or(&self.settings.directory)
    }

    /// Where the job's watermarked file goes.
    pub(crate) fn mode(&self, job: &Job) -> OutputMode {
        job.mode.unwrap_or(self.settings.mode)
    }
}
