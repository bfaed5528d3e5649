//! Leases: a fixed number of durable queues, each consumed by at most one process.
//!
//! To lease an asset is to consume its queue exclusively and, within that process, to have a note on the asset in the
//! queue. Quorum queues do not keep a second consumer out; classic queues do.

use std::collections::{HashMap, hash_map};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lapin::Connection;
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::bucket::{Bucket, Denied, MOST_FOUND, exclusively};
use super::contact::Contact;
use super::topology::Topology;
use super::{Broker, Connections};
use amqp::{Channels, ConnectError, For, Link, in_time, is_absence};
use common::asset::AssetId;
use common::fault::{self, guard_is_on};
use common::job::JobId;
use queue::{Attempt, Guard, Lease, Left, Lockout, Locks, QueueError};

/// The number of queues. If it differed between two releases, they could lease one asset twice.
const QUEUES: usize = 1024;
/// The queue in which exclusivity is proved. An inventory, which declares nothing, finds it once a process has declared
/// it.
const PROVING: usize = 0;
/// How often to log that a node is away.
const COMPLAINT: Duration = Duration::from_mins(1);
/// How many notes may be published at once.
const MOST_NOTING: usize = 4;

/// The leases of this deployment's assets.
#[derive(Clone)]
pub struct RabbitLocks {
    shared: Arc<Connections>,
}

impl Broker {
    /// The leases of this deployment's assets.
    pub fn locks(&self) -> RabbitLocks {
        RabbitLocks { shared: Arc::clone(&self.shared) }
    }
}

#[async_trait]
impl Locks for RabbitLocks {
    async fn lease(&self, asset: &AssetId, job: &JobId, doubt: Vec<Lockout>) -> Result<Attempt, QueueError> {
        if !guard_is_on(fault::Guard::Lease) {
            return Ok(Attempt::Taken(Lease::free()));
        }
        let leases = Arc::clone(&self.shared.leases);
        let (sender, taken) = oneshot::channel();
        let wanted = Wanted { asset: asset.clone(), job: job.clone(), doubt };
        // In a separate task: if cancelled halfway, it would leave a note that no lease owns.
        tasks::brief(async move {
            let unwanted = sender.send(leases.take(wanted).await);
            if let Err(Ok(Attempt::Taken(lease))) = unwanted {
                lease.end(Left::AsFound);
            }
        });
        taken.await.map_err(|_| QueueError::Broken("taking a lease was interrupted".to_owned()))?
    }

    fn contact(&self) -> Result<(), QueueError> {
        self.shared.contact.check()
    }
}

pub(super) struct Leases {
    channels: Channels,
    /// Channels of the publishing connection, for notes. The broker blocks a connection that publishes while it is
    /// short of memory, and a blocked lease connection would lose contact.
    notes: Channels,
    contact: Contact,
    topology: Topology,
    /// Keeps jobs of this process apart, which the broker cannot do.
    assets: Mutex<HashMap<AssetId, Entry>>,
    buckets: Vec<tokio::sync::Mutex<Option<Bucket>>>,
    /// Whether this process has declared each queue.
    declared: Vec<AtomicBool>,
    /// When it was last logged that a node is away.
    complained: Mutex<Option<Instant>>,
}

/// An asset that this process leases, or is about to.
#[derive(Clone, Default)]
struct Entry {
    /// The lease is held: neither being acquired nor being released.
    is_leased: bool,
    /// Cancelled when this entry changes.
    changed: CancellationToken,
}

/// A request for a lease.
struct Wanted {
    asset: AssetId,
    job: JobId,
    doubt: Vec<Lockout>,
}

impl Leases {
    /// `links` are the lease connection and the publishing connection.
    pub(super) fn new(
        links: [Arc<Link>; 2],
        contact: Contact,
        topology: Topology,
    ) -> Result<Self, QueueError> {
        let [leases, publishing] = links;
        let buckets = std::iter::repeat_with(tokio::sync::Mutex::default).take(QUEUES).collect();
        let declared = std::iter::repeat_with(AtomicBool::default).take(QUEUES).collect();
        let channels = Channels::new(leases, For::Consuming(MOST_FOUND), QUEUES)?;
        let notes = Channels::new(publishing, For::Unconfirmed, MOST_NOTING)?;
        let (assets, complained) = (Mutex::default(), Mutex::default());
        Ok(Self { channels, notes, contact, topology, assets, buckets, declared, complained })
    }

    async fn take(self: Arc<Self>, wanted: Wanted) -> Result<Attempt, QueueError> {
        let Wanted { asset, job, doubt } = wanted;
        while let Some(Entry { is_leased, changed }) = self.enter(&asset) {
            if is_leased {
                return Ok(Attempt::Refused);
            }
            changed.cancelled().await;
        }
        let (leases, entered) = (Arc::clone(&self), asset.clone());
        let entry = Guard::new(move || {
            let left = leases.lock().remove(&entered);
            left.unwrap_or_default().changed.cancel();
        });
        let number = queue_of(&asset);
        let mut slot = self.buckets[number].lock().await;
        if slot.as_ref().is_some_and(|bucket| bucket.lost().is_cancelled())
            && let Some(bucket) = slot.take()
        {
            bucket.close().await;
        }
        if slot.is_none() {
            let channels = [&self.channels, &self.notes];
            let opened = Bucket::open(channels, &self.topology, number, &self.declared[number]).await;
            *slot = opened.inspect_err(|error| self.complain(error))?;
        }
        let Some(bucket) = slot.as_mut() else { return Ok(Attempt::Busy) };
        let taken = bucket.lease(&asset, &job, doubt.clone()).await;
        let lost = bucket.lost().clone();
        self.leave(&mut slot, taken.is_err()).await;
        let Some(note) = taken? else { return Ok(Attempt::Refused) };
        self.change(&asset, true);
        let (leases, runtime, contact) = (Arc::clone(&self), Handle::current(), self.contact.clone());
        let release = move |left: Left| {
            let _entered = runtime.enter();
            leases.change(&asset, false);
            tasks::lasting(async move {
                let _entry = entry;
                let mut slot = leases.buckets[number].lock().await;
                let Some(bucket) = slot.as_mut() else { return };
                let released = bucket.release(&note, (&asset, &job), left, doubt).await;
                if let Err(error) = &released {
                    tracing::warn!(asset_id = %asset, %error, "a lease is given back by closing its channel");
                }
                leases.leave(&mut slot, released.is_err()).await;
            });
        };
        Ok(Attempt::Taken(Lease::held(release, move || {
            if lost.is_cancelled() {
                return Err(QueueError::Unavailable("the lease was lost with its queue".to_owned()));
            }
            contact.check()
        })))
    }

    /// Logs that a node is away, at most once a minute, since many jobs may notice.
    fn complain(&self, error: &QueueError) {
        let mut complained = self.complained.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(error, QueueError::NodeAway(_)) && complained.is_none_or(|at| at.elapsed() >= COMPLAINT) {
            *complained = Some(Instant::now());
            tracing::warn!(%error, "jobs wait whose leases are on that node");
        }
    }

    fn change(&self, asset: &AssetId, is_leased: bool) {
        if let Some(entry) = self.lock().get_mut(asset) {
            let changed = CancellationToken::new();
            std::mem::replace(entry, Entry { is_leased, changed }).changed.cancel();
        }
    }

    /// The asset's entry, if it has one; otherwise creates one and returns `None`.
    fn enter(&self, asset: &AssetId) -> Option<Entry> {
        match self.lock().entry(asset.clone()) {
            hash_map::Entry::Occupied(known) => Some(known.get().clone()),
            hash_map::Entry::Vacant(place) => {
                place.insert(Entry::default());
                None
            }
        }
    }

    /// Returns the queue if it has no lease left or is broken.
    async fn leave(&self, slot: &mut Option<Bucket>, is_broken: bool) {
        if is_broken && let Some(bucket) = slot {
            bucket.lost().cancel();
        }
        if slot.as_ref().is_some_and(|bucket| is_broken || bucket.is_idle())
            && let Some(bucket) = slot.take()
        {
            bucket.close().await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<AssetId, Entry>> {
        self.assets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The queue that holds an asset's lease, the same in every process.
fn queue_of(asset: &AssetId) -> usize {
    let hash = Sha256::digest(asset.as_str());
    usize::from(u16::from_be_bytes([hash[0], hash[1]])) % QUEUES
}

/// Fails if the broker lets two consumers consume a queue of leases exclusively. With `is_read_only`, does not declare the
/// queue.
pub(super) async fn prove_exclusive(
    topology: &Topology,
    connection: &Connection,
    is_read_only: bool,
) -> Result<(), ConnectError> {
    let proving = async {
        let first = connection.create_channel().await?;
        let declared = if is_read_only { Ok(()) } else { topology.declare_locks(&first, PROVING).await };
        if declared.as_ref().is_err_and(is_absence) {
            return Ok(Err(Denied::Absent));
        }
        declared?;
        let consumer = match exclusively(&first, topology.locks(PROVING)).await {
            Ok(consumer) => consumer,
            // Another process holds it, which is the proof. A second try might come after that process has left, and
            // succeed.
            Err(denied) => return Ok(Err(denied)),
        };
        let second = connection.create_channel().await?;
        let other = exclusively(&second, topology.locks(PROVING)).await;
        // Close the channel before dropping the consumer, so that the notes are requeued.
        let _ = first.close(200, "done".into()).await;
        drop(consumer);
        Ok(other.map(drop))
    };
    match in_time(proving).await? {
        // An absent queue is not declared yet, or its node is away; either way it holds no lease.
        Err(Denied::ByAnother | Denied::Absent) => Ok(()),
        Err(Denied::Unavailable(error)) => Err(ConnectError::Unreachable(error.to_string())),
        Ok(()) => Err(ConnectError::Misconfigured(format!(
            "the broker lets two processes consume the queue {} exclusively, so that two workers could work on one asset at \
             once; use RabbitMQ 3.10 or later, whose classic queues do not",
            topology.locks(PROVING)
        ))),
    }
}
