//! A supervised connection: whenever it is lost, another is opened, until the queue is closed.
//!
//! lapin's own recovery is disabled. With it, a consumer can wait forever on a channel that the broker closed, and
//! recovery gives up silently. Without it, every loss is an error, and this loop is the only recovery there is.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use lapin::{Connection, Event};
use rand::RngExt;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::connection::{ConnectError, Live, answered};
use super::redact::{self, said};
use super::sieve::Closing;
use queue::QueueError;

const SHORTEST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How often the connection's state is checked. No loss without an event is known, but one would go unnoticed.
const POLL_EVERY: Duration = Duration::from_secs(1);

/// What a [`Link`] does with its broker.
#[async_trait]
pub trait Opener: Send + Sync + 'static {
    /// Opens a connection that is ready for use.
    async fn open(&self) -> Result<Closing, ConnectError>;

    /// Declares what is used over the connection.
    async fn declare(&self, connection: &Connection) -> lapin::Result<()>;
}

/// One connection of the process, supervised.
pub struct Link {
    current: watch::Receiver<LinkState>,
    opener: Arc<dyn Opener>,
    _stop: DropGuard,
}

#[derive(Clone)]
enum LinkState {
    Connecting,
    Live(Live),
    /// The latest failure; its variant says whether a person has to act.
    Down(ConnectError),
}

impl Link {
    /// Keeps a connection that `opener` opens. `purpose` names it in the log.
    pub fn start(purpose: &'static str, opener: impl Opener) -> Self {
        let (sender, current) = watch::channel(LinkState::Connecting);
        let stop = CancellationToken::new();
        let opener: Arc<dyn Opener> = Arc::new(opener);
        let (stopped, supervised) = (stop.clone(), Arc::clone(&opener));
        tasks::lasting(async move {
            stopped.run_until_cancelled(supervise(purpose, supervised.as_ref(), sender)).await;
        });
        Self { current, opener, _stop: stop.drop_guard() }
    }

    /// Declares the queues again, in case one was deleted. A failure is only logged: it shows where the queue is
    /// used.
    pub async fn redeclare(&self, live: &Live) {
        if let Err(error) = answered(self.opener.declare(&live.connection)).await {
            tracing::warn!(%error, "cannot declare the queues");
        }
    }

    /// The connection, if it is open right now.
    pub fn live(&self) -> Result<Live, QueueError> {
        match &*self.current.borrow() {
            LinkState::Live(live) => Ok(live.clone()),
            LinkState::Connecting => {
                Err(QueueError::Unavailable("not connected to the broker yet".to_owned()))
            }
            LinkState::Down(trouble) => Err(trouble.clone().into()),
        }
    }

    /// Resolves when the configuration does not match what is declared on the broker.
    pub async fn configuration_mismatch(&self) -> QueueError {
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
    pub async fn wait(&self, patience: Duration) -> Result<Live, QueueError> {
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

async fn supervise(purpose: &'static str, opener: &dyn Opener, state: watch::Sender<LinkState>) {
    let mut pause = SHORTEST_PAUSE;
    loop {
        match opener.open().await {
            Ok(connection) => {
                pause = SHORTEST_PAUSE;
                tracing::info!(purpose, "connected to the broker");
                let reason = live(connection, &state).await;
                tracing::warn!(purpose, reason, "the connection to the broker is lost; connecting again");
                state.send_replace(LinkState::Down(ConnectError::Unreachable(reason)));
            }
            Err(trouble) => {
                tracing::warn!(
                    purpose,
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
