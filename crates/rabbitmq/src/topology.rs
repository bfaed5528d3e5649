//! Declares every exchange and queue, with all arguments.
//!
//! Declaring the same thing again changes nothing; the broker refuses a declaration that differs. So the arguments of a
//! released queue never change: a queue that needs others gets another name.

use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind};

use super::arguments::Arguments;
use budget::{GOOD_FOR, MOST_QUEUED};
use common::job::{Job, Lane, Step};
use common::span::Span;
use queue::QueueError;

/// How many deliveries of a message may be lost before the broker dead-letters it. Without a limit, 3.10 would
/// redeliver a message that kills its worker forever; 4.x would stop at 20 by default.
const DELIVERY_LIMIT: i64 = 20;
/// For queues whose messages are also taken only to be read, since that counts as a lost delivery too. "Unlimited" is a
/// large number, never -1: 3.10 accepts -1 and drops the message at its first requeue.
const NO_DELIVERY_LIMIT: i64 = 1_000_000;
/// Outcomes kept while the producer is away. Beyond that the oldest are dropped, and the run reports that outcomes are
/// missing.
const MOST_RESULTS: i64 = 1_000_000;
/// Messages set aside for a person; beyond that the oldest are dropped.
const MOST_REJECTED: i64 = 10_000;
/// The same limit in bytes, over all of them.
const MOST_REJECTED_BYTES: i64 = 64 << 20;
/// A hold queue unused for this long belongs to a process that is gone.
const HOLD_EXPIRY: Duration = Duration::from_hours(1);
/// How soon a held job returns to its step if its process died. A live process has the same time to take it.
pub(super) const HOLD_RETURN: Duration = Duration::from_secs(10);

/// The work queues, in order of preference.
pub(super) const WORK: [(Step, Lane); 4] = [
    (Step::Save, Lane::Fresh),
    (Step::Transfer, Lane::Fresh),
    (Step::Submit, Lane::Fresh),
    (Step::Submit, Lane::Backlog),
];

/// The longest name that AMQP allows.
const MOST_NAME_BYTES: usize = 255;
/// The longest prefix or egress group: the rest of each name, such as an asset's id, has fewer than 128 bytes.
const MOST_OWN_BYTES: usize = MOST_NAME_BYTES - 128;

/// Unread requests for tokens to keep; one is enough for the minter.
const MOST_WISHES: i64 = 16;

/// Notes kept in one queue of leases.
const MOST_NOTES: i64 = 1000;

/// The prefix of an egress group's own names, whatever the deployment's prefix: deployments that share an address share
/// these queues.
const SHARED: &str = "connector";

/// All names on the broker. A deployment's own names start with its prefix.
#[derive(Debug, Clone)]
pub(super) struct Topology {
    prefix: String,
    rungs: Vec<Duration>,
    /// The egress group: the processes that share an address.
    group: String,
    /// The one portal that jobs under this prefix are for.
    portal: String,
}

impl Topology {
    /// # Errors
    /// [`QueueError::Misconfigured`]: the names would be longer than AMQP allows.
    pub(super) fn new(
        prefix: &str,
        rungs: &[Duration],
        group: &str,
        portal: &str,
    ) -> Result<Self, QueueError> {
        for (key, text) in [("queue.prefix", prefix), ("bynder.egress_group", group)] {
            let bytes = text.len();
            if bytes > MOST_OWN_BYTES {
                return Err(QueueError::Misconfigured(format!(
                    "{key} has {bytes} bytes, and the names of queues leave room for {MOST_OWN_BYTES}: choose a shorter one"
                )));
            }
        }
        let (prefix, group, portal) = (prefix.to_owned(), group.to_owned(), portal.to_owned());
        Ok(Self { prefix, rungs: rungs.to_vec(), group, portal })
    }

    /// The one portal that jobs under this prefix are for.
    pub(super) fn for_portal(&self) -> &str {
        &self.portal
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    fn name(&self, rest: &str) -> ShortString {
        ShortString::from(format!("{}.{rest}", self.prefix))
    }

    /// The work queue of a step.
    pub(super) fn work(&self, step: Step, lane: Lane) -> ShortString {
        match step {
            Step::Submit => self.name(&format!("submit.{}", lane.name())),
            Step::Transfer | Step::Save => self.name(step.name()),
        }
    }

    /// The work queue of a job's step and lane.
    pub(super) fn queue_of(&self, job: &Job) -> ShortString {
        self.work(job.step, job.lane)
    }

    pub(super) fn dead(&self) -> ShortString {
        self.name("dead")
    }

    pub(super) fn failed(&self) -> ShortString {
        self.name("failed")
    }

    /// Messages set aside because they cannot be used.
    pub(super) fn rejected(&self) -> ShortString {
        self.name("rejected")
    }

    pub(super) fn results(&self) -> ShortString {
        self.name("results")
    }

    /// Exclusive to the one producer.
    pub(super) fn producer(&self) -> ShortString {
        self.name("producer")
    }

    /// Never holds a message: one of its arguments is the fingerprint of the fleet's key.
    pub(super) fn key(&self) -> ShortString {
        self.name("key")
    }

    /// One message with the producer's host, process and portal: other connections cannot see who holds an exclusive
    /// queue.
    pub(super) fn producer_card(&self) -> ShortString {
        self.name("producer.card")
    }

    /// The exchange for announcements of egress groups' members; the routing key is the group.
    pub(super) fn control() -> ShortString {
        ShortString::from(format!("{SHARED}.control"))
    }

    /// The binding to every group's announcements.
    pub(super) fn every_group() -> ShortString {
        ShortString::from("#")
    }

    /// A member's queue for the announcements of others. A name chosen by the broker would need a permission of its
    /// own.
    pub(super) fn member() -> ShortString {
        ShortString::from(format!("{SHARED}.member.{}", uuid::Uuid::now_v7().simple()))
    }

    pub(super) fn group(&self) -> ShortString {
        ShortString::from(self.group.as_str())
    }

    /// Holds a message while the group keeps silent after a 429. The message stays there: its presence is the record.
    pub(super) fn pause_of_group(&self) -> ShortString {
        ShortString::from(format!("{SHARED}.pause.{}", self.group))
    }

    /// Holds a message from a 429 until a call after the silence is answered.
    pub(super) fn trying(&self) -> ShortString {
        ShortString::from(format!("{SHARED}.trying.{}", self.group))
    }

    /// The tokens that the group's minter has published.
    pub(super) fn tokens(&self) -> ShortString {
        ShortString::from(format!("{SHARED}.tokens.{}", self.group))
    }

    /// Consumed exclusively by the group's minter; holds requests for tokens.
    pub(super) fn minter(&self) -> ShortString {
        ShortString::from(format!("{SHARED}.minter.{}", self.group))
    }

    /// Holds a message while a person's pause lasts.
    pub(super) fn pause_of_operator(&self) -> ShortString {
        self.name("pause.operator")
    }

    /// The exchange through which a waiting message returns to its queue unchanged.
    fn back(&self) -> ShortString {
        self.name("return")
    }

    /// The wait queue of the shortest rung that is at least this long, or of the longest rung.
    pub(super) fn wait(&self, rung: Duration) -> ShortString {
        let longest = self.rungs.last().copied().unwrap_or_default();
        let rung = self.rungs.iter().copied().find(|known| *known >= rung).unwrap_or(longest);
        self.rung(rung)
    }

    fn rung(&self, rung: Duration) -> ShortString {
        let text = Span(rung).to_string().replace(' ', "");
        self.name(&format!("wait.{text}"))
    }

    pub(super) fn waits(&self) -> impl Iterator<Item = ShortString> {
        self.rungs.iter().map(|rung| self.rung(*rung))
    }

    /// The hold queue of one process, and its exchange.
    pub(super) fn hold(&self, process: &str) -> ShortString {
        self.name(&format!("hold.{process}"))
    }

    /// Never holds a message. Purging it needs a majority of the broker's nodes.
    pub(super) fn contact(&self) -> ShortString {
        self.name("contact")
    }

    /// One of the queues of leases.
    pub(super) fn locks(&self, number: usize) -> ShortString {
        self.name(&format!("locks.{number}"))
    }

    pub(super) fn works(&self) -> [ShortString; 4] {
        [
            self.work(Step::Submit, Lane::Fresh),
            self.work(Step::Submit, Lane::Backlog),
            self.work(Step::Transfer, Lane::Fresh),
            self.work(Step::Save, Lane::Fresh),
        ]
    }

    /// Every queue of messages that does not belong to a single process.
    pub(super) fn queues(&self) -> impl Iterator<Item = ShortString> {
        let [submit_fresh, submit_backlog, transfer, save] = self.works();
        let steps = [submit_fresh, submit_backlog, transfer, save];
        let others = [
            self.dead(),
            self.failed(),
            self.rejected(),
            self.results(),
            self.producer_card(),
            self.pause_of_group(),
            self.pause_of_operator(),
            self.trying(),
            self.tokens(),
            self.minter(),
        ];
        steps.into_iter().chain(self.waits()).chain(others)
    }

    /// Ties the prefix to the key with this fingerprint. The broker compares this argument at each declaration, so two
    /// processes that start at once cannot both be first.
    pub(super) async fn declare_key(&self, channel: &Channel, fingerprint: &str) -> lapin::Result<()> {
        let tied = Arguments::quorum(NO_DELIVERY_LIMIT).dead_letter("", Some(fingerprint.into()));
        queue(channel, self.key(), tied).await
    }

    /// Declares everything else that is replicated; a dead-letter target is declared before the queues that use it.
    pub(super) async fn declare(&self, channel: &Channel) -> lapin::Result<()> {
        let dead_letter_to_dead = Arguments::quorum(DELIVERY_LIMIT).dead_letter("", Some(self.dead()));
        queue(channel, self.dead(), Arguments::quorum(NO_DELIVERY_LIMIT)).await?;
        queue(channel, self.failed(), Arguments::quorum(NO_DELIVERY_LIMIT)).await?;
        let rejected = Arguments::quorum(NO_DELIVERY_LIMIT)
            .most(MOST_REJECTED)
            .with("x-max-length-bytes", AMQPValue::LongLongInt(MOST_REJECTED_BYTES));
        queue(channel, self.rejected(), rejected).await?;
        let results = Arguments::quorum(NO_DELIVERY_LIMIT).most(MOST_RESULTS);
        queue(channel, self.results(), results).await?;
        queue(channel, self.contact(), Arguments::quorum(NO_DELIVERY_LIMIT).most(1)).await?;
        queue(channel, self.producer_card(), Arguments::quorum(NO_DELIVERY_LIMIT).most(1)).await?;
        for pause in [self.pause_of_group(), self.pause_of_operator(), self.trying()] {
            queue(channel, pause, Arguments::quorum(NO_DELIVERY_LIMIT).most(1)).await?;
        }
        Self::declare_control(channel).await?;
        exchange(channel, self.back(), ExchangeKind::Direct, false).await?;
        for work in self.works() {
            queue(channel, work.clone(), dead_letter_to_dead.clone()).await?;
            bind(channel, work.clone(), self.back(), work).await?;
        }
        // Messages of a newer release wait as well.
        for other in [self.dead(), self.results()] {
            bind(channel, other.clone(), self.back(), other).await?;
        }
        for rung in &self.rungs {
            let name = self.rung(*rung);
            let waiting =
                Arguments::quorum(NO_DELIVERY_LIMIT).dead_letter(self.back().as_str(), None).ttl(*rung);
            queue(channel, name.clone(), waiting).await?;
            // A fanout exchange preserves the routing key, which says where the message returns to.
            exchange(channel, name.clone(), ExchangeKind::Fanout, false).await?;
            bind(channel, name.clone(), name, ShortString::default()).await?;
        }
        Ok(())
    }

    /// The queues of tokens: each is on one node, and cannot be declared while that node is away.
    pub(super) fn of_tokens(&self) -> [(ShortString, Arguments); 2] {
        let classic = |most| Arguments::classic().most(most).ttl(GOOD_FOR);
        [(self.tokens(), classic(MOST_QUEUED.into())), (self.minter(), classic(MOST_WISHES))]
    }

    pub(super) async fn declare_control(channel: &Channel) -> lapin::Result<()> {
        exchange(channel, Self::control(), ExchangeKind::Topic, false).await
    }

    /// Declares a queue of leases. There are many, so each is declared when it is first needed, and kept.
    pub(super) async fn declare_locks(&self, channel: &Channel, number: usize) -> lapin::Result<()> {
        queue(channel, self.locks(number), Arguments::classic().most(MOST_NOTES)).await
    }

    /// Declares one process's hold queue, which expires some time after the process is gone.
    pub(super) async fn declare_hold(&self, channel: &Channel, process: &str) -> lapin::Result<()> {
        let name = self.hold(process);
        let arguments = Arguments::quorum(NO_DELIVERY_LIMIT)
            .dead_letter(self.back().as_str(), None)
            .ttl(HOLD_RETURN)
            .expires(HOLD_EXPIRY);
        queue(channel, name.clone(), arguments).await?;
        exchange(channel, name.clone(), ExchangeKind::Fanout, true).await?;
        bind(channel, name.clone(), name, ShortString::default()).await
    }
}

pub(super) async fn queue(channel: &Channel, name: ShortString, arguments: Arguments) -> lapin::Result<()> {
    channel.queue_declare(name, QueueDeclareOptions::durable(), arguments.0).await.map(|_| ())
}

async fn exchange(
    channel: &Channel,
    name: ShortString,
    kind: ExchangeKind,
    auto_delete: bool,
) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions { durable: true, auto_delete, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(name, kind, options, FieldTable::default()).await
}

async fn bind(
    channel: &Channel,
    queue: ShortString,
    exchange: ShortString,
    key: ShortString,
) -> lapin::Result<()> {
    channel.queue_bind(queue, exchange, key, QueueBindOptions::default(), FieldTable::default()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topology(prefix: usize, group: usize) -> Result<Topology, QueueError> {
        let rungs = [Duration::from_millis(i64::MAX as u64 - 1)];
        Topology::new(&"p".repeat(prefix), &rungs, &"g".repeat(group), &"h".repeat(9000))
    }

    #[test]
    fn every_name_of_a_deployment_that_is_not_refused_is_one_of_amqp() {
        let longest = topology(MOST_OWN_BYTES, MOST_OWN_BYTES).unwrap();
        // A longer name would panic when it is built.
        let process = uuid::Uuid::now_v7().simple().to_string();
        let own = [longest.hold(&process), longest.locks(usize::MAX), longest.back(), longest.group()];
        assert!(
            longest.queues().chain(own).map(|name| name.as_str().len()).max() > Some(MOST_OWN_BYTES + 32)
        );
        let refused = |prefix, group| topology(prefix, group).unwrap_err().to_string();
        assert!(refused(MOST_OWN_BYTES + 1, 1).contains("queue.prefix has 128 bytes"));
        assert!(refused(1, MOST_OWN_BYTES + 1).contains("bynder.egress_group has 128 bytes"));
    }
}
