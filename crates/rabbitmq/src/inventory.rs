//! What is on the broker, inspected without taking or changing anything.

use std::collections::HashMap;

use lapin::Connection;
use lapin::options::{BasicGetOptions, QueueDeclareOptions};
use lapin::types::{FieldTable, ShortString};

use super::Settings;
use super::authentic::compare_key;
use super::away::is_away;
use super::connect::Target;
use super::lease::prove_exclusive;
use super::portal_check::compare_portal;
use super::topology::WORK;
use super::wish::pause_in;
use amqp::{ANSWER, ConnectError, answered, is_absence};
use budget::OperatorPause;
use queue::{Depth, QueueError};

/// What was found on the broker.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// Queues that are not declared yet.
    pub missing: Vec<String>,
    /// Queues on a node of the broker that is away.
    away: Vec<String>,
    /// Jobs by queue; jobs in a worker's hands are not visible from outside.
    pub depth: Depth,
    /// A person's pause.
    pub operator_pause: Option<OperatorPause>,
    /// Whether the egress group keeps silent after a 429.
    pub is_silent: bool,
}

impl Inventory {
    /// Names the queues on a node that is away, and what a person can do.
    pub fn without_home(&self) -> Option<String> {
        let names = self.away.join(", ");
        let said = || {
            format!(
                "{names} on a node of the broker that is away: no portal call is made until it is back; if the node is gone \
                 for good, run `rabbitmqctl forget_cluster_node`"
            )
        };
        (!names.is_empty()).then(said)
    }

    /// Inspects the broker once, over a connection of its own.
    ///
    /// # Errors
    /// [`QueueError::Refused`] and [`QueueError::Misconfigured`] if a person has to act, [`QueueError::Unavailable`] if the
    /// broker does not answer.
    pub async fn take(settings: &Settings) -> Result<Self, QueueError> {
        let target = settings.target()?;
        let topology = &target.topology;
        let connection = target.address.open("looking").await?;
        let mut counts = HashMap::new();
        let (mut missing, mut away) = (Vec::new(), Vec::new());
        for queue in topology.queues() {
            match count(&connection, queue.clone()).await? {
                Seen::Messages(messages) => {
                    counts.insert(queue, messages);
                }
                Seen::Absent => missing.push(queue.to_string()),
                Seen::Away => away.push(queue.to_string()),
            }
        }
        match compare_portal(topology, &target.signer, &connection).await {
            // Comparing needs the permissions to read and, for the key, to configure; the rest of the inventory does
            // not.
            Ok(()) | Err(ConnectError::Refused(_)) => {}
            Err(trouble) => return Err(trouble.into()),
        }
        match compare_key(topology, &target.signer, &connection, false).await {
            Ok(()) | Err(ConnectError::Refused(_)) => {}
            Err(trouble) => return Err(trouble.into()),
        }
        prove_exclusive(topology, &connection, true).await?;
        let messages = |queue: ShortString| counts.get(&queue).copied().unwrap_or_default();
        let mut depth = Depth::default();
        for (step, lane) in WORK {
            depth.add_ready(step, lane, messages(topology.work(step, lane)));
        }
        depth.waiting = topology.waits().map(messages).sum();
        depth.failed = messages(topology.failed());
        let operator_pause = if messages(topology.pause_of_operator()) > 0 {
            read_pause(&target, &connection).await?
        } else {
            None
        };
        let is_silent = messages(topology.pause_of_group()) > 0;
        let _ = tokio::time::timeout(ANSWER, connection.close(200, "seen".into())).await;
        Ok(Self { missing, away, depth, operator_pause, is_silent })
    }
}

/// The result of a passive declaration.
enum Seen {
    /// The queue has this many messages ready.
    Messages(u64),
    /// The queue does not exist.
    Absent,
    /// The queue's node is away.
    Away,
}

async fn count(connection: &Connection, queue: ShortString) -> Result<Seen, QueueError> {
    // A channel of its own: the broker closes it if the queue does not exist.
    let channel = answered(connection.create_channel()).await?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
    let asking = tokio::time::timeout(ANSWER, channel.queue_declare(queue, passive, FieldTable::default()));
    match asking.await {
        Ok(Ok(found)) => {
            let _ = tokio::time::timeout(ANSWER, channel.close(200, "seen".into())).await;
            Ok(Seen::Messages(u64::from(found.message_count())))
        }
        Ok(Err(error)) if is_away(&error) => Ok(Seen::Away),
        Ok(Err(error)) if is_absence(&error) => Ok(Seen::Absent),
        Ok(Err(error)) => Err(QueueError::from(amqp::trouble(&error))),
        Err(_) => Err(QueueError::Unavailable("the broker did not answer".to_owned())),
    }
}

async fn read_pause(target: &Target, connection: &Connection) -> Result<Option<OperatorPause>, QueueError> {
    let channel = answered(connection.create_channel()).await?;
    let queue = target.topology.pause_of_operator();
    let got = answered(channel.basic_get(queue, BasicGetOptions::default())).await?;
    // Closing the channel requeues the message.
    let _ = tokio::time::timeout(ANSWER, channel.close(200, "seen".into())).await;
    Ok(got.and_then(|got| pause_in(&target.signer, &target.topology, &got.delivery)))
}
