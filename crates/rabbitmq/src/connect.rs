//! Connects to the broker: where it is, and what is checked before a connection is used.

use std::sync::Arc;

use lapin::ConnectionProperties;
use lapin::tcp::OwnedTLSConfig;
use lapin::uri::AMQPUri;

use super::authentic::{Signer, compare_key};
use super::connection::{ANSWER, ConnectError, in_time};
use super::generation::supersede;
use super::lease::prove_exclusive;
use super::link::{Link, declare};
use super::portal_check::compare_portal;
use super::redact;
use super::sieve::{self, Closing};
use super::topology::Topology;

const HEARTBEAT_SECONDS: u16 = 10;

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

/// Starts a supervised connection.
pub(super) fn link(target: &Target, purpose: Purpose) -> Link {
    let (topology, target) = (target.topology.clone(), Arc::new(target.clone()));
    Link::start(topology, purpose.name(), move || {
        let target = Arc::clone(&target);
        async move { connect(&target, purpose).await }
    })
}

/// Opens a connection that fits the fleet: it has the fleet's portal, key and release, and the broker keeps leases
/// apart.
async fn connect(target: &Target, purpose: Purpose) -> Result<Closing, ConnectError> {
    let Target { topology, signer, .. } = target;
    let connection = open(target, purpose.name()).await?;
    compare_portal(topology, signer, &connection).await?;
    compare_key(topology, signer, &connection, true).await?;
    supersede(&connection).await?;
    in_time(declare(topology, &connection)).await?;
    if purpose == Purpose::Leases {
        prove_exclusive(topology, &connection, false).await?;
    }
    Ok(connection)
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
