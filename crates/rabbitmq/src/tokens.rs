//! Takes tokens: consumed while a call waits, acknowledged, and only then spent.
//!
//! After acknowledging tokens, the member asks over the same channel whether a silence is recorded. The answer proves
//! that the acks arrived, so no other member gets these tokens; that the broker is reachable; and whether calls are
//! allowed.

use std::collections::VecDeque;
use std::time::Duration;

use futures::StreamExt;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicNackOptions, BasicPublishOptions, BasicQosOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Consumer};
use tokio::sync::watch;
use tokio::time::Instant;

use super::EgressGroup;
use super::message::small;
use super::presence::Presence;
use super::topology::Topology;
use amqp::{ANSWER, answered, consume, said};
use budget::{Budget, Demand, GOOD_FOR, PREFETCH, Token};
use common::boot_clock::since_boot;
use queue::QueueError;

/// How long a member keeps consuming after its last call got a token: another call often follows.
const LINGER: Duration = Duration::from_millis(300);
/// After waiting this long for a token, a member asks for tokens again and checks that there is a minter.
const MISSING: Duration = Duration::from_secs(1);

/// A member that takes tokens over one channel.
pub(super) struct Spender<'a> {
    budget: &'a Budget,
    topology: &'a Topology,
    channel: Channel,
    silence: Presence,
    /// Tokens that are not acknowledged yet, with the time of arrival.
    in_hand: VecDeque<(Instant, Delivery)>,
}

impl EgressGroup {
    /// Takes tokens for the calls of this budget until the connection is lost.
    pub(super) async fn take_tokens(&self, budget: &Budget) -> Result<(), QueueError> {
        let live = self.shared.consume_link.wait(ANSWER).await?;
        self.shared.declare_tokens(&live).await?;
        let channel = live.channel().await?;
        answered(channel.basic_qos(PREFETCH, BasicQosOptions::default())).await?;
        let topology = &self.shared.topology;
        let silence = Presence::of(topology.pause_of_group());
        let mut spender = Spender { budget, topology, channel, silence, in_hand: VecDeque::new() };
        let mut demand = budget.demand();
        loop {
            let closed = |_| QueueError::Closed;
            demand.wait_for(|demand| *demand != Demand::Nothing).await.map_err(closed)?;
            let taking = spender.take_while_asked(&mut demand, || self.run_for_minter());
            match live.lost.run_until_cancelled(taking).await {
                Some(taken) => taken?,
                None => return Err(QueueError::Unavailable("the connection is lost".to_owned())),
            }
        }
    }
}

impl Spender<'_> {
    /// Consumes while calls wait, at the priority of those calls.
    async fn take_while_asked(
        &mut self,
        demand: &mut watch::Receiver<Demand>,
        no_minter: impl Fn() + Send,
    ) -> Result<(), QueueError> {
        let priority = *demand.borrow_and_update();
        let mut tokens = self.consume(priority).await?;
        let tag = tokens.tag();
        self.wish(&no_minter).await?;
        let mut had = Instant::now();
        let mut idle: Option<Instant> = None;
        loop {
            tokio::select! {
                token = tokens.next() => match token {
                    Some(Ok(token)) => {
                        had = Instant::now();
                        self.in_hand.push_back((had, token));
                    }
                    Some(Err(error)) => return Err(QueueError::Unavailable(said(&error))),
                    None => return Err(QueueError::Unavailable("the broker gives no tokens any more".to_owned())),
                },
                changed = demand.changed() => changed.map_err(|_| QueueError::Closed)?,
                () = tokio::time::sleep_until(idle.unwrap_or(had) + if idle.is_some() { LINGER } else { MISSING }) => {
                    if idle.is_some() {
                        return self.stop(tag, tokens).await;
                    }
                    had = Instant::now();
                    self.wish(&no_minter).await?;
                }
            }
            self.spend().await?;
            let now = *demand.borrow();
            match now {
                Demand::Nothing => idle = idle.or_else(|| Some(Instant::now())),
                _ if now == priority => idle = None,
                // Another priority needs another consumer.
                Demand::Fresh | Demand::Backlog => return self.stop(tag, tokens).await,
            }
        }
    }

    async fn consume(&self, demand: Demand) -> Result<Consumer, QueueError> {
        let mut arguments = FieldTable::default();
        let priority = i32::from(demand == Demand::Fresh);
        arguments.insert("x-priority".into(), AMQPValue::LongInt(priority));
        consume(&self.channel, self.topology.tokens(), ShortString::default(), arguments).await
    }

    /// Asks the minter for tokens, and calls `no_minter` if the group has no minter.
    async fn wish(&self, no_minter: &impl Fn()) -> Result<(), QueueError> {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let key = self.topology.minter();
        answered(self.channel.basic_publish(ShortString::default(), key.clone(), options, b"", properties))
            .await?;
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        let office = answered(self.channel.queue_declare(key, passive, FieldTable::default())).await?;
        if office.consumer_count() == 0 {
            no_minter();
        }
        Ok(())
    }

    /// Acknowledges the tokens that the waiting calls need, and grants them unless they are too old or a silence is on
    /// record. One question covers all of them.
    async fn spend(&mut self) -> Result<(), QueueError> {
        let (mut lacks, mut spent) = (self.budget.lacks(), Vec::new());
        let asked = since_boot();
        while lacks > 0
            && let Some((came, token)) = self.in_hand.pop_front()
        {
            if came.elapsed() >= GOOD_FOR {
                give_back(&token).await?;
                continue;
            }
            answered(token.acker.ack(BasicAckOptions::default())).await?;
            match small::<Token>(&token.data) {
                Ok(token) => {
                    lacks = lacks.saturating_sub(token.calls);
                    spent.push(token);
                }
                Err(error) => tracing::warn!(%error, "a token cannot be read"),
            }
        }
        if spent.is_empty() {
            return Ok(());
        }
        let silent = self.silence.is_there(&self.channel).await?;
        self.budget.informed(silent);
        // A process that was suspended in between does not know what was recorded meanwhile.
        let passed = asked.zip(since_boot()).map(|(asked, now)| now.saturating_sub(asked));
        if !silent && passed.is_some_and(|passed| passed < GOOD_FOR) {
            for token in spent {
                self.budget.grant(token);
            }
        }
        Ok(())
    }

    /// Stops consuming, and requeues unused tokens, which keep their age.
    async fn stop(&mut self, tag: ShortString, mut tokens: Consumer) -> Result<(), QueueError> {
        answered(self.channel.basic_cancel(tag, BasicCancelOptions::default())).await?;
        let rest = async {
            while let Some(Ok(token)) = tokens.next().await {
                give_back(&token).await?;
            }
            for (_, token) in self.in_hand.drain(..) {
                give_back(&token).await?;
            }
            Ok(())
        };
        tokio::time::timeout(ANSWER, rest).await.unwrap_or(Err(QueueError::Unavailable(
            "the broker did not cancel a consumer in time".to_owned(),
        )))
    }
}

async fn give_back(token: &Delivery) -> Result<(), QueueError> {
    let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
    answered(token.acker.nack(options)).await.map(|_| ())
}
