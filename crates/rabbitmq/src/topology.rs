//! Every exchange and queue, with every argument: the one place that declares them.
//!
//! Declaring again what is there changes nothing; declaring it differently is refused by the broker. So an
//! argument of a released queue never changes: a queue that has to differ gets another name.

use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind};

use super::arguments::Arguments;
use budget::{GOOD_FOR, MOST_QUEUED};
use common::job::{Job, Lane, Step};
use common::span::Span;
use queue::QueueError;

/// Deliveries of one message that may be lost before the broker gives up on it. Without it, 3.10 would deliver a
/// message that kills its worker for ever; 4.x would stop at 20 of itself.
const DELIVERY_LIMIT: i64 = 20;
/// Deliveries that only look at a message count as lost too. "Unlimited" is a large number, never -1: 3.10 accepts
/// that and drops the message at its first return.
const NO_DELIVERY_LIMIT: i64 = 1_000_000;
/// Outcomes kept for a producer that is away; then the oldest go first, and the run says that it misses some.
const MOST_RESULTS: i64 = 1_000_000;
/// Messages set aside for a person to look at; then the oldest go first.
const MOST_REJECTED: i64 = 10_000;
/// And all of them together, in bytes.
const MOST_REJECTED_BYTES: i64 = 64 << 20;
/// A hold queue that nobody used for so long belongs to a process that is gone.
const HOLD_EXPIRY: Duration = Duration::from_hours(1);
/// How soon a job whose holder died goes back to its step. A living one has as long to take it over.
pub(super) const HOLD_RETURN: Duration = Duration::from_secs(10);

/// The work queues, the one to prefer first.
pub(super) const WORK: [(Step, Lane); 4] = [
    (Step::Save, Lane::Fresh),
    (Step::Transfer, Lane::Fresh),
    (Step::Submit, Lane::Fresh),
    (Step::Submit, Lane::Backlog),
];

/// The longest name on a broker.
const MOST_NAME_BYTES: usize = 255;
/// The longest prefix or egress group: the rest of each name, such as an asset's id, has fewer than 128 bytes.
const MOST_OWN_BYTES: usize = MOST_NAME_BYTES - 128;

/// Wishes for tokens that a minter has not read; it needs one.
const MOST_WISHES: i64 = 16;

/// Notes on assets in one queue of leases.
const MOST_NOTES: i64 = 1000;

/// What the names of an egress group's own things start with, whatever the prefix: deployments that share an address
/// share them.
const SHARED: &str = "connector";

/// The names of everything on the broker. Those of this deployment start with its prefix.
#[derive(Debug, Clone)]
pub(super) struct Topology {
    prefix: String,
    rungs: Vec<Duration>,
    /// The processes that share an address.
    group: String,
    /// The one portal that jobs under this prefix are for.
    portal: String,
}

impl Topology {
    /// # Errors
    /// [`QueueError::Misconfigured`]: AMQP has no names that are as long as these would be.
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

    /// What this deployment's names start with.
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

    /// The work queue that a job belongs in.
    pub(super) fn queue_of(&self, job: &Job) -> ShortString {
        self.work(job.step, job.lane)
    }

    pub(super) fn dead(&self) -> ShortString {
        self.name("dead")
    }

    pub(super) fn failed(&self) -> ShortString {
        self.name("failed")
    }

    /// What nothing can be made of.
    pub(super) fn rejected(&self) -> ShortString {
        self.name("rejected")
    }

    pub(super) fn results(&self) -> ShortString {
        self.name("results")
    }

    /// Held exclusively by the one producer.
    pub(super) fn producer(&self) -> ShortString {
        self.name("producer")
    }

    /// Never holds a message: its argument says which key the fleet signs by.
    pub(super) fn key(&self) -> ShortString {
        self.name("key")
    }

    /// One message with the producer's host, process and portal: an exclusive queue shows none of it to other connections.
    pub(super) fn producer_card(&self) -> ShortString {
        self.name("producer.card")
    }

    /// Where members of egress groups announce themselves; the routing key names the group.
    pub(super) fn control() -> ShortString {
        ShortString::from(format!("{SHARED}.control"))
    }

    /// Binds a queue to the announcements of every group.
    pub(super) fn every_group() -> ShortString {
        ShortString::from("#")
    }

    /// A queue for one member to hear the others by. Left to the broker, its name would need a right of its own.
    pub(super) fn member() -> ShortString {
        ShortString::from(format!("{SHARED}.member.{}", uuid::Uuid::now_v7().simple()))
    }

    /// The egress group that this process belongs to.
    pub(super) fn group(&self) -> ShortString {
        ShortString::from(self.group.as_str())
    }

    /// Holds a message as long as the group keeps silent after a 429. Nobody takes it: being there is what it says.
    pub(super) fn pause_of_group(&self) -> ShortString {
        ShortString::from(format!("{SHARED}.pause.{}", self.group))
    }

    /// Holds a message from a 429 until a call after the silence was answered.
    pub(super) fn trying(&self) -> ShortString {
        ShortString::from(format!("{SHARED}.trying.{}", self.group))
    }

    /// The rights to make portal calls that the group's minter has published.
    pub(super) fn tokens(&self) -> ShortString {
        ShortString::from(format!("{SHARED}.tokens.{}", self.group))
    }

    /// Consumed exclusively by the group's minter, and holds the wishes for tokens.
    pub(super) fn minter(&self) -> ShortString {
        ShortString::from(format!("{SHARED}.minter.{}", self.group))
    }

    /// Holds a message as long as a person wants nothing to be done.
    pub(super) fn pause_of_operator(&self) -> ShortString {
        self.name("pause.operator")
    }

    /// Where a waiting step's message goes, so that it comes back as it is to where it came from.
    fn back(&self) -> ShortString {
        self.name("return")
    }

    /// The wait of at least this length, or the longest there is.
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

    /// The queue and the exchange of one process's long steps.
    pub(super) fn hold(&self, process: &str) -> ShortString {
        self.name(&format!("hold.{process}"))
    }

    /// Never holds a message: emptying it takes a majority of the broker's nodes.
    pub(super) fn contact(&self) -> ShortString {
        self.name("contact")
    }

    /// The queue that keeps the leases of some assets.
    pub(super) fn locks(&self, number: usize) -> ShortString {
        self.name(&format!("locks.{number}"))
    }

    /// All four work queues.
    pub(super) fn works(&self) -> [ShortString; 4] {
        [
            self.work(Step::Submit, Lane::Fresh),
            self.work(Step::Submit, Lane::Backlog),
            self.work(Step::Transfer, Lane::Fresh),
            self.work(Step::Save, Lane::Fresh),
        ]
    }

    /// Every queue of messages that does not come and go with a process.
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

    /// Ties the prefix to the key of this fingerprint: of a queue's arguments the broker compares this one, so that two who come
    /// at once cannot both be the first.
    pub(super) async fn declare_key(&self, channel: &Channel, fingerprint: &str) -> lapin::Result<()> {
        let tied = Arguments::quorum(NO_DELIVERY_LIMIT).dead_letter("", Some(fingerprint.into()));
        queue(channel, self.key(), tied).await
    }

    /// Declares everything else that no single node has; queues that others dead-letter to come before those that do.
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
        // What a newer release wrote waits as well.
        for other in [self.dead(), self.results()] {
            bind(channel, other.clone(), self.back(), other).await?;
        }
        for rung in &self.rungs {
            let name = self.rung(*rung);
            let waiting =
                Arguments::quorum(NO_DELIVERY_LIMIT).dead_letter(self.back().as_str(), None).ttl(*rung);
            queue(channel, name.clone(), waiting).await?;
            // A fanout exchange leaves the routing key to say where the message comes back to.
            exchange(channel, name.clone(), ExchangeKind::Fanout, false).await?;
            bind(channel, name.clone(), name, ShortString::default()).await?;
        }
        Ok(())
    }

    /// What tokens need: two queues that are on one node each, and cannot be declared while that one is away.
    pub(super) fn of_tokens(&self) -> [(ShortString, Arguments); 2] {
        let classic = |most| Arguments::classic().most(most).ttl(GOOD_FOR);
        [(self.tokens(), classic(MOST_QUEUED.into())), (self.minter(), classic(MOST_WISHES))]
    }

    pub(super) async fn declare_control(channel: &Channel) -> lapin::Result<()> {
        exchange(channel, Self::control(), ExchangeKind::Topic, false).await
    }

    /// Declares a queue of leases. There are many, so each is made when it is first needed, and stays.
    pub(super) async fn declare_locks(&self, channel: &Channel, number: usize) -> lapin::Result<()> {
        queue(channel, self.locks(number), Arguments::classic().most(MOST_NOTES)).await
    }

    /// Declares the hold of one process; it is gone by itself some time after the process is.
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
        // Making a longer one would panic.
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
