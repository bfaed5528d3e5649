//! The leases of one machine, in memory: only one process works in a state directory.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::Instant;

use super::super::{Attempt, Lease, Left, Lockout, Locks, QueueError};
use super::{EmbeddedQueue, lock};
use common::asset::AssetId;
use common::fault::guard_is_on;
use common::job::JobId;

/// Maximum assets with lockouts; above it a lease leaves none. Bounds memory.
const MOST_LOCKED_OUT: usize = 4096;

/// The assets under lease, and the lockouts of others.
#[derive(Debug, Default)]
pub(super) struct Leased {
    held: HashSet<AssetId>,
    lockouts: HashMap<AssetId, Vec<(Lockout, Instant)>>,
}

impl Leased {
    fn take(&mut self, asset: &AssetId, job: &JobId) -> bool {
        let now = Instant::now();
        self.lockouts.retain(|_, all| {
            all.retain(|(_, until)| *until > now);
            !all.is_empty()
        });
        let is_locked_out =
            self.lockouts.get(asset).is_some_and(|all| all.iter().any(|(lockout, _)| !lockout.is_for(job)));
        !is_locked_out && self.held.insert(asset.clone())
    }

    fn end(&mut self, asset: &AssetId, job: &JobId, left: Vec<Lockout>, leaves_found: bool) {
        self.held.remove(asset);
        if !leaves_found && let Some(all) = self.lockouts.get_mut(asset) {
            all.retain(|(lockout, _)| !lockout.is_for(job));
        }
        if !left.is_empty() && self.lockouts.len() >= MOST_LOCKED_OUT {
            tracing::warn!(asset_id = %asset, "too many assets are locked out; this one is free early");
            return;
        }
        let now = Instant::now();
        let dated = left.into_iter().map(|lockout| {
            let until = now + lockout.time();
            (lockout, until)
        });
        self.lockouts.entry(asset.clone()).or_default().extend(dated);
    }
}

#[async_trait]
impl Locks for EmbeddedQueue {
    async fn lease(&self, asset: &AssetId, job: &JobId, doubt: Vec<Lockout>) -> Result<Attempt, QueueError> {
        if !guard_is_on(common::fault::Guard::Lease) {
            return Ok(Attempt::Taken(Lease::free()));
        }
        if !lock(&self.shared.leased).take(asset, job) {
            return Ok(Attempt::Refused);
        }
        let (shared, asset, job) = (Arc::clone(&self.shared), asset.clone(), job.clone());
        let release = move |left: Left| {
            let leaves_found = left.leaves_found();
            lock(&shared.leased).end(&asset, &job, left.lockouts(doubt), leaves_found);
        };
        Ok(Attempt::Taken(Lease::held(release, || Ok(()))))
    }

    fn contact(&self) -> Result<(), QueueError> {
        Ok(())
    }
}
