//! A prefix is one portal's: an empty queue says whose, by an argument that the broker compares.

use lapin::Connection;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;

use super::link::{Target, Trouble, in_time, is_absence};
use super::topology::{ROUTING_KEY, Topology};

/// Fails where the prefix is tied to another portal. It ties it to none: that is for those who know that theirs answers.
pub(super) async fn compare_portal(target: &Target, connection: &Connection) -> Result<(), Trouble> {
    let looking = async {
        let channel = connection.create_channel().await?;
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        match channel.queue_declare(target.topology.portal(), passive, FieldTable::default()).await {
            Ok(_) => {}
            Err(error) if is_absence(&error) => return Ok(false),
            Err(error) => return Err(error),
        }
        let _ = channel.close(200, "seen".into()).await;
        Ok(true)
    };
    if in_time(looking).await? { tie(&target.topology, connection).await } else { Ok(()) }
}

/// Makes the prefix this portal's, or finds that it is.
pub(super) async fn tie(topology: &Topology, connection: &Connection) -> Result<(), Trouble> {
    let tying = async {
        let channel = connection.create_channel().await?;
        topology.declare_portal(&channel).await?;
        let _ = channel.close(200, "declared".into()).await;
        Ok(())
    };
    in_time(tying).await.map_err(|trouble| match trouble {
        Trouble::Misconfigured(told) if told.contains(ROUTING_KEY) => {
            Trouble::Misconfigured(tied_to_another(topology, &told))
        }
        Trouble::Misconfigured(_) | Trouble::Refused(_) | Trouble::Unreachable(_) => trouble,
    })
}

/// What to do about a prefix that is another portal's.
fn tied_to_another(topology: &Topology, told: &str) -> String {
    format!(
        "queue.prefix {:?} belongs to another portal than bynder.domain, {}: {told}. Give this deployment a queue.prefix of its \
         own; or, if it is the same library and its address changed, stop producer and workers and run \
         `rabbitmqctl delete_queue {}`",
        topology.prefix(),
        topology.for_portal(),
        topology.portal()
    )
}
