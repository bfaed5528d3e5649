//! Connects to the broker: what is checked and declared before a connection is used.

use async_trait::async_trait;
use lapin::Connection;

use super::authentic::{Signer, compare_key};
use super::generation::supersede;
use super::lease::prove_exclusive;
use super::portal_check::compare_portal;
use super::topology::{Topology, queue};
use amqp::{Address, Closing, ConnectError, Link, Opener, in_time, is_absence};

/// The broker, and what to declare there.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) address: Address,
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

/// Starts a supervised connection.
pub(super) fn link(target: &Target, purpose: Purpose) -> Link {
    Link::start(purpose.name(), Connecting { target: target.clone(), purpose })
}

struct Connecting {
    target: Target,
    purpose: Purpose,
}

#[async_trait]
impl Opener for Connecting {
    /// Opens a connection that fits the fleet: it has the fleet's portal, key and release, and the broker keeps leases
    /// apart.
    async fn open(&self) -> Result<Closing, ConnectError> {
        let Target { address, topology, signer } = &self.target;
        let connection = address.open(self.purpose.name()).await?;
        compare_portal(topology, signer, &connection).await?;
        compare_key(topology, signer, &connection, true).await?;
        supersede(&connection).await?;
        in_time(self.declare(&connection)).await?;
        if self.purpose == Purpose::Leases {
            prove_exclusive(topology, &connection, false).await?;
        }
        Ok(connection)
    }

    /// Declares every queue of the fleet.
    async fn declare(&self, connection: &Connection) -> lapin::Result<()> {
        let channel = connection.create_channel().await?;
        self.target.topology.declare(&channel).await?;
        for (name, arguments) in self.target.topology.of_tokens() {
            match queue(&channel, name, arguments).await {
                // The queue's node is away; a process that needs tokens waits for it.
                Err(error) if is_absence(&error) => return Ok(()),
                declared => declared?,
            }
        }
        let _ = channel.close(200, "declared".into()).await;
        Ok(())
    }
}
