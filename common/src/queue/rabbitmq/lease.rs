//! Leases: an exclusive queue a leased asset, on a connection of their own.
//!
//! The broker lets one connection at a time have an exclusive queue, and deletes it with the connection. The same
//! connection could declare it twice, so a map in this process comes first.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ErrorKind};
use tokio::runtime::Handle;

use super::super::{Guard, Lease, Locks, QueueError};
use super::channels::{Channels, discard};
use super::contact::Contact;
use super::link::{ANSWER, Link, Live};
use super::topology::Topology;
use super::unsaid::said;
use super::{Broker, Shared};
use crate::asset::AssetId;
use crate::fault::{self, guard_stands};

/// `RESOURCE_LOCKED`: another connection has it.
const LOCKED: u16 = 405;
/// How soon a lease is given back again after the broker did not answer.
const DELETE_AGAIN: Duration = Duration::from_secs(1);

/// The leases on this deployment's assets.
#[derive(Clone)]
pub struct RabbitLocks {
    shared: Arc<Shared>,
}

impl Broker {
    /// The leases on this deployment's assets.
    pub fn locks(&self) -> RabbitLocks {
        RabbitLocks { shared: Arc::clone(&self.shared) }
    }
}

#[async_trait]
impl Locks for RabbitLocks {
    async fn lease(&self, asset: &AssetId) -> Result<Option<Lease>, QueueError> {
        self.shared.leases.take(asset).await
    }

    fn contact(&self) -> Result<(), QueueError> {
        self.shared.contact.check()
    }
}

/// Hands out leases.
#[derive(Clone)]
pub(super) struct Leases {
    channels: Channels,
    contact: Contact,
    topology: Topology,
    held: Arc<Mutex<HashSet<AssetId>>>,
}

impl Leases {
    pub(super) fn new(link: Arc<Link>, contact: Contact, topology: Topology) -> Result<Self, QueueError> {
        Ok(Self { channels: Channels::new(link, false)?, contact, topology, held: Arc::default() })
    }

    pub(super) async fn take(&self, asset: &AssetId) -> Result<Option<Lease>, QueueError> {
        if !guard_stands(fault::Guard::Lease) {
            return Ok(Some(Lease::free()));
        }
        if !self.lock().insert(asset.clone()) {
            return Ok(None);
        }
        let entry = self.entry(asset);
        let opened = self.channels.take().await?;
        entry.disarm();
        let live = opened.live.clone();
        let name = self.topology.lease(asset);
        // Made before the declaration: also where that is cancelled or not answered, the queue may be there, and has to
        // be deleted before this process takes the asset again.
        let (all, key, connection, queue) = (self.clone(), asset.clone(), live.clone(), name.clone());
        let runtime = Handle::current();
        let guard = Guard::new(move || {
            let _entered = runtime.enter();
            crate::task::lasting(async move {
                all.delete(&connection, queue).await;
                all.lock().remove(&key);
            });
        });
        match declare_exclusively(&opened.channel, name).await {
            Ok(true) => {}
            Ok(false) => {
                guard.disarm();
                self.lock().remove(asset);
                return Ok(None);
            }
            Err(error) => {
                discard(opened);
                return Err(error);
            }
        }
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

    /// Deletes the queue until the broker has answered; a connection that is gone took its queues along.
    async fn delete(&self, live: &Live, name: ShortString) {
        while !live.lost.is_cancelled() && !self.is_deleted(name.clone()).await {
            live.lost.run_until_cancelled(tokio::time::sleep(DELETE_AGAIN)).await;
        }
    }

    async fn is_deleted(&self, name: ShortString) -> bool {
        let Ok(opened) = self.channels.take().await else { return false };
        let deleting = opened.channel.queue_delete(name, QueueDeleteOptions::default());
        match tokio::time::timeout(ANSWER, deleting).await {
            Ok(Ok(_)) => true,
            // A refusal is an answer: the queue is not this connection's.
            Ok(Err(error)) => {
                discard(opened);
                error.is_amqp_soft_error()
            }
            Err(_) => {
                discard(opened);
                false
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashSet<AssetId>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Declares an exclusive queue; false if another connection has it.
pub(super) async fn take_exclusively(live: &Live, name: ShortString) -> Result<bool, QueueError> {
    let channel = live.channel().await?;
    let taken = declare_exclusively(&channel, name).await;
    let _ = tokio::time::timeout(ANSWER, channel.close(200, "done".into())).await;
    taken
}

/// Declares an exclusive queue; false if another connection has it, which costs the channel.
async fn declare_exclusively(channel: &Channel, name: ShortString) -> Result<bool, QueueError> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
    let declaring = channel.queue_declare(name, QueueDeclareOptions::exclusive(), arguments);
    match tokio::time::timeout(ANSWER, declaring).await {
        Ok(Ok(_)) => Ok(true),
        Ok(Err(error)) => match error.kind() {
            ErrorKind::ProtocolError(refusal) if refusal.get_id() == LOCKED => Ok(false),
            _ => Err(QueueError::Unavailable(format!("cannot take a lease: {}", said(&error)))),
        },
        Err(_) => Err(QueueError::Unavailable("the broker did not answer".to_owned())),
    }
}
