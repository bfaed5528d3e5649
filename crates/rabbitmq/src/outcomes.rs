//! Takes outcomes from the broker into the ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{FutureExt, StreamExt};
use lapin::message::Delivery as Message;
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use tokio::sync::{Mutex, MutexGuard, Notify};

use super::message::{decode_event, is_dropped, versioned};
use super::{Broker, Connections};
use amqp::{ANSWER, answered, consume, said};
use common::job::MessageError;
use common::outcome::OutcomeEvent;
use ledger::Ledger;
use queue::QueueError;

/// The most outcomes taken into the ledger in one transaction.
const BATCH: u16 = 200;

/// The outcomes that workers reported.
pub struct Outcomes {
    shared: Arc<Connections>,
    /// One user at a time, since one ack covers several outcomes.
    incoming: Mutex<Option<Incoming>>,
    /// Callers that want to fold; a waiting caller makes way for them.
    folding: AtomicUsize,
    /// Another caller wants to fold.
    wanted: Notify,
}

struct Incoming {
    channel: Channel,
    consumer: Consumer,
    /// Received, and not taken into the ledger yet.
    first: Option<Message>,
}

/// Outcomes to take in at once.
struct Batch {
    events: Vec<OutcomeEvent>,
    /// Those of failed jobs that a person dropped.
    dropped: Vec<OutcomeEvent>,
    /// The number of messages: those of the outcomes, and others that were set aside or put off.
    count: usize,
    last: Message,
}

impl Broker {
    /// The outcomes that workers reported.
    pub fn outcomes(&self) -> Outcomes {
        Outcomes {
            shared: Arc::clone(&self.shared),
            incoming: Mutex::default(),
            folding: AtomicUsize::default(),
            wanted: Notify::new(),
        }
    }
}

impl Outcomes {
    /// Waits until there may be outcomes.
    ///
    /// # Errors
    /// The broker cannot be reached.
    pub async fn wait(&self) -> Result<(), QueueError> {
        let wanted = self.wanted.notified();
        tokio::pin!(wanted);
        // Enabled before the count is read, so that no caller in between is missed.
        wanted.as_mut().enable();
        let mut kept = self.incoming.lock().await;
        let incoming = self.open(&mut kept).await?;
        if incoming.first.is_some() || self.folding.load(Ordering::SeqCst) > 0 {
            return Ok(());
        }
        tokio::select! {
            message = incoming.consumer.next() => match message {
                Some(Ok(message)) => incoming.first = Some(message),
                // The broker cancelled the consumer, or its channel is closed.
                Some(Err(_)) | None => *kept = None,
            },
            () = wanted => {}
        }
        Ok(())
    }

    /// Moves outcomes into the ledger, and acknowledges them once they are recorded. Outcomes of jobs that were never
    /// published are set aside. Returns the number of messages.
    ///
    /// # Errors
    /// The broker or the ledger cannot be used; unrecorded outcomes stay on the broker.
    pub async fn fold_into(&self, ledger: &Ledger) -> Result<usize, QueueError> {
        let mut kept = self.taken_for_folding().await;
        let incoming = self.open(&mut kept).await?;
        let taken = incoming.take(&self.shared).await;
        let Some(Batch { events, dropped, count, last }) = taken.inspect_err(|_| *kept = None)? else {
            return Ok(0);
        };
        if let Err(error) = self.record(ledger, events, dropped).await {
            // Left unacknowledged, they would be covered by the next batch's ack.
            let back = BasicNackOptions { multiple: true, requeue: true };
            answered(last.acker.nack(back)).await?;
            return Err(error);
        }
        answered(last.acker.ack(BasicAckOptions { multiple: true })).await?;
        Ok(count)
    }

    /// Acquires the consumer from a caller that waits.
    async fn taken_for_folding(&self) -> MutexGuard<'_, Option<Incoming>> {
        let _folding = Folding::start(&self.folding);
        // Not `notify_one`, which would store a permit for the next waiter.
        self.wanted.notify_waiters();
        self.incoming.lock().await
    }

    async fn record(
        &self,
        ledger: &Ledger,
        events: Vec<OutcomeEvent>,
        dropped: Vec<OutcomeEvent>,
    ) -> Result<(), QueueError> {
        for stranger in ledger.fold(events).await? {
            let reason = format!(
                "an outcome is of job {}, which this record never published for asset {} in run {}; nothing is recorded",
                stranger.job_id, stranger.asset_id, stranger.run_id
            );
            self.shared.set_aside(&versioned(&stranger)?, &reason).await?;
        }
        if !dropped.is_empty() {
            ledger.drop_failed(dropped).await?;
        }
        Ok(())
    }

    async fn open<'a>(&self, kept: &'a mut Option<Incoming>) -> Result<&'a mut Incoming, QueueError> {
        let usable = kept.take().filter(|incoming| incoming.channel.status().connected());
        let incoming = match usable {
            Some(incoming) => incoming,
            None => Incoming::open(&self.shared).await?,
        };
        Ok(kept.insert(incoming))
    }
}

/// Counts a caller that wants to fold, until dropped.
struct Folding<'a>(&'a AtomicUsize);

impl<'a> Folding<'a> {
    fn start(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Folding<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Incoming {
    async fn open(shared: &Connections) -> Result<Self, QueueError> {
        let live = shared.consume_link.wait(ANSWER).await?;
        let channel = live.channel().await?;
        answered(channel.basic_qos(BATCH, BasicQosOptions::default())).await?;
        match consume(&channel, shared.topology.results(), "results".into(), FieldTable::default()).await {
            Ok(consumer) => Ok(Self { channel, consumer, first: None }),
            Err(error) => {
                // If the queue was deleted, the broker closed the channel: declare it again.
                shared.consume_link.redeclare(&live).await;
                Err(error)
            }
        }
    }

    /// What has arrived by now, at most one batch.
    async fn take(&mut self, shared: &Connections) -> Result<Option<Batch>, QueueError> {
        if self.first.is_none() {
            let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
            let counting =
                self.channel.queue_declare(shared.topology.results(), passive, FieldTable::default());
            // The queue itself answers this, after everything that it pushed before. So if it is empty, no message is
            // on its way.
            let ready = answered(counting).await?.message_count();
            self.first = match self.consumer.next().now_or_never() {
                Some(message) => {
                    message.transpose().map_err(|error| QueueError::Unavailable(said(&error)))?
                }
                None if ready == 0 => None,
                None => self.next_in_time().await?,
            };
        }
        let Some(first) = self.first.take() else { return Ok(None) };
        let mut messages = vec![first];
        while messages.len() < usize::from(BATCH)
            && let Some(Some(Ok(message))) = self.consumer.next().now_or_never()
        {
            messages.push(message);
        }
        let (mut events, mut dropped) = (Vec::new(), Vec::new());
        for message in &messages {
            match decode_event(&message.data) {
                _ if !shared.is_authentic(&shared.topology.results(), message) => {
                    let reason = "an outcome is not signed by a key of this fleet";
                    shared.set_aside(&message.data, reason).await?;
                }
                // The drop may come before the outcome itself.
                Ok(event) => {
                    dropped.extend(is_dropped(&message.data).then(|| event.clone()));
                    events.push(event);
                }
                Err(MessageError::Newer(_)) => shared.put_off(&shared.topology.results(), message).await?,
                Err(error) => {
                    let reason = format!("an outcome cannot be read and is left out of the ledger: {error}");
                    shared.set_aside(&message.data, &reason).await?;
                }
            }
        }
        let count = messages.len();
        Ok(messages.pop().map(|last| Batch { events, dropped, count, last }))
    }

    async fn next_in_time(&mut self) -> Result<Option<Message>, QueueError> {
        match tokio::time::timeout(ANSWER, self.consumer.next()).await {
            Ok(message) => message.transpose().map_err(|error| QueueError::Unavailable(said(&error))),
            Err(_) => {
                Err(QueueError::Unavailable("the broker did not push the outcomes that it has".to_owned()))
            }
        }
    }
}
