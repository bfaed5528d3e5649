//! A queue of leases that this process consumes exclusively, and the notes in it.
//!
//! A note that this process publishes comes back to it, behind every note that was in the queue before. Then the
//! process has seen those, and the queue has the new one. An unacknowledged note returns to the queue when its channel
//! ends for any reason, in the same moment in which another process can consume the queue, unless the consumer was
//! cancelled before. RabbitMQ drops an expired note, but not while a consumer holds it.

use std::collections::HashSet;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt;

use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Acker, Channel, Consumer, ErrorKind};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::away::{REMEDY, housed};
use super::message::{properties, small};
use super::note::{Note, Says};
use super::publisher::takes_nothing;
use super::topology::Topology;
use amqp::{ANSWER, Channels, Opened, Pooled, answered, close, discard, is_absence, said};
use common::asset::AssetId;
use common::fault::{Guard, guard_is_on};
use common::job::JobId;
use queue::{Left, Lockout, QueueError};

/// `ACCESS_REFUSED`: another process consumes exclusively.
const REFUSED: u16 = 403;
/// The prefetch of a lease queue's consumer: twice what the queue keeps. If foreign messages fill it, the next note
/// does not come back, and nothing is leased.
pub(super) const MOST_FOUND: u16 = 2000;

/// A queue of leases that this process holds.
pub(super) struct Bucket {
    opened: Pooled,
    /// The channels that notes are published over.
    notes: Channels,
    queue: ShortString,
    tag: ShortString,
    /// Cancelled once another process may hold the queue.
    lost: CancellationToken,
    incoming: mpsc::Receiver<Found>,
    /// The notes in the queue.
    found: Vec<Found>,
    /// The ids of this process's own leases among them.
    leased: HashSet<String>,
}

/// A note in the queue.
struct Found {
    note: Note,
    acker: Acker,
    since: Instant,
}

impl Bucket {
    /// Acquires the queue; `None` while another process holds it.
    pub(super) async fn open(
        [channels, notes]: [&Channels; 2],
        topology: &Topology,
        number: usize,
        is_declared: &AtomicBool,
    ) -> Result<Option<Self>, QueueError> {
        let queue = topology.locks(number);
        let (opened, consumer) = loop {
            let opened = channels.take().await?;
            // An existing queue of another type would let two processes consume it.
            if !is_declared.load(Ordering::Relaxed) {
                let declared = match housed(topology.declare_locks(&opened.channel, number)).await {
                    Ok(false) => Err(QueueError::NodeAway(format!(
                        "the leases in {queue} are on a node of the broker that is away; {REMEDY}"
                    ))),
                    declared => declared.map(drop),
                };
                if let Err(error) = declared {
                    discard(opened);
                    return Err(error);
                }
                is_declared.store(true, Ordering::Relaxed);
            }
            match exclusively(&opened.channel, queue.clone()).await {
                Ok(consumer) => break (opened, consumer),
                Err(Denied::ByAnother) => {
                    discard(opened);
                    return Ok(None);
                }
                Err(Denied::Absent) => {
                    discard(opened);
                    is_declared.store(false, Ordering::Relaxed);
                }
                Err(Denied::Unavailable(error)) => {
                    discard(opened);
                    return Err(error);
                }
            }
        };
        let lost = opened.live.lost.child_token();
        let (sender, incoming) = mpsc::channel(usize::from(MOST_FOUND));
        let tag = consumer.tag();
        tasks::lasting(read(consumer, sender, lost.clone()));
        let notes = notes.clone();
        Ok(Some(Self {
            opened,
            notes,
            queue,
            tag,
            lost,
            incoming,
            found: Vec::new(),
            leased: HashSet::new(),
        }))
    }

    /// Cancelled once the leases are lost.
    pub(super) fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// Leases an asset; returns the note's id, or `None` if another job has the lease or a note keeps this job out.
    pub(super) async fn lease(
        &mut self,
        asset: &AssetId,
        job: &JobId,
        doubt: Vec<Lockout>,
    ) -> Result<Option<String>, QueueError> {
        let id = self.put(Note::new(asset, Says::Leased(doubt))).await?;
        self.leased.insert(id.clone());
        self.end_leases_of_the_dead().await?;
        self.take_away(Found::is_over).await?;
        if self.found.iter().any(|found| found.keeps(asset, job)) {
            self.end(&id).await?;
            return Ok(None);
        }
        Ok(Some(id))
    }

    /// Releases a lease.
    pub(super) async fn release(
        &mut self,
        id: &str,
        (asset, job): (&AssetId, &JobId),
        left: Left,
        doubt: Vec<Lockout>,
    ) -> Result<(), QueueError> {
        if !self.leased.contains(id) {
            return Ok(());
        }
        let replaced: HashSet<_> = if left.leaves_found() {
            HashSet::new()
        } else {
            self.found
                .iter()
                .filter(|found| found.is_for(asset, job))
                .map(|found| found.note.id.clone())
                .collect()
        };
        for lockout in left.lockouts(doubt) {
            self.put(Note::new(asset, Says::Lockout(lockout))).await?;
        }
        self.take_away(|found| replaced.contains(&found.note.id)).await?;
        self.end(id).await
    }

    /// Whether this process has no lease in this queue.
    pub(super) fn is_idle(&self) -> bool {
        self.leased.is_empty()
    }

    /// Returns the queue.
    pub(super) async fn close(mut self) {
        if self.found.is_empty() && self.incoming.is_empty() && !self.lost.is_cancelled() {
            let cancelling = self.opened.channel.basic_cancel(self.tag, BasicCancelOptions::default());
            // A note that arrived meanwhile would stay with the channel, where no process sees it.
            if answered(cancelling).await.is_ok()
                && let Ok(None) = tokio::time::timeout(ANSWER, self.incoming.recv()).await
            {
                return;
            }
        }
        // Without a cancel before, closing the channel requeues the notes in the same moment as it ends the consumer.
        let Opened { channel, .. } = Pooled::take(self.opened);
        let _ = tokio::time::timeout(ANSWER, channel.close(200, "done".into())).await;
    }

    /// Ends the leases of dead processes; their assets stay locked out while a request may take effect.
    async fn end_leases_of_the_dead(&mut self) -> Result<(), QueueError> {
        let is_dead = |found: &mut Found| {
            matches!(found.note.says, Says::Leased(_)) && !self.leased.contains(&found.note.id)
        };
        let dead: Vec<_> = self.found.extract_if(.., is_dead).collect();
        for Found { note, acker, .. } in dead {
            if let Says::Leased(doubt) = note.says
                && guard_is_on(Guard::Doubt)
            {
                for lockout in doubt {
                    self.put(Note::new(&note.asset, Says::Lockout(lockout))).await?;
                }
            }
            answered(acker.ack(BasicAckOptions::default())).await?;
        }
        Ok(())
    }

    async fn end(&mut self, id: &str) -> Result<(), QueueError> {
        self.leased.remove(id);
        self.take_away(|found| found.note.id == id).await
    }

    async fn take_away(&mut self, is_meant: impl Fn(&Found) -> bool) -> Result<(), QueueError> {
        for Found { acker, .. } in self.found.extract_if(.., |found| is_meant(found)) {
            answered(acker.ack(BasicAckOptions::default())).await?;
        }
        Ok(())
    }

    /// Publishes a note and waits until it comes back; returns its id.
    async fn put(&mut self, note: Note) -> Result<String, QueueError> {
        let body = serde_json::to_vec(&note).map_err(|error| QueueError::Broken(error.to_string()))?;
        let properties = match &note.says {
            Says::Leased(_) => properties("leased", None),
            Says::Lockout(lockout) => {
                properties("kept", None).with_expiration(lockout.time().as_millis().to_string().into())
            }
        };
        let opened = self.notes.take().await?;
        if *opened.live.blocked.borrow() {
            return Err(takes_nothing());
        }
        let (exchange, options) = (ShortString::default(), BasicPublishOptions::default());
        let publishing =
            opened.channel.basic_publish(exchange, self.queue.clone(), options, &body, properties);
        answered(publishing).await?;
        drop(opened);
        let coming = async {
            while let Some(found) = self.incoming.recv().await {
                let is_it = found.note.id == note.id;
                self.found.push(found);
                if is_it {
                    return true;
                }
            }
            false
        };
        match tokio::time::timeout(ANSWER, coming).await {
            Ok(true) => Ok(note.id),
            Ok(false) => Err(QueueError::Unavailable("the leases' queue was lost".to_owned())),
            Err(_) => Err(QueueError::Unavailable("the broker did not answer".to_owned())),
        }
    }
}

impl Found {
    /// Whether its time is over: the broker does not drop a note that a consumer holds.
    fn is_over(&self) -> bool {
        matches!(&self.note.says, Says::Lockout(lockout) if self.since.elapsed() >= lockout.time())
    }

    fn keeps(&self, asset: &AssetId, job: &JobId) -> bool {
        self.note.asset == *asset && matches!(&self.note.says, Says::Lockout(lockout) if !lockout.is_for(job))
    }

    fn is_for(&self, asset: &AssetId, job: &JobId) -> bool {
        self.note.asset == *asset && matches!(&self.note.says, Says::Lockout(lockout) if lockout.is_for(job))
    }
}

/// Forwards notes until the consumer is lost or cancelled.
async fn read(consumer: Consumer, sender: mpsc::Sender<Found>, lost: CancellationToken) {
    // Dropping an active consumer would cancel it before its notes are requeued.
    let mut consumer = ManuallyDrop::new(consumer);
    while let Some(Ok(delivery)) = consumer.next().await {
        match small::<Note>(&delivery.data) {
            Ok(note) => match sender.try_send(Found { note, acker: delivery.acker, since: Instant::now() }) {
                // If the receiver is gone, the channel is about to be closed.
                Ok(()) | Err(TrySendError::Closed(_)) => {}
                // More notes than the prefetch allows: a note that is not seen may keep jobs from an asset.
                Err(TrySendError::Full(_)) => lost.cancel(),
            },
            Err(error) => {
                tracing::warn!(%error, "a note on an asset cannot be read, and is dropped");
                let _ = answered(delivery.ack(BasicAckOptions::default())).await;
            }
        }
    }
    lost.cancel();
    drop(ManuallyDrop::into_inner(consumer));
}

/// Why a queue cannot be consumed exclusively. Each of these errors costs the channel.
pub(super) enum Denied {
    /// Another consumer holds it.
    ByAnother,
    /// The queue does not exist.
    Absent,
    Unavailable(QueueError),
}

/// Consumes exclusively.
pub(super) async fn exclusively(channel: &Channel, queue: ShortString) -> Result<Consumer, Denied> {
    let options = BasicConsumeOptions { exclusive: true, ..BasicConsumeOptions::default() };
    let consuming = channel.basic_consume(queue, ShortString::default(), options, FieldTable::default());
    match tokio::time::timeout(ANSWER, consuming).await {
        Ok(Ok(consumer)) => Ok(consumer),
        Ok(Err(error)) => Err(match error.kind() {
            ErrorKind::ProtocolError(refusal) if refusal.get_id() == REFUSED => Denied::ByAnother,
            _ if is_absence(&error) => Denied::Absent,
            _ => Denied::Unavailable(QueueError::Unavailable(format!("cannot consume: {}", said(&error)))),
        }),
        Err(_) => {
            close(channel);
            Err(Denied::Unavailable(QueueError::Unavailable("the broker did not answer".to_owned())))
        }
    }
}
