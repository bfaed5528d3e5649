//! A queue of leases that this process consumes exclusively, and the notes in it.
//!
//! A note that was put there comes back to its writer, behind all that lay there before: then the writer has seen them, and
//! the queue has the note. While it is not acknowledged, it goes back into the queue with the channel, however that ends, and
//! in the same moment in which another may consume: unless the consumer was cancelled before. RabbitMQ drops a note when its
//! time is over, but not while a consumer has it.

use std::collections::HashSet;
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, Ordering};

use deadpool::managed::Object;
use futures::StreamExt;

use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Acker, Channel, Consumer, ErrorKind};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::away::{REMEDY, housed};
use super::channels::{Channels, Opened, Opening, discard};
use super::consuming::close;
use super::link::{ANSWER, answered, is_absence};
use super::message::{properties, small};
use super::note::{Note, Says};
use super::publisher::takes_nothing;
use super::redact::said;
use super::topology::Topology;
use common::asset::AssetId;
use common::fault::{Guard, guard_stands};
use common::job::JobId;
use queue::{Kept, Left, QueueError};

/// `ACCESS_REFUSED`: another consumes exclusively.
const REFUSED: u16 = 403;
/// Notes that the broker hands to the consumer of one queue: twice what the queue keeps. Where strangers fill that, the next note
/// does not come back, and nothing is leased.
pub(super) const MOST_FOUND: u16 = 2000;

/// A queue of leases in this process's hands.
pub(super) struct Bucket {
    opened: Object<Opening>,
    /// By which notes are written.
    notes: Channels,
    queue: ShortString,
    tag: ShortString,
    /// Cancelled once another process may have the queue.
    lost: CancellationToken,
    incoming: mpsc::Receiver<Found>,
    /// Notes that lie in the queue.
    found: Vec<Found>,
    /// Those of them that are leases of this process.
    leased: HashSet<String>,
}

/// A note in the queue.
struct Found {
    note: Note,
    acker: Acker,
    since: Instant,
}

impl Bucket {
    /// Takes the queue; `None` while another process has it.
    pub(super) async fn open(
        [channels, notes]: [&Channels; 2],
        topology: &Topology,
        number: usize,
        is_declared: &AtomicBool,
    ) -> Result<Option<Self>, QueueError> {
        let queue = topology.locks(number);
        let (opened, consumer) = loop {
            let opened = channels.take().await?;
            // One of another kind would let two consume it.
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
            match exclusively(&opened.channel, queue.clone(), false).await {
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

    /// Leases an asset; returns by which note. `None` where another job has it, or it is kept from this one.
    pub(super) async fn lease(
        &mut self,
        asset: &AssetId,
        job: &JobId,
        doubt: Vec<Kept>,
    ) -> Result<Option<String>, QueueError> {
        let id = self.put(Note::new(asset, Says::Leased(doubt))).await?;
        self.leased.insert(id.clone());
        self.bury_the_dead().await?;
        self.take_away(Found::is_over).await?;
        if self.found.iter().any(|found| found.keeps(asset, job)) {
            self.end(&id).await?;
            return Ok(None);
        }
        Ok(Some(id))
    }

    /// Gives a lease back.
    pub(super) async fn release(
        &mut self,
        id: &str,
        (asset, job): (&AssetId, &JobId),
        left: Left,
        doubt: Vec<Kept>,
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
        for kept in left.marks(doubt) {
            self.put(Note::new(asset, Says::Kept(kept))).await?;
        }
        self.take_away(|found| replaced.contains(&found.note.id)).await?;
        self.end(id).await
    }

    /// Whether no lease is left.
    pub(super) fn is_idle(&self) -> bool {
        self.leased.is_empty()
    }

    /// Gives the queue back.
    pub(super) async fn close(mut self) {
        if self.found.is_empty() && self.incoming.is_empty() && !self.lost.is_cancelled() {
            let cancelling = self.opened.channel.basic_cancel(self.tag, BasicCancelOptions::default());
            // A note that came meanwhile would stay with the channel, where no process sees it.
            if answered(cancelling).await.is_ok()
                && let Ok(None) = tokio::time::timeout(ANSWER, self.incoming.recv()).await
            {
                return;
            }
        }
        // What lies there goes back in one with the consumer only where that is not cancelled before.
        let Opened { channel, .. } = Object::take(self.opened);
        let _ = tokio::time::timeout(ANSWER, channel.close(200, "done".into())).await;
    }

    /// What processes that died had leased is in doubt from now on.
    async fn bury_the_dead(&mut self) -> Result<(), QueueError> {
        let is_dead = |found: &mut Found| {
            matches!(found.note.says, Says::Leased(_)) && !self.leased.contains(&found.note.id)
        };
        let dead: Vec<_> = self.found.extract_if(.., is_dead).collect();
        for Found { note, acker, .. } in dead {
            if let Says::Leased(doubt) = note.says
                && guard_stands(Guard::Doubt)
            {
                for kept in doubt {
                    self.put(Note::new(&note.asset, Says::Kept(kept))).await?;
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

    /// Puts a note there, and waits until it has come back; returns its id.
    async fn put(&mut self, note: Note) -> Result<String, QueueError> {
        let body = serde_json::to_vec(&note).map_err(|error| QueueError::Broken(error.to_string()))?;
        let properties = match &note.says {
            Says::Leased(_) => properties("leased", None),
            Says::Kept(kept) => {
                properties("kept", None).with_expiration(kept.time().as_millis().to_string().into())
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
    /// The broker drops none that a consumer has.
    fn is_over(&self) -> bool {
        matches!(&self.note.says, Says::Kept(kept) if self.since.elapsed() >= kept.time())
    }

    fn keeps(&self, asset: &AssetId, job: &JobId) -> bool {
        self.note.asset == *asset && matches!(&self.note.says, Says::Kept(kept) if !kept.is_for(job))
    }

    fn is_for(&self, asset: &AssetId, job: &JobId) -> bool {
        self.note.asset == *asset && matches!(&self.note.says, Says::Kept(kept) if kept.is_for(job))
    }
}

/// Passes on what comes, until the consumer is lost or cancelled.
async fn read(consumer: Consumer, sender: mpsc::Sender<Found>, lost: CancellationToken) {
    // Dropped while it consumes, it would be cancelled before its notes go back.
    let mut consumer = ManuallyDrop::new(consumer);
    while let Some(Ok(delivery)) = consumer.next().await {
        match small::<Note>(&delivery.data) {
            Ok(note) => match sender.try_send(Found { note, acker: delivery.acker, since: Instant::now() }) {
                // Without the receiver, the channel is about to be closed.
                Ok(()) | Err(TrySendError::Closed(_)) => {}
                // The broker pushes more than it was asked for: a note that is not seen may keep an asset.
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

/// Why a queue cannot be consumed exclusively; each costs the channel.
pub(super) enum Denied {
    /// Another consumer has it.
    ByAnother,
    /// There is no such queue.
    Absent,
    Unavailable(QueueError),
}

/// Consumes exclusively.
pub(super) async fn exclusively(
    channel: &Channel,
    queue: ShortString,
    no_ack: bool,
) -> Result<Consumer, Denied> {
    let options = BasicConsumeOptions { exclusive: true, no_ack, ..BasicConsumeOptions::default() };
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
