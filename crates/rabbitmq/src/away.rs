//! Queues whose node is away. A classic queue is on one node of a cluster. While that node is away, the broker reports
//! that the queue does not exist, and refuses to declare or delete it.

use std::time::Duration;

use lapin::ErrorKind;
use lapin::types::ShortString;

use super::Connections;
use super::arguments::Arguments;
use super::topology::queue;
use amqp::{ANSWER, Live, answered, is_absence};
use queue::QueueError;

const POLL_EVERY: Duration = Duration::from_secs(2);
/// What a person can do about a node that does not return.
pub(super) const REMEDY: &str =
    "it waits for that node; if the node is gone for good, run `rabbitmqctl forget_cluster_node`";

impl Connections {
    /// Declares the queues of tokens, waiting until their nodes are back.
    pub(super) async fn declare_tokens(&self, live: &Live) -> Result<(), QueueError> {
        for (name, arguments) in self.topology.of_tokens() {
            let mut is_said = false;
            while !is_there(live, name.clone(), arguments.clone()).await? {
                if !std::mem::replace(&mut is_said, true) {
                    tracing::warn!(queue = %name, "no portal call is made: the queue is on a node of the broker that is away; {REMEDY}");
                }
                tokio::time::sleep(POLL_EVERY).await;
            }
        }
        Ok(())
    }
}

/// Declares a queue over a channel of its own; returns false while the queue's node is away.
async fn is_there(live: &Live, name: ShortString, arguments: Arguments) -> Result<bool, QueueError> {
    let channel = live.channel().await?;
    let is_there = housed(queue(&channel, name, arguments)).await;
    let _ = tokio::time::timeout(ANSWER, channel.close(200, "declared".into())).await;
    is_there
}

/// Whether a passive declaration failed because the queue's node is away: the broker uses the same code as for a queue
/// that was never declared.
pub(super) fn is_away(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(refusal)
        if is_absence(error) && refusal.get_message().as_str().contains("is down or inaccessible"))
}

/// The result of a declaration: false while the queue's node is away, which costs the channel.
pub(super) async fn housed(declaring: impl Future<Output = lapin::Result<()>>) -> Result<bool, QueueError> {
    answered(async {
        match declaring.await {
            Err(error) if is_absence(&error) => Ok(false),
            declared => declared.map(|()| true),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use lapin::protocol::{AMQPError, AMQPSoftError};

    use super::*;

    #[test]
    fn a_queue_whose_node_is_away_is_none_that_was_never_declared() {
        let refused = |text: &str| {
            let error = AMQPError::new(AMQPSoftError::NOTFOUND.into(), text.into());
            lapin::Error::from(ErrorKind::ProtocolError(error))
        };
        // The texts of RabbitMQ 3.10 and 4.0.
        let away = refused(
            "NOT_FOUND - home node 'rabbit@b' of durable queue 'connector.tokens.x' in vhost '/' is down or inaccessible",
        );
        let never = refused("NOT_FOUND - no queue 'connector.tokens.x' in vhost '/'");
        assert!(is_absence(&away) && is_away(&away));
        assert!(is_absence(&never) && !is_away(&never));
    }
}
