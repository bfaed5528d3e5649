//! Lists a portal's newest assets, and what the connector's marker says of each:
//!
//! `BYNDER_PORTAL=https://acme.bynder.com/ BYNDER_TOKEN=… cargo run -p bynder --example newest -- imatag_hash`

#![expect(clippy::print_stdout, reason = "an example has no log to keep clean")]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bynder::{Bynder, Credential, DateField, Gate, ListQuery, Order, Paused, Settings};
use common::job::Lane;
use common::marker::Marker;
use http_client::LinkHosts;

/// Lets every call go. A program that makes many takes the crate `budget`.
#[derive(Debug)]
struct Unlimited;

#[async_trait]
impl Gate for Unlimited {
    async fn admit(&self, _: Lane, calls: u32) -> Result<u32, Paused> {
        Ok(calls)
    }

    fn check(&self) -> Result<(), Paused> {
        Ok(())
    }

    fn refund(&self, _: u32) {}

    fn interval(&self) -> Duration {
        Duration::ZERO
    }

    fn refused(&self) {}

    fn answered(&self) {}
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let metaproperty = std::env::args().nth(1).ok_or("name the hash metaproperty")?;
    let bynder = Bynder::new(
        Settings {
            portal: std::env::var("BYNDER_PORTAL")?.parse()?,
            allow_http: false,
            storage_hosts: LinkHosts::Any,
            credential: Credential::Token(std::env::var("BYNDER_TOKEN")?.into()),
            request_timeout: Duration::from_secs(30),
            part_size: 5 << 20,
            parts_at_once: 1,
            observer: Arc::new(()),
        },
        Arc::new(Unlimited),
    )?;
    let newest =
        ListQuery { limit: 20, order: Some((DateField::Created, Order::Descending)), ..ListQuery::default() };
    for asset in bynder.list(&newest).await?.assets {
        let marker = match asset.marker(&metaproperty) {
            Marker::Absent => "no marker",
            Marker::Ours(_) => "a record of the connector",
            Marker::Legacy(_) => "a hash of another tool",
            Marker::Foreign(_) => "something else",
        };
        println!("{}  {marker}", asset.id);
    }
    Ok(())
}
