//! How fast confirmed messages are published to a quorum queue, by the number of channels with one unconfirmed message each; and
//! how fast the producer publishes.

use std::time::Duration;

use futures::future::try_join_all;
use lapin::Channel;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use tokio::time::Instant;

use crate::lab::{Lab, Library};
use crate::messages::{PUBLISHED, confirming, connect, kind, publish};
use crate::table::{Table, counted, rate};
use crate::usage;

const QUEUE: &str = "bench.publishing";

pub(crate) async fn measure(is_short: bool) -> anyhow::Result<Table> {
    let long = Duration::from_secs(if is_short { 1 } else { 5 });
    let mut table = Table::new(
        "Publishing with confirms",
        format!(
            "Persistent messages of {} bytes into a quorum queue on one node, for {} s each. The producer publishes one job after \
             another, each recorded in the ledger first; its whole run is timed.",
            PUBLISHED.len(),
            long.as_secs()
        ),
    );
    let connection = connect().await?;
    let control = connection.create_channel().await?;
    for channels in if is_short { &[1, 16][..] } else { &[1, 2, 4, 8, 16, 32, 64] } {
        control.queue_declare(QUEUE.into(), QueueDeclareOptions::durable(), kind("quorum")).await?;
        let mut open = Vec::new();
        for _ in 0..*channels {
            open.push(confirming(&connection).await?);
        }
        let started = Instant::now();
        let sent = try_join_all(open.iter().map(|channel| publish_until(channel, started + long))).await?;
        let figure = format!("{:.0} messages/s", rate(sent.iter().sum(), started.elapsed()));
        table.add(counted(*channels, "channel"), figure);
        for channel in open {
            channel.close(200, "done".into()).await?;
        }
        control.queue_delete(QUEUE.into(), QueueDeleteOptions::default()).await?;
    }
    let library = Library { pictures: if is_short { 40 } else { 4000 }, width: 64, ..Library::default() };
    let lab = Lab::new(&library).await?;
    let (took, _) = usage::to_its_end(lab.program("producer", &["sync", "--full"])?.spawn()?, &[0]).await?;
    table.add(
        format!("the producer, {} jobs", library.pictures),
        format!("{:.0} jobs/s", rate(u64::from(library.pictures), took)),
    );
    Ok(table)
}

async fn publish_until(channel: &Channel, until: Instant) -> anyhow::Result<u64> {
    let mut sent = 0;
    while Instant::now() < until {
        publish(channel, QUEUE, &PUBLISHED).await?;
        sent += 1;
    }
    Ok(sent)
}
