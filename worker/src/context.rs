//! What the parts of a step share. A step settles nothing and counts nothing: neither queue nor metrics are in here.

use std::sync::Arc;

use budget::Budget;
use common::asset::Asset;
use common::job::{Job, Lane};
use common::marker::Marker;
use common::permission::Permission;
use config::OutputMode;
use files::spool::Spool;
use imatag::Directory;
use queue::{Locks, QueueError};

use crate::approval::Approval;
use crate::breaker::Breakers;
use crate::environment::Environment;
use crate::inspect::Inspector;
use crate::leases::Held;
use crate::services::{Portal, Watermarker};
use crate::settings::Settings;

/// The services and what is known of them, with the right to change the job's asset.
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
    pub(crate) settings: Arc<Settings>,
    permission: Permission<QueueError>,
}

impl StepContext {
    /// Without a lease, contact with the keeper of the leases is all that is asked for.
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
            settings: Arc::clone(&environment.settings),
            permission: Permission::new(move || contact.contact()),
        }
    }

    /// The same, whose portal calls wait with those of this lane.
    pub(crate) fn in_lane(self, lane: Lane) -> Self {
        Self { bynder: self.bynder.in_lane(lane), ..self }
    }

    /// The same under the asset's lease: nothing that changes the asset is sent once that is lost.
    pub(crate) fn under(&self, lease: &Held) -> Self {
        let permission = lease.permission();
        Self {
            bynder: self.bynder.under(permission.clone()),
            imatag: self.imatag.under(permission.clone()),
            permission,
            ..self.clone()
        }
    }

    /// Fails unless the asset may be changed still, as far as can be known. The right may be lost while the request is under
    /// way: whoever has the lease next waits for longer than a request may live.
    pub(crate) fn may_change(&self) -> Result<(), QueueError> {
        self.permission.check()
    }

    /// What the asset's hash metaproperty says.
    pub(crate) fn marker(&self, asset: &Asset) -> Marker {
        asset.marker(&self.settings.metaproperty.name)
    }

    /// Where Imatag saves the job's medium.
    pub(crate) fn directory<'a>(&'a self, job: &'a Job) -> &'a Directory {
        job.directory.as_ref().unwrap_or(&self.settings.directory)
    }

    /// What becomes of the job's watermarked file.
    pub(crate) fn mode(&self, job: &Job) -> OutputMode {
        job.mode.unwrap_or(self.settings.mode)
    }
}
