//! How fast confirmed messages go into a quorum queue, by the number of channels with one message outstanding on each.

use std::time::Duration;

use futures::future::try_join_all;
use lapin::Channel;
use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use tokio::time::Instant;

use crate::messages::{BODY, confirming, connect, kind, publish};
use crate::table::{Table, rate};

const QUEUE: &str = "bench.publishing";

pub(crate) async fn measure(is_short: bool) -> anyhow::Result<Table> {
    let long = Duration::from_secs(if is_short { 1 } else { 5 });
    let mut table = Table::new(
        "Publishing with confirms",
        format!(
            "Persistent messages of {} bytes into a quorum queue of one node, for {} s each.",
            BODY.len(),
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
        table.add(format!("{channels} channels"), figure);
        for channel in open {
            channel.close(200, "done".into()).await?;
        }
        control.queue_delete(QUEUE.into(), QueueDeleteOptions::default()).await?;
    }
    Ok(table)
}

async fn publish_until(channel: &Channel, until: Instant) -> anyhow::Result<u64> {
    let mut sent = 0;
    while Instant::now() < until {
        publish(channel, QUEUE).await?;
        sent += 1;
    }
    Ok(sent)
}
