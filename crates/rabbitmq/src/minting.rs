//! The term of an egress group's one minter: the process that consumes the minter's queue exclusively, over this
//! channel.
//!
//! A durable classic queue allows one exclusive consumer, which ends with its channel. The minter publishes over the
//! same channel, so none of its tokens arrives after another minter was elected.

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use lapin::options::{
    BasicAckOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation, Consumer};

use super::EgressGroup;
use super::bucket::{Denied, exclusively};
use super::contact::Contact;
use super::group::MOST_UNHEARD;
use super::presence::Presence;
use super::topology::Topology;
use amqp::{ANSWER, answered, said};
use budget::{BrokerView, Budget, Duty, Minter, Timing, Token};
use common::boot_clock::since_boot;
use queue::QueueError;

impl EgressGroup {
    /// A call waits, and the group has no minter: this process tries to become it.
    pub(super) fn run_for_minter(&self) {
        self.shared.no_minter.notify_one();
    }

    /// Becomes the minter when a call of this process waits and the group has no minter.
    pub(super) async fn mint_when_needed(&self, budget: &Budget) {
        loop {
            self.shared.no_minter.notified().await;
            if let Err(error) = self.mint(budget).await {
                tracing::debug!(%error, "no minter any more");
            }
        }
    }

    async fn mint(&self, budget: &Budget) -> Result<(), QueueError> {
        let live = self.shared.lease_link.wait(ANSWER).await?;
        let channel = live.channel().await?;
        answered(channel.confirm_select(ConfirmSelectOptions::default())).await?;
        answered(channel.basic_qos(MOST_UNHEARD, BasicQosOptions::default())).await?;
        let mut wishes = match exclusively(&channel, self.shared.topology.minter()).await {
            Ok(wishes) => wishes,
            Err(Denied::ByAnother) => return Ok(()),
            Err(Denied::Absent) => {
                return Err(QueueError::Unavailable("the minter's queue was deleted".to_owned()));
            }
            Err(Denied::Unavailable(error)) => return Err(error),
        };
        tracing::info!("this process mints the egress group's tokens");
        let topology = &self.shared.topology;
        let records = [topology.pause_of_group(), topology.trying()].map(Presence::proven).into();
        let office = Office { channel, topology, contact: &self.shared.contact, records };
        let minted = live.lost.run_until_cancelled(office.hold(budget, &mut wishes)).await;
        minted.unwrap_or_else(|| Err(QueueError::Unavailable("the connection is lost".to_owned())))
    }
}

struct Office<'a> {
    channel: Channel,
    topology: &'a Topology,
    contact: &'a Contact,
    /// The records of a silence, and of the first call after it.
    records: tokio::sync::Mutex<[Presence; 2]>,
}

impl Office<'_> {
    async fn hold(&self, budget: &Budget, wishes: &mut Consumer) -> Result<(), QueueError> {
        let mut minter = Minter::elected(budget.requests(), Timing::real(), now()?);
        let (mut confirms, mut views) = (FuturesUnordered::new(), FuturesUnordered::new());
        loop {
            minter.set_requests(budget.requests());
            let wait = match minter.duty(now()?) {
                Duty::Mint(token) => {
                    // If this process's node is cut off, the other nodes may have elected another minter.
                    self.contact.check()?;
                    confirms.push(self.publish(token).await?);
                    continue;
                }
                Duty::Query => {
                    views.push(self.view());
                    continue;
                }
                Duty::Resign => return Err(QueueError::Unavailable("a token is not confirmed".to_owned())),
                Duty::Wait(wait) => Some(wait),
                Duty::Sleep => None,
            };
            let pause = async {
                match wait {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = pause => {}
                wish = wishes.next() => match wish {
                    Some(Ok(wish)) => {
                        minter.wished(now()?);
                        answered(wish.ack(BasicAckOptions::default())).await?;
                    }
                    Some(Err(error)) => return Err(QueueError::Unavailable(said(&error))),
                    None => return Err(QueueError::Unavailable("this process is no longer the minter".to_owned())),
                },
                Some(view) = views.next() => minter.saw(view?, now()?),
                Some(confirmation) = confirms.next() => match confirmation {
                    Ok(Confirmation::Ack(_)) => minter.confirmed(),
                    Ok(_) => return Err(QueueError::Unavailable("a token was refused".to_owned())),
                    Err(error) => return Err(QueueError::Unavailable(said(&error))),
                },
            }
        }
    }

    async fn publish(
        &self,
        token: Token,
    ) -> Result<impl Future<Output = lapin::Result<Confirmation>> + use<>, QueueError> {
        let body = serde_json::to_vec(&token).unwrap_or_default();
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let key = self.topology.tokens();
        answered(self.channel.basic_publish(ShortString::default(), key, options, &body, properties)).await
    }

    async fn view(&self) -> Result<BrokerView, QueueError> {
        let mut records = self.records.lock().await;
        let [silence, trying] = &mut *records;
        let (silent, trying) =
            (silence.is_there(&self.channel).await?, trying.is_there(&self.channel).await?);
        Ok(BrokerView { silent, trying, consumers: self.consumers_of(self.topology.tokens()).await? })
    }

    async fn consumers_of(&self, queue: ShortString) -> Result<u32, QueueError> {
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        let found = answered(self.channel.queue_declare(queue, passive, FieldTable::default())).await?;
        Ok(found.consumer_count())
    }
}

/// The time since boot; without it nothing is minted.
fn now() -> Result<std::time::Duration, QueueError> {
    since_boot()
        .ok_or_else(|| QueueError::Broken("the kernel has no clock of the time since boot".to_owned()))
}
