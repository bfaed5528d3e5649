//! How fast confirmed messages go into a quorum queue, by the number of channels with one message outstanding on each.

use std::time::Duration;

use anyhow::Context;
use futures::future::try_join_all;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use tokio::time::Instant;

use crate::table::{Table, rate};

/// About what a job's message holds.
const BODY: [u8; 600] = [b'x'; 600];
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
    let url = std::env::var("BENCH_BROKER").context("start it by scripts/bench")?;
    let connection = Connection::connect(&url, ConnectionProperties::default()).await?;
    let control = connection.create_channel().await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    for channels in if is_short { &[1, 16][..] } else { &[1, 2, 4, 8, 16, 32, 64] } {
        control.queue_declare(QUEUE.into(), QueueDeclareOptions::durable(), arguments.clone()).await?;
        let mut open = Vec::new();
        for _ in 0..*channels {
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            open.push(channel);
        }
        let started = Instant::now();
        let sent = try_join_all(open.iter().map(|channel| publish(channel, started + long))).await?;
        let figure = format!("{:.0} messages/s", rate(sent.iter().sum(), started.elapsed()));
        table.add(format!("{channels} channels"), figure);
        for channel in open {
            channel.close(200, "done".into()).await?;
        }
        control.queue_delete(QUEUE.into(), QueueDeleteOptions::default()).await?;
    }
    Ok(table)
}

async fn publish(channel: &Channel, until: Instant) -> anyhow::Result<u64> {
    let mut sent = 0;
    while Instant::now() < until {
        let properties = BasicProperties::default().with_delivery_mode(2);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let confirm = channel.basic_publish("".into(), QUEUE.into(), options, &BODY, properties).await?;
        anyhow::ensure!(matches!(confirm.await?, Confirmation::Ack(None)), "a message was not taken");
        sent += 1;
    }
    Ok(sent)
}
