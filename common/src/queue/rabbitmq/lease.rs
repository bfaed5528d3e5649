//! Leases: an exclusive queue a leased asset, on a connection of their own.
//!
//! The broker lets one connection at a time have an exclusive queue, and deletes it with the connection. The same
//! connection could declare it twice, so a map in this process comes first.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use lapin::ErrorKind;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use tokio::runtime::Handle;

use super::super::{Guard, Lease, QueueError};
use super::contact::Contact;
use super::link::{ANSWER, Link, Live};
use super::topology::Topology;
use crate::asset::AssetId;
use crate::fault::{self, guard_stands};

/// `RESOURCE_LOCKED`: another connection has it.
const LOCKED: u16 = 405;

/// Hands out leases.
#[derive(Clone)]
pub(super) struct Leases {
    link: Arc<Link>,
    contact: Contact,
    topology: Topology,
    held: Arc<Mutex<HashSet<AssetId>>>,
}

impl Leases {
    pub(super) fn new(link: Arc<Link>, contact: Contact, topology: Topology) -> Self {
        Self { link, contact, topology, held: Arc::default() }
    }

    pub(super) async fn take(&self, asset: &AssetId) -> Result<Option<Lease>, QueueError> {
        if !guard_stands(fault::Guard::Lease) {
            return Ok(Some(Lease::free()));
        }
        if !self.lock().insert(asset.clone()) {
            return Ok(None);
        }
        // Made before the declaration, so that cancelling it here cannot leave the asset locked.
        let entry = self.entry(asset);
        let live = self.link.live()?;
        let name = self.topology.lease(asset);
        let taken = take_exclusively(&live, name.clone()).await;
        if let Ok(false) = taken {
            return Ok(None);
        }
        // From here on the queue has to be deleted before the asset may be taken again by this process; also where no
        // answer came, since it may be there.
        entry.disarm();
        let (leases, asset, release) = (self.clone(), asset.clone(), live.clone());
        let runtime = Handle::current();
        let guard = Guard::new(move || {
            runtime.spawn(async move {
                delete(&release, name).await;
                leases.lock().remove(&asset);
            });
        });
        taken?;
        let contact = self.contact.clone();
        Ok(Some(Lease::held(guard, move || {
            if live.lost.is_cancelled() {
                return Err(QueueError::Unavailable("the lease was lost with its connection".to_owned()));
            }
            contact.check()
        })))
    }

    fn entry(&self, asset: &AssetId) -> Guard {
        let (leases, asset) = (self.clone(), asset.clone());
        Guard::new(move || {
            leases.lock().remove(&asset);
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<AssetId>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Declares an exclusive queue on a channel that may die of it; false if another connection has it.
pub(super) async fn take_exclusively(live: &Live, name: ShortString) -> Result<bool, QueueError> {
    let channel = live.channel().await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
    let declaring = channel.queue_declare(name, QueueDeclareOptions::exclusive(), arguments);
    let taken = match tokio::time::timeout(ANSWER, declaring).await {
        Ok(Ok(_)) => Ok(true),
        Ok(Err(error)) => match error.kind() {
            ErrorKind::ProtocolError(refusal) if refusal.get_id() == LOCKED => Ok(false),
            _ => Err(QueueError::Unavailable(format!("cannot take a lease: {error}"))),
        },
        Err(_) => Err(QueueError::Unavailable("the broker did not answer".to_owned())),
    };
    let _ = tokio::time::timeout(ANSWER, channel.close(200, "done".into())).await;
    taken
}

async fn delete(live: &Live, name: ShortString) {
    // A connection that is gone took its queues along.
    let Ok(channel) = live.channel().await else { return };
    let deleting = channel.queue_delete(name, QueueDeleteOptions::default());
    let _ = super::link::answered(deleting).await;
    let _ = tokio::time::timeout(ANSWER, channel.close(200, "done".into())).await;
}
