//! The egress group on the broker: the announcements of its members, and the records of silences and pauses.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions, BasicPublishOptions,
    BasicQosOptions, QueueBindOptions, QueueDeclareOptions, QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::announcement::{Announcement, Complaints};
use super::message::properties;
use super::presence::Presence;
use super::publisher::Message;
use super::topology::Topology;
use super::wish::pause_in;
use super::{Broker, Connections};
use amqp::{ANSWER, answered, close, said};
use budget::{Beat, Budget, News, OperatorPause};
use queue::QueueError;

/// How soon to try again after an error, such as a lost connection.
const TRY_AGAIN: Duration = Duration::from_millis(300);
/// How long an ending process waits for the broker to confirm its last announcement.
const FAREWELL: Duration = Duration::from_secs(2);
/// Announcements kept for a member that does not read them; the oldest are dropped.
const MOST_UNREAD: i64 = 10_000;
const MOST_UNREAD_BYTES: i64 = 16 << 20;
/// The prefetch of announcements and wishes; the rest waits on the broker.
pub(super) const MOST_UNHEARD: u16 = 100;

/// The processes that share an address and its request budget.
#[derive(Clone)]
pub struct EgressGroup {
    pub(super) shared: Arc<Connections>,
}

impl Broker {
    /// The egress group of this process.
    pub fn egress_group(&self) -> EgressGroup {
        EgressGroup { shared: Arc::clone(&self.shared) }
    }
}

impl EgressGroup {
    /// Takes part in the group until the returned handle is dropped. Without contact the budget admits no calls.
    pub fn join(&self, budget: &Budget) -> AbortOnDropHandle<()> {
        let (group, budget) = (self.clone(), budget.clone());
        AbortOnDropHandle::new(tasks::lasting(async move {
            let (group, budget) = (&group, &budget);
            tokio::join!(
                again(|| group.announce_all(budget)),
                again(|| group.take_tokens(budget)),
                again(|| group.put_on_record(budget)),
                group.mint_when_needed(budget),
            );
        }))
    }

    /// Announces this process, receives other members' announcements, and reads the records.
    async fn announce_all(&self, budget: &Budget) -> Result<(), QueueError> {
        let sender = self.shared.publisher.link().wait(ANSWER).await?.channel().await?;
        let live = self.shared.consume_link.wait(ANSWER).await?;
        let (receiver, observer) = (live.channel().await?, live.channel().await?);
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
        arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(MOST_UNREAD));
        arguments.insert("x-max-length-bytes".into(), AMQPValue::LongLongInt(MOST_UNREAD_BYTES));
        // Deleted with its consumer: if this part ends before the connection does, the next start declares a new one.
        let options = QueueDeclareOptions { auto_delete: true, ..QueueDeclareOptions::exclusive() };
        let declaring = receiver.queue_declare(Topology::member(), options, arguments);
        let own = answered(declaring).await?.name().clone();
        let (control, group) = (Topology::control(), self.shared.topology.group());
        let options = QueueBindOptions::default();
        answered(receiver.queue_bind(
            own.clone(),
            control.clone(),
            Topology::every_group(),
            options,
            FieldTable::default(),
        ))
        .await?;
        answered(receiver.basic_qos(MOST_UNHEARD, BasicQosOptions::default())).await?;
        let options = BasicConsumeOptions { exclusive: true, ..BasicConsumeOptions::default() };
        let consuming = receiver.basic_consume(own, ShortString::default(), options, FieldTable::default());
        let mut incoming = answered(consuming).await.inspect_err(|_| close(&receiver))?;
        self.shared.crew.listens();
        let mut complaints = Complaints::default();
        let mut records = [self.shared.topology.pause_of_group(), self.shared.topology.pause_of_operator()]
            .map(Presence::of);
        loop {
            self.read_records(&observer, budget, &mut records).await?;
            let body = serde_json::to_vec(&self.beat(budget)).unwrap_or_default();
            let options = BasicPublishOptions::default();
            let signed = self.signed(&body);
            let sending = sender.basic_publish(control.clone(), group.clone(), options, &body, signed);
            answered(sending).await?;
            let next = Instant::now() + budget.beat();
            loop {
                tokio::select! {
                    message = incoming.next() => match message {
                        Some(Ok(message)) => {
                            self.hear(budget, message.routing_key == group, &message, &mut complaints);
                            answered(message.ack(BasicAckOptions::default())).await?;
                        }
                        Some(Err(error)) => return Err(QueueError::Unavailable(said(&error))),
                        None => return Err(QueueError::Unavailable("the announcements ended".to_owned())),
                    },
                    () = tokio::time::sleep_until(next) => break,
                }
            }
        }
    }

    fn beat(&self, budget: &Budget) -> Beat {
        Beat {
            program: self.shared.program.clone(),
            deployment: self.shared.topology.prefix().to_owned(),
            in_hand: Some(self.shared.in_hand.load(Ordering::Relaxed)),
            ..budget.announce()
        }
    }

    /// The properties of an announcement, with its signature.
    fn signed(&self, body: &[u8]) -> BasicProperties {
        self.shared.signer.of_groups().signed(BasicProperties::default(), Topology::control().as_str(), body)
    }

    /// Handles an announcement. From another egress group, only the number of jobs in hand is used. Another deployment
    /// may sign with another key, and is then ignored.
    fn hear(&self, budget: &Budget, is_of_group: bool, message: &Delivery, complaints: &mut Complaints) {
        let announcement = Announcement::of(&self.shared.signer, message);
        match &announcement {
            Announcement::Member(beat) => {
                self.shared.crew.receive(beat);
                if is_of_group {
                    budget.receive(beat);
                }
            }
            Announcement::Unsigned(beat) if beat.deployment == self.shared.topology.prefix() => {
                self.shared.rejected.fetch_add(1, Ordering::Relaxed);
                complaints.complain(&announcement);
            }
            Announcement::Unsigned(_) => {}
            Announcement::Earlier(_) | Announcement::Unreadable(_) => complaints.complain(&announcement),
        }
    }

    async fn read_records(
        &self,
        observer: &Channel,
        budget: &Budget,
        [silence, pause]: &mut [Presence; 2],
    ) -> Result<(), QueueError> {
        budget.informed(silence.is_there(observer).await?);
        let pause = self.operator_pause(observer, budget.operator_pause(), pause).await?;
        budget.set_operator_pause(pause);
        Ok(())
    }

    /// A person's pause, if there is one. A known pause is not read again; one that is not authentic is set aside.
    async fn operator_pause(
        &self,
        observer: &Channel,
        known: Option<OperatorPause>,
        pause: &mut Presence,
    ) -> Result<Option<OperatorPause>, QueueError> {
        let queue = || self.shared.topology.pause_of_operator();
        if !pause.is_there(observer).await? {
            return Ok(None);
        }
        if known.is_some() {
            return Ok(known);
        }
        let Some(got) = answered(observer.basic_get(queue(), BasicGetOptions::default())).await? else {
            // Another process is reading it right now.
            return Ok(Some(OperatorPause { since: jiff::Timestamp::now(), reason: None }));
        };
        let message = got.delivery;
        let pause = pause_in(&self.shared.signer, &self.shared.topology, &message);
        if pause.is_some() {
            let back = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
            answered(message.acker.nack(back)).await?;
        } else {
            self.shared.set_aside(&message.data, "a pause is not signed by a key of this fleet").await?;
            answered(message.acker.ack(BasicAckOptions::default())).await?;
        }
        Ok(pause)
    }

    /// Records what this member learned about Bynder's block. The broker drops a silence when it is over.
    async fn put_on_record(&self, budget: &Budget) -> Result<(), QueueError> {
        loop {
            let news = budget.news().await;
            let recorded = match news {
                News::Refused => self.record_silence(budget.pause()).await,
                News::Over => self.purge(self.shared.topology.trying()).await.map(|_| ()),
            };
            if let Err(error) = recorded {
                budget.keep_news(news);
                return Err(error);
            }
        }
    }

    /// Publishes the record that outlives the silence first, so that the silence cannot end unnoticed.
    async fn record_silence(&self, pause: Duration) -> Result<(), QueueError> {
        let own = properties("silence", None);
        let lasting = own.clone().with_expiration(pause.as_millis().to_string().into());
        for (key, properties) in
            [(self.shared.topology.trying(), own), (self.shared.topology.pause_of_group(), lasting)]
        {
            let body = b"{}".to_vec();
            self.shared
                .publisher
                .publish(&Message { exchange: ShortString::default(), key, properties, body })
                .await?;
        }
        Ok(())
    }

    /// Announces that this process makes no more calls.
    pub async fn leave(&self, budget: &Budget) {
        let beat = Beat { leaving: true, ..self.beat(budget) };
        let body = serde_json::to_vec(&beat).unwrap_or_default();
        let (exchange, key, properties) =
            (Topology::control(), self.shared.topology.group(), self.signed(&body));
        let message = Message { exchange, key, properties, body };
        let error = match tokio::time::timeout(FAREWELL, self.shared.publisher.publish_now(&message)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(elapsed) => elapsed.to_string(),
        };
        tracing::debug!(error, "the others find out by themselves that this member left");
    }

    /// Pauses every worker until [`EgressGroup::operator_resumes`].
    ///
    /// # Errors
    /// The broker cannot be reached, or refuses.
    pub async fn operator_pauses(&self, pause: &OperatorPause) -> Result<(), QueueError> {
        let body = serde_json::to_vec(pause).unwrap_or_default();
        let key = self.shared.topology.pause_of_operator();
        self.shared
            .publisher
            .publish(&Message {
                exchange: ShortString::default(),
                key,
                properties: properties("pause", None),
                body,
            })
            .await
    }

    /// Ends a person's pause; returns whether there was one.
    ///
    /// # Errors
    /// The broker cannot be reached, or refuses.
    pub async fn operator_resumes(&self) -> Result<bool, QueueError> {
        Ok(self.purge(self.shared.topology.pause_of_operator()).await? > 0)
    }

    /// Empties a queue; returns how many messages it had.
    async fn purge(&self, queue: ShortString) -> Result<u32, QueueError> {
        let live = self.shared.consume_link.wait(ANSWER).await?;
        let channel = live.channel().await?;
        let purged = answered(channel.queue_purge(queue, QueuePurgeOptions::default())).await?;
        let _ = tokio::time::timeout(ANSWER, channel.close(200, "done".into())).await;
        Ok(purged)
    }

    /// A person's pause, and whether the group keeps silent after a 429.
    ///
    /// # Errors
    /// The broker cannot be reached, or refuses.
    pub async fn pauses(&self) -> Result<(Option<OperatorPause>, bool), QueueError> {
        let live = self.shared.consume_link.wait(ANSWER).await?;
        let channel = live.channel().await?;
        let silence = Presence::of(self.shared.topology.pause_of_group()).is_there(&channel).await?;
        let name = self.shared.topology.pause_of_operator();
        let got = answered(channel.basic_get(name, BasicGetOptions::default())).await?;
        // Closing the channel requeues the message.
        let _ = tokio::time::timeout(ANSWER, channel.close(200, "done".into())).await;
        let (signer, topology) = (&self.shared.signer, &self.shared.topology);
        Ok((got.and_then(|got| pause_in(signer, topology, &got.delivery)), silence))
    }
}

/// Runs a part again whenever it fails, until dropped.
async fn again<F: Future<Output = Result<(), QueueError>>>(part: impl Fn() -> F) {
    loop {
        if let Err(error) = part().await {
            tracing::debug!(%error, "no part in the egress group for now");
        }
        tokio::time::sleep(TRY_AGAIN).await;
    }
}
