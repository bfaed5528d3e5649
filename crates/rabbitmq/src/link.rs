//! A supervised connection: whenever it is lost, another is opened, until the queue is closed.
//!
//! lapin's own recovery is disabled. With it, a consumer can wait forever on a channel that the broker closed, and
//! recovery gives up silently. Without it, every loss is an error, and this loop is the only recovery there is.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use lapin::tcp::OwnedTLSConfig;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind, Event};
use rand::RngExt;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::authentic::{Signer, compare_key};
use super::generation::supersede;
use super::lease::prove_exclusive;
use super::portal_check::compare_portal;
use super::redact::{self, said};
use super::sieve::{self, Closing};
use super::topology::{Topology, queue};
use queue::QueueError;

/// The timeout of opening a connection, and of any answer of the broker.
pub(super) const ANSWER: Duration = Duration::from_secs(10);
const HEARTBEAT_SECONDS: u16 = 10;
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often the connection's state is checked. No loss without an event is known, but one would go unnoticed.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// Where the broker is, and what to declare there.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) uri: AMQPUri,
    /// The PEM certificates to trust, exclusively.
    pub(super) authority: Option<String>,
    /// Shown in the broker's list of connections.
    pub(super) program: String,
    pub(super) topology: Topology,
    /// Has the fleet's keys.
    pub(super) signer: Signer,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Publishing,
    Consuming,
    Leases,
}

impl Purpose {
    /// Its name in the broker's list of connections.
    fn name(self) -> &'static str {
        match self {
            Self::Publishing => "publishing",
            Self::Consuming => "consuming",
            Self::Leases => "leases",
        }
    }
}

/// An open connection.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) connection: Arc<Closing>,
    /// Cancelled once the connection is lost, which voids everything delivered over it.
    pub(super) lost: CancellationToken,
    /// True while the broker accepts no messages because it lacks memory or disk.
    pub(super) blocked: watch::Receiver<bool>,
}

impl Live {
    /// Opens a channel, within [`ANSWER`].
    pub(super) async fn channel(&self) -> Result<Channel, QueueError> {
        answered(self.connection.create_channel()).await
    }
}

/// One connection of the process, supervised.
pub(super) struct Link {
    current: watch::Receiver<LinkState>,
    topology: Topology,
    _stop: DropGuard,
}

#[derive(Clone)]
enum LinkState {
    Connecting,
    Live(Live),
    /// The latest failure; its variant says whether a person has to act.
    Down(ConnectError),
}

#[derive(Clone, Debug)]
pub(super) enum ConnectError {
    Refused(String),
    Misconfigured(String),
    Unreachable(String),
}

impl ConnectError {
    fn reason(&self) -> &str {
        match self {
            Self::Refused(reason) | Self::Misconfigured(reason) | Self::Unreachable(reason) => reason,
        }
    }
}

impl From<ConnectError> for QueueError {
    fn from(trouble: ConnectError) -> Self {
        match trouble {
            ConnectError::Refused(reason) => Self::Refused(reason),
            ConnectError::Misconfigured(reason) => Self::Misconfigured(reason),
            ConnectError::Unreachable(reason) => Self::Unavailable(reason),
        }
    }
}

impl Link {
    pub(super) fn start(target: Target, purpose: Purpose) -> Self {
        let (sender, current) = watch::channel(LinkState::Connecting);
        let stop = CancellationToken::new();
        let (stopped, topology) = (stop.clone(), target.topology.clone());
        tasks::lasting(async move {
            stopped.run_until_cancelled(supervise(target, purpose, sender)).await;
        });
        Self { current, topology, _stop: stop.drop_guard() }
    }

    /// Declares the queues again, in case somebody deleted one. A failure is only logged: it shows where the queue is
    /// used.
    pub(super) async fn redeclare(&self, live: &Live) {
        if let Err(error) = answered(declare(&self.topology, &live.connection)).await {
            tracing::warn!(%error, "cannot declare the queues");
        }
    }

    /// The connection, if it is open right now.
    pub(super) fn live(&self) -> Result<Live, QueueError> {
        match &*self.current.borrow() {
            LinkState::Live(live) => Ok(live.clone()),
            LinkState::Connecting => {
                Err(QueueError::Unavailable("not connected to the broker yet".to_owned()))
            }
            LinkState::Down(trouble) => Err(trouble.clone().into()),
        }
    }

    /// Resolves when the configuration does not match what is declared on the broker.
    pub(super) async fn configuration_mismatch(&self) -> QueueError {
        let mut current = self.current.clone();
        let settled =
            current.wait_for(|state| matches!(state, LinkState::Down(ConnectError::Misconfigured(_)))).await;
        let trouble = settled.ok().and_then(|state| match &*state {
            LinkState::Down(trouble) => Some(trouble.clone()),
            LinkState::Connecting | LinkState::Live(_) => None,
        });
        match trouble {
            Some(trouble) => trouble.into(),
            // The supervisor has stopped.
            None => std::future::pending().await,
        }
    }

    /// Waits for the connection. An error that a person has to fix ends the wait at once.
    pub(super) async fn wait(&self, patience: Duration) -> Result<Live, QueueError> {
        let mut current = self.current.clone();
        let settled = current.wait_for(|state| {
            matches!(
                state,
                LinkState::Live(_)
                    | LinkState::Down(ConnectError::Refused(_) | ConnectError::Misconfigured(_))
            )
        });
        // After either end of the wait, `live` reports the current state.
        let _ = tokio::time::timeout(patience, settled).await;
        self.live()
    }
}

/// Limits a request to the broker to [`ANSWER`]; no answer in time counts as an outage.
pub(super) async fn answered<T>(request: impl Future<Output = lapin::Result<T>>) -> Result<T, QueueError> {
    match tokio::time::timeout(ANSWER, request).await {
        Ok(answer) => {
            answer.map_err(|error| QueueError::Unavailable(format!("the broker: {}", said(&error))))
        }
        Err(_) => {
            Err(QueueError::Unavailable(format!("the broker did not answer for {} s", ANSWER.as_secs())))
        }
    }
}

async fn supervise(target: Target, purpose: Purpose, state: watch::Sender<LinkState>) {
    let mut pause = SHORTEST_PAUSE;
    loop {
        match connect(&target, purpose).await {
            Ok(connection) => {
                pause = SHORTEST_PAUSE;
                tracing::info!(purpose = purpose.name(), "connected to the broker");
                let reason = live(connection, &state).await;
                tracing::warn!(
                    purpose = purpose.name(),
                    reason,
                    "the connection to the broker is lost; connecting again"
                );
                state.send_replace(LinkState::Down(ConnectError::Unreachable(reason)));
            }
            Err(trouble) => {
                tracing::warn!(
                    purpose = purpose.name(),
                    reason = trouble.reason(),
                    "cannot connect to the broker; trying again"
                );
                state.send_replace(LinkState::Down(trouble));
            }
        }
        // Jittered, so that a fleet that lost its broker does not reconnect all at once.
        let jittered = rand::rng().random_range(SHORTEST_PAUSE..=pause.max(SHORTEST_PAUSE));
        tokio::time::sleep(jittered).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Announces the connection and watches it until it is lost; returns why.
async fn live(connection: Closing, state: &watch::Sender<LinkState>) -> String {
    let mut events = connection.events_listener();
    let (block, blocked) = watch::channel(false);
    let lost = CancellationToken::new();
    let connection = Arc::new(connection);
    state.send_replace(LinkState::Live(Live {
        connection: Arc::clone(&connection),
        lost: lost.clone(),
        blocked,
    }));
    let reason = loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Event::ConnectionBlocked(reason)) => {
                    tracing::warn!(reason = redact::cleaned(&reason), "the broker takes no messages for now; waiting");
                    block.send_replace(true);
                }
                Some(Event::ConnectionUnblocked) => {
                    tracing::info!("the broker takes messages again");
                    block.send_replace(false);
                }
                // The broker closed a channel. That concerns the channel's user, not the connection.
                Some(Event::Error(error)) if error.is_amqp_soft_error() => {}
                Some(Event::Error(error)) => break said(&error),
                Some(_) => {}
                None => break "closed".to_owned(),
            },
            () = tokio::time::sleep(POLL_EVERY) => {}
        }
        if !connection.status().connected() {
            break "closed".to_owned();
        }
    };
    lost.cancel();
    reason
}

async fn connect(target: &Target, purpose: Purpose) -> Result<Closing, ConnectError> {
    let connection = open(target, purpose.name()).await?;
    compare_portal(target, &connection).await?;
    compare_key(target, &connection, true).await?;
    supersede(&connection).await?;
    in_time(declare(&target.topology, &connection)).await?;
    if purpose == Purpose::Leases {
        prove_exclusive(&target.topology, &connection, false).await?;
    }
    Ok(connection)
}

async fn declare(topology: &Topology, connection: &Connection) -> lapin::Result<()> {
    let channel = connection.create_channel().await?;
    topology.declare(&channel).await?;
    for (name, arguments) in topology.of_tokens() {
        match queue(&channel, name, arguments).await {
            // The queue's node is away; a process that needs tokens waits for it.
            Err(error) if is_absence(&error) => return Ok(()),
            declared => declared?,
        }
    }
    let _ = channel.close(200, "declared".into()).await;
    Ok(())
}

/// The broker's code for a queue that does not exist.
const NOT_FOUND: u16 = 404;

/// Whether the queue of a passive declaration does not exist.
pub(super) fn is_absence(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(refusal) if refusal.get_id() == NOT_FOUND)
}

/// Opens a connection, and does nothing over it yet.
pub(super) async fn open(target: &Target, purpose: &'static str) -> Result<Closing, ConnectError> {
    let mut uri = target.uri.clone();
    uri.query.heartbeat = Some(HEARTBEAT_SECONDS);
    uri.query.connection_timeout = u64::try_from(ANSWER.as_millis()).ok();
    let name = format!("{} {purpose} {}", target.program, std::process::id());
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let tls = OwnedTLSConfig { identity: None, cert_chain: target.authority.clone() };
    redact::remember(&uri.authority.userinfo.password);
    in_time(Box::pin(sieve::connect(uri, properties, tls))).await
}

pub(super) async fn in_time<T>(request: impl Future<Output = lapin::Result<T>>) -> Result<T, ConnectError> {
    match tokio::time::timeout(ANSWER, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(trouble(&error)),
        Err(_) => Err(ConnectError::Unreachable("the broker did not answer".to_owned())),
    }
}

/// `ACCESS_REFUSED` and `NOT_ALLOWED`: wrong credentials, permissions or virtual host.
const NOT_ALLOWED: [u16; 2] = [403, 530];
/// `PRECONDITION_FAILED`: a queue of that name has other arguments.
const OTHERWISE_DECLARED: u16 = 406;

pub(super) fn trouble(error: &lapin::Error) -> ConnectError {
    let reason = said(error);
    match error.kind() {
        ErrorKind::ProtocolError(refusal) if NOT_ALLOWED.contains(&refusal.get_id()) => {
            ConnectError::Refused(format!(
                "the broker refuses: {reason}; check user, password and virtual host in broker.url, and the user's rights"
            ))
        }
        ErrorKind::ProtocolError(refusal) if refusal.get_id() == OTHERWISE_DECLARED => {
            ConnectError::Misconfigured(format!(
                "the broker says: {reason}; a queue under queue.prefix has other \
                 arguments than this release declares: choose another queue.prefix, or delete that queue once it is empty"
            ))
        }
        _ => ConnectError::Unreachable(format!("cannot reach the broker: {reason}")),
    }
}
