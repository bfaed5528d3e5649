//! The job queue of a fleet, on RabbitMQ 3.10 or later.
//!
//! The main type is [`Broker`], this process's connections; it returns a type for each role, such as
//! [`RabbitPublisher`] and [`RabbitConsumer`], which implement the traits of the crate `queue`. A process has three
//! connections, each supervised by the crate `amqp`: one to publish, which the broker may block; one to consume and
//! acknowledge, which it never blocks; one for leases, which end with it. A delivery is acknowledged only after its
//! successor message is confirmed, so a crash duplicates a job at worst, and a duplicate job checks before it acts.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use common::job::Job;
//! use ledger::Ledger;
//! use queue::{JobPublisher, QueueError};
//! use rabbitmq::{Broker, Settings};
//!
//! async fn publish(settings: &Settings, ledger: Ledger, job: &Job) -> Result<(), QueueError> {
//!     let broker = Broker::open(settings, Duration::from_secs(30)).await?;
//!     broker.publisher(ledger).publish(job).await
//! }
//! ```

mod announcement;
mod arguments;
mod authentic;
mod away;
mod bucket;
mod connect;
mod consumer;
mod contact;
mod dead;
mod depth;
mod failed;
mod feed;
mod generation;
mod group;
mod hold;
mod inventory;
mod lease;
mod members;
mod message;
mod minting;
mod newer;
mod note;
mod outbox;
mod outcomes;
mod portal_check;
mod presence;
mod producer;
mod publisher;
mod rejected;
mod roll_call;
mod send_back;
mod tokens;
mod topology;
mod wish;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::Notify;
use tokio_util::sync::DropGuard;

use amqp::{ANSWER, Address, Link, Live};
use authentic::Signer;
use connect::{Purpose, Target};
use contact::Contact;
use lease::Leases;
use members::DeploymentMembers;
use publisher::Publisher;
use queue::QueueError;
use topology::Topology;

pub use amqp::message::SIGNATURE as SIGNATURE_HEADER;
pub use authentic::MessageKeys;
pub use consumer::RabbitConsumer;
pub use dead::{Dead, DeadLetters};
pub use failed::RabbitFailedJobs;
pub use group::EgressGroup;
pub use inventory::Inventory;
pub use lease::RabbitLocks;
pub use message::{Failed, decode_event, encode_event};
pub use outbox::RabbitPublisher;
pub use outcomes::Outcomes;
pub use producer::ProducerElection;
pub use roll_call::{Member, roll_call};

/// Which broker to use, and under which names.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `amqp://` or `amqps://`, with credentials.
    pub url: SecretString,
    /// Allows `amqp://` to another machine.
    pub allow_plain: bool,
    /// PEM certificates to trust instead of the system's.
    pub authority: Option<String>,
    /// The prefix of every name.
    pub prefix: String,
    /// The delays of waiting jobs, ascending.
    pub rungs: Vec<Duration>,
    /// The origin of the portal that the jobs are for: a prefix belongs to one portal.
    pub portal: String,
    /// The egress group: the processes that share an address, and so a request budget.
    pub egress_group: String,
    /// The keys that sign messages.
    pub keys: MessageKeys,
    /// The program's name, shown in the broker's list of connections.
    pub program: String,
}

impl Settings {
    /// Checks these settings without connecting.
    ///
    /// # Errors
    /// [`QueueError::Refused`]: the URL is not a broker's address, or is plain text without permission, or there is no
    /// certificate to trust.
    /// [`QueueError::Misconfigured`]: the prefix or the egress group is too long for the broker's names.
    pub fn check(&self) -> Result<(), QueueError> {
        self.target().map(|_| ())
    }

    fn target(&self) -> Result<Target, QueueError> {
        Ok(Target {
            address: Address::new(&self.url, self.allow_plain, self.authority.as_deref(), &self.program)?,
            topology: Topology::new(&self.prefix, &self.rungs, &self.egress_group, &self.portal)?,
            signer: Signer::new(&self.keys, &self.prefix, &self.portal),
        })
    }
}

/// This process's connections to the broker; clones share them. Each role on the broker has a type of its own.
#[derive(Clone)]
pub struct Broker {
    shared: Arc<Connections>,
}

struct Connections {
    topology: Topology,
    signer: Signer,
    publisher: Publisher,
    lease_link: Arc<Link>,
    consume_link: Arc<Link>,
    leases: Arc<Leases>,
    contact: Contact,
    /// Deliveries that are not settled yet.
    in_hand: Arc<AtomicU64>,
    /// Messages set aside.
    rejected: AtomicU64,
    /// How often a message of a newer release was put off.
    newer: AtomicU64,
    crew: DeploymentMembers,
    /// The channel that counts messages in queues.
    counting: tokio::sync::Mutex<Option<(Live, lapin::Channel)>>,
    /// Notified when a call of this process waits and its egress group has no minter.
    no_minter: Notify,
    /// Names this process's hold queue.
    process: String,
    /// The program's name in announcements.
    program: String,
    _keeping: DropGuard,
}

impl Broker {
    /// Starts connecting, and waits up to `patience` for every connection.
    ///
    /// # Errors
    /// [`QueueError::Refused`] and [`QueueError::Misconfigured`] if a person has to act, [`QueueError::Unavailable`] if
    /// `patience` ran out.
    pub async fn open(settings: &Settings, patience: Duration) -> Result<Self, QueueError> {
        let broker = Self::start(settings)?;
        for link in broker.shared.links() {
            link.wait(patience).await?;
        }
        Ok(broker)
    }

    /// Starts connecting without waiting.
    ///
    /// # Errors
    /// The settings are invalid, as in [`Settings::check`].
    pub fn start(settings: &Settings) -> Result<Self, QueueError> {
        let target = settings.target()?;
        let (topology, signer) = (target.topology.clone(), target.signer.clone());
        let publishing = connect::link(&target, Purpose::Publishing);
        let consume_link = Arc::new(connect::link(&target, Purpose::Consuming));
        let lease_link = Arc::new(connect::link(&target, Purpose::Leases));
        let contact = Contact::default();
        let keeping = contact.keep(Arc::clone(&lease_link), topology.contact());
        let publisher = Publisher::new(publishing, signer.clone())?;
        let links = [Arc::clone(&lease_link), Arc::clone(publisher.link())];
        let shared = Connections {
            publisher,
            leases: Arc::new(Leases::new(links, contact.clone(), topology.clone())?),
            topology,
            signer,
            lease_link,
            consume_link,
            contact,
            in_hand: Arc::default(),
            rejected: AtomicU64::default(),
            newer: AtomicU64::default(),
            crew: DeploymentMembers::of(&settings.prefix),
            counting: tokio::sync::Mutex::default(),
            no_minter: Notify::new(),
            program: settings.program.clone(),
            process: uuid::Uuid::now_v7().simple().to_string(),
            _keeping: keeping,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Waits for the broker's first answer.
    ///
    /// # Errors
    /// [`QueueError::Refused`] or [`QueueError::Misconfigured`] if a person has to act. A broker that does not answer
    /// is not an error: it may answer later.
    pub async fn wait_until_first_answer(&self) -> Result<(), QueueError> {
        match self.shared.publisher.link().wait(ANSWER).await {
            Err(error) if !error.is_retryable() => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Resolves when the configuration does not match what is declared on the broker.
    pub async fn misconfiguration(&self) -> QueueError {
        let [publishing, consuming, leasing] = self.shared.links();
        tokio::select! {
            error = publishing.configuration_mismatch() => error,
            error = consuming.configuration_mismatch() => error,
            error = leasing.configuration_mismatch() => error,
        }
    }

    /// Why the broker cannot be used right now, if it cannot.
    pub fn trouble(&self) -> Option<QueueError> {
        self.shared.links().into_iter().find_map(|link| link.live().err())
    }

    /// Messages so far whose publish has an unknown outcome.
    pub fn unknown_outcomes(&self) -> u64 {
        self.shared.publisher.unknown_outcomes()
    }
}

impl Connections {
    fn links(&self) -> [&Link; 3] {
        [self.publisher.link(), &self.consume_link, &self.lease_link]
    }
}
