//! The queue of a fleet: RabbitMQ 3.10 and later.
//!
//! A process has three connections, each looked after by a [`link`]: one to publish, which the broker may block; one
//! to take and acknowledge, which it never does; one for leases, whose end ends them. A message's successor is
//! confirmed before it is acknowledged, so a crash doubles a job at worst, and a doubled job looks before it acts.

mod address;
mod channels;
mod contact;
mod control;
mod crew;
mod failed;
mod hold;
mod intake;
mod inventory;
mod job_queue;
mod lease;
mod link;
mod message;
mod producer;
mod publisher;
mod roll_call;
mod stash;
mod tie;
mod topology;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::{FieldTable, ShortString};
use secrecy::SecretString;
use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Delivery, FailedJob, Guard, QueueError};
use crate::job::{Job, JobId};
use crate::ledger::Ledger;
use crate::outcome::OutcomeEvent;
use contact::Contact;
use crew::Crew;
use failed::Pass;
use intake::{Intake, Taken};
use lease::Leases;
use link::{ANSWER, Link, Target, answered};
use message::{job_properties, properties};
use publisher::{Message, Publisher};
use topology::Topology;

pub use inventory::Inventory;
pub use message::{Failed, decode_event, encode_event};
pub use producer::ProducerPlace;
pub use roll_call::{Member, roll_call};

/// Tries to publish what a settled delivery becomes, before the delivery is given up.
const PUBLISH_TRIES: u32 = 3;

/// Which broker, and under which names.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `amqp://` or `amqps://`, with credentials.
    pub url: SecretString,
    /// Whether `amqp://` is allowed to another machine.
    pub allow_plain: bool,
    /// Certificates in PEM to trust instead of the system's.
    pub authority: Option<String>,
    /// What every name starts with.
    pub prefix: String,
    /// The waits, ascending.
    pub rungs: Vec<Duration>,
    /// The portal that the jobs are for, by its origin: a prefix is one portal's.
    pub portal: String,
    /// The processes that share an address, and its request budget.
    pub egress_group: String,
    /// The program's name, for the broker's list of connections.
    pub program: String,
}

impl Settings {
    /// Checks the address without using it.
    ///
    /// # Errors
    /// [`QueueError::Refused`]: it is no address of a broker, or one in plain text that is not allowed.
    pub fn check(&self) -> Result<(), QueueError> {
        self.target().map(|_| ())
    }

    fn target(&self) -> Result<Target, QueueError> {
        Ok(Target {
            uri: address::read(&self.url, self.allow_plain)?,
            authority: self.authority.clone(),
            program: self.program.clone(),
            topology: Topology::new(&self.prefix, &self.rungs, &self.egress_group, &self.portal),
        })
    }
}

/// The queue on a broker; clones share its connections.
#[derive(Clone)]
pub struct RabbitQueue {
    inner: Arc<Inner>,
}

/// The parts of the queue.
pub struct Inner {
    topology: Topology,
    publisher: Publisher,
    lease_link: Arc<Link>,
    consume_link: Arc<Link>,
    work: Intake,
    dead: Intake,
    results: Intake,
    leases: Leases,
    contact: Contact,
    in_flight: Arc<AtomicU64>,
    crew: Crew,
    ledger: Option<Ledger>,
    /// Names this process's hold.
    process: String,
    /// What others are told that this process is.
    program: String,
    renewing: tokio::sync::Mutex<()>,
    /// Acknowledging several outcomes at once is for one at a time.
    folding: tokio::sync::Mutex<()>,
    _keeping: DropGuard,
    _sweeping: DropGuard,
}

impl std::ops::Deref for RabbitQueue {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

/// A message that the broker gave up.
#[derive(Debug)]
pub enum Dead {
    /// It is a job, whose end is still to be settled.
    Job(Box<Delivery>),
    /// It is no job that this release can read, and is kept as a failed one.
    Unreadable(Box<FailedJob>),
}

/// What the broker needs to know of a delivery.
pub(super) struct Ticket {
    taken: Arc<Mutex<Option<Arc<Taken>>>>,
    lost: CancellationToken,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Ticket")
    }
}

impl Ticket {
    pub(super) fn lost(&self) -> CancellationToken {
        self.lost.clone()
    }

    pub(super) fn is_valid(&self) -> bool {
        self.taken().is_some_and(|taken| taken.is_valid())
    }

    /// The message, unless the delivery was settled.
    fn taken(&self) -> Option<Arc<Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl RabbitQueue {
    /// Starts connecting, and waits for `patience` until every connection stands.
    ///
    /// With a ledger, jobs are published once by their id; without one, the queue only takes and settles.
    ///
    /// # Errors
    /// [`QueueError::Refused`] and [`QueueError::Misconfigured`] if a person has to act, [`QueueError::Unavailable`] if
    /// patience ended.
    pub async fn open(
        settings: &Settings,
        ledger: Option<Ledger>,
        patience: Duration,
    ) -> Result<Self, QueueError> {
        let queue = Self::start(settings, ledger)?;
        queue.publisher.link().wait(patience).await?;
        queue.consume_link.wait(patience).await?;
        queue.lease_link.wait(patience).await?;
        Ok(queue)
    }

    /// Starts connecting and does not wait.
    ///
    /// # Errors
    /// The URL is none.
    pub fn start(settings: &Settings, ledger: Option<Ledger>) -> Result<Self, QueueError> {
        let target = settings.target()?;
        let topology = target.topology.clone();
        let publishing = Link::start(target.clone(), "publishing");
        let consume_link = Arc::new(Link::start(target.clone(), "consuming"));
        let lease_link = Arc::new(Link::start(target, "leases"));
        let contact = Contact::default();
        let keeping = contact.keep(Arc::clone(&lease_link));
        let sweeping = CancellationToken::new();
        let inner = Inner {
            publisher: Publisher::new(publishing)?,
            work: Intake::new(Arc::clone(&consume_link)),
            dead: Intake::new(Arc::clone(&consume_link)),
            results: Intake::new(Arc::clone(&consume_link)),
            leases: Leases::new(Arc::clone(&lease_link), contact.clone(), topology.clone())?,
            topology,
            lease_link,
            consume_link,
            contact,
            in_flight: Arc::default(),
            crew: Crew::of(&settings.prefix),
            ledger,
            program: settings.program.clone(),
            process: uuid::Uuid::now_v7().simple().to_string(),
            renewing: tokio::sync::Mutex::default(),
            folding: tokio::sync::Mutex::default(),
            _keeping: keeping,
            _sweeping: sweeping.clone().drop_guard(),
        };
        let inner = Arc::new(inner);
        stash::keep_empty(&inner, sweeping);
        Ok(Self { inner })
    }

    /// Waits for the first answer of the broker.
    ///
    /// # Errors
    /// [`QueueError::Refused`] or [`QueueError::Misconfigured`] if a person has to act. A broker that does not answer is
    /// no error: it may yet.
    pub async fn greeted(&self) -> Result<(), QueueError> {
        match self.publisher.link().wait(ANSWER).await {
            Err(error) if !error.is_retryable() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Ties the prefix to the portal, which has to have answered: a misspelt one would be tied for good.
    ///
    /// # Errors
    /// [`QueueError::Misconfigured`] where it is another's.
    pub async fn keep_to_portal(&self) -> Result<(), QueueError> {
        let live = self.consume_link.wait(ANSWER).await?;
        Ok(tie::tie(&self.topology, &live.connection).await?)
    }

    /// Resolves when what is configured turns out not to fit what is on the broker.
    pub async fn misfit(&self) -> QueueError {
        tokio::select! {
            error = self.publisher.link().misfit() => error,
            error = self.consume_link.misfit() => error,
            error = self.lease_link.misfit() => error,
        }
    }

    /// Why the broker cannot be used right now, if that is so.
    pub fn trouble(&self) -> Option<QueueError> {
        let links = [self.publisher.link(), &self.consume_link, &self.lease_link];
        links.into_iter().find_map(|link| link.live().err())
    }

    /// Deliveries in the hands of this deployment's processes; `None` while that is not known. The broker shows only what is
    /// ready.
    pub fn in_hand(&self) -> Option<u64> {
        self.crew.in_hand()
    }

    /// Messages so far of which it is not known whether the broker took them.
    pub fn unknown_outcomes(&self) -> u64 {
        self.publisher.unknown_outcomes()
    }

    /// The next message that the broker or a reader gave up, if there is one. One that is no job becomes a failed job here.
    ///
    /// # Errors
    /// The broker cannot be reached; the message stays where it is.
    pub async fn dead(&self) -> Result<Option<Dead>, QueueError> {
        let Some(taken) = self.dead.fetch(&self.topology.dead()).await? else { return Ok(None) };
        let message = &taken.message;
        let failed = match Job::decode(&message.data) {
            Ok(job) => return Ok(Some(Dead::Job(Box::new(self.delivery(job, taken))))),
            Err(error) => {
                let id = message.properties.message_id().as_ref().map(ShortString::as_str);
                Failed::unreadable(&message.data, id, &error)
            }
        };
        let buried = async {
            self.to_queue(self.topology.failed(), &failed.event.job_id, failed.encode()?).await?;
            self.report(&failed.event).await?;
            taken.acknowledge().await
        };
        if let Err(error) = buried.await {
            taken.give_back().await;
            return Err(error);
        }
        let Failed { event, job, unreadable } = failed;
        Ok(Some(Dead::Unreadable(Box::new(FailedJob { job, event, unreadable }))))
    }

    async fn report(&self, event: &OutcomeEvent) -> Result<(), QueueError> {
        self.to_queue(self.topology.results(), &event.job_id, encode_event(event)?).await
    }

    async fn to_queue(&self, queue: ShortString, id: &JobId, body: Vec<u8>) -> Result<(), QueueError> {
        let properties = properties(&id.0, None);
        self.publish_surely(Message { exchange: ShortString::default(), key: queue, properties, body }).await
    }

    /// Publishes, again if need be. Repeating what may have been taken doubles a message; whoever reads it copes.
    async fn publish_surely(&self, message: Message) -> Result<(), QueueError> {
        let mut tries = 1;
        loop {
            match self.publisher.publish(&message).await {
                Err(error) if error.is_retryable() && tries < PUBLISH_TRIES => {
                    tracing::warn!(%error, "publishing again");
                    tries += 1;
                }
                ended => return ended,
            }
        }
    }

    /// Publishes a job to where it goes next; after an unknown outcome there may be two, and both must know.
    async fn publish_job(&self, mut job: Job, rung: Option<Duration>) -> Result<(), QueueError> {
        job.held = false;
        let mut tries = 1;
        loop {
            let message = Message {
                exchange: rung.map_or_else(ShortString::default, |rung| self.topology.wait(rung)),
                key: self.topology.queue_of(&job),
                properties: job_properties(&job),
                body: job.encode()?,
            };
            match self.publisher.publish(&message).await {
                Err(error) if error.is_retryable() && tries < PUBLISH_TRIES => {
                    tracing::warn!(job_id = %job.job_id, %error, "publishing again");
                    job.suspect |= matches!(error, QueueError::UnknownOutcome(_));
                    tries += 1;
                }
                ended => {
                    self.work.stir(&message.key);
                    return ended;
                }
            }
        }
    }

    fn delivery(&self, job: Job, taken: Taken) -> Delivery {
        let (redelivered, deliveries) = (taken.message.redelivered || job.held, taken.deliveries());
        let lost = taken.lost.clone();
        let taken = Arc::new(Mutex::new(Some(Arc::new(taken))));
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        let (returned, in_flight, runtime) =
            (Arc::clone(&taken), Arc::clone(&self.in_flight), Handle::current());
        let receipt = Guard::new(move || {
            in_flight.fetch_sub(1, Ordering::Relaxed);
            if let Some(taken) = take(&returned) {
                runtime.spawn(async move { taken.give_back().await });
            }
        });
        Delivery { job, redelivered, deliveries, receipt, ticket: Some(Ticket { taken, lost }) }
    }

    async fn ready_in(&self, queue: ShortString) -> Result<u64, QueueError> {
        let live = self.consume_link.wait(ANSWER).await?;
        let channel = live.channel().await?;
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        let found = answered(channel.queue_declare(queue, passive, FieldTable::default())).await?;
        let _ = tokio::time::timeout(ANSWER, channel.close(200, "done".into())).await;
        Ok(u64::from(found.message_count()))
    }

    async fn pass(&self) -> Result<Pass<'_>, QueueError> {
        let live = self.consume_link.wait(ANSWER).await?;
        Pass::start(live, &self.topology, &self.publisher).await
    }
}

fn take(taken: &Mutex<Option<Arc<Taken>>>) -> Option<Arc<Taken>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner).take()
}
