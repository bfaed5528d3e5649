//! A prefix is one portal's: an empty queue says whose, by an argument that the broker compares.

use lapin::Connection;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use url::Url;

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
    let mut other = None;
    let tying = async {
        let channel = connection.create_channel().await?;
        topology.declare_portal(&channel).await.inspect_err(|error| other = portal_in(&error.to_string()))?;
        let _ = channel.close(200, "declared".into()).await;
        Ok(())
    };
    in_time(tying).await.map_err(|trouble| match trouble {
        Trouble::Misconfigured(said) if said.contains(ROUTING_KEY) => {
            Trouble::Misconfigured(tied_to_another(topology, other.as_deref()))
        }
        Trouble::Misconfigured(_) | Trouble::Refused(_) | Trouble::Unreachable(_) => trouble,
    })
}

/// The portal that the broker quotes as the one that a prefix is tied to: of an address, only what is shown of a portal.
fn portal_in(said: &str) -> Option<String> {
    let (_, current) = said.split_once("current is ")?;
    let quoted = current.split('\'').nth(1)?;
    let origin = Url::parse(quoted).ok()?.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
}

/// What to do about a prefix that is another portal's.
fn tied_to_another(topology: &Topology, other: Option<&str>) -> String {
    format!(
        "queue.prefix {:?} belongs to another portal than bynder.domain, {}: to {}. Give this deployment a queue.prefix of its \
         own; or, if it is the same library and its address changed, stop producer and workers and run \
         `rabbitmqctl delete_queue {}`",
        topology.prefix(),
        topology.for_portal(),
        other.unwrap_or("one that the broker does not name"),
        topology.portal()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_portal_that_has_a_prefix_is_named_without_anything_else_that_the_broker_quotes() {
        let said = |current: &str| {
            portal_in(&format!(
                "PRECONDITION_FAILED - inequivalent arg 'x-dead-letter-routing-key' for queue 'c.portal' in vhost '/': received \
                 the value 'https://a.example' of type 'longstr' but current is {current} of type 'longstr'"
            ))
        };
        assert_eq!(said("the value 'https://b.example'").as_deref(), Some("https://b.example"));
        assert_eq!(said("'http://127.0.0.1:80'").as_deref(), Some("http://127.0.0.1"));
        assert_eq!(said("'https://u:secret@b.example/secret?x'").as_deref(), Some("https://b.example"));
        assert_eq!(said("'secret'"), None);
        assert_eq!(portal_in("PRECONDITION_FAILED"), None);
    }
}
