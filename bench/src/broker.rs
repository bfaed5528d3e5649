//! The broker's CPU time for each operation that an asset needs.

use std::time::Duration;

use anyhow::{Context, ensure};
use futures::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicPublishOptions,
    BasicQosOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel};
use tokio::time::Instant;

use crate::messages::{UNDER_WAY, confirming, connect, kind, publish};
use crate::table::Table;
use crate::usage;

const WORK: &str = "bench.work";
const WAIT: &str = "bench.wait";
const LOCKS: &str = "bench.locks";
/// The shortest wait of the other measurements' configuration.
const WAIT_MILLISECONDS: i64 = 200;

pub(crate) async fn measure(is_short: bool) -> anyhow::Result<Table> {
    let times = if is_short { 20 } else { 1000 };
    let how = format!(
        "Processor time of the broker per operation: {times} of each in sequence on one channel; persistent messages of {} bytes; \
         queues as in docs/queue.md.",
        UNDER_WAY.len()
    );
    let mut table = Table::new("What is asked of the broker", how);
    let connection = connect().await?;
    let channel = confirming(&connection).await?;
    declare(&channel).await?;

    let clock = Clock::start()?;
    for _ in 0..times {
        publish(&channel, WORK, &UNDER_WAY).await?;
    }
    table.add("a message published and confirmed", clock.each(times)?);
    let clock = Clock::start()?;
    for _ in 0..times {
        ensure!(fetch(&channel).await?, "a message is missing");
    }
    table.add("a message fetched and acknowledged", clock.each(times)?);
    for _ in 0..times {
        publish(&channel, WORK, &UNDER_WAY).await?;
    }
    let clock = Clock::start()?;
    pushed(&channel, times).await?;
    table.add("a message pushed and acknowledged", clock.each(times)?);
    for _ in 0..times {
        publish(&channel, WORK, &UNDER_WAY).await?;
    }
    let clock = Clock::start()?;
    for _ in 0..times {
        pushed(&channel, 1).await?;
    }
    table.add("... by a consumer that is made and cancelled for each", clock.each(times)?);
    let clock = Clock::start()?;
    for _ in 0..times {
        publish(&channel, WAIT, &UNDER_WAY).await?;
    }
    come_back(&channel, times).await?;
    table.add("a message sent through a wait", clock.each(times)?);
    let unconfirmed = connection.create_channel().await?;
    let clock = Clock::start()?;
    for _ in 0..times {
        lease(&unconfirmed).await?;
    }
    table.add("a lease taken and given back", clock.each(times)?);

    for queue in [WAIT, WORK, LOCKS] {
        channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await?;
    }
    Ok(table)
}

/// Measures the broker's CPU time.
struct Clock {
    broker: u32,
    cpu: Duration,
}

impl Clock {
    fn start() -> anyhow::Result<Self> {
        let broker = std::env::var("BENCH_BROKER_PID").context("start it by scripts/bench")?.parse()?;
        Ok(Self { broker, cpu: usage::of(broker).context("the broker is gone")?.cpu })
    }

    fn each(&self, times: u32) -> anyhow::Result<String> {
        let cpu = usage::of(self.broker).context("the broker is gone")?.cpu.saturating_sub(self.cpu);
        Ok(format!("{:.2} ms", cpu.as_secs_f64() * 1000.0 / f64::from(times)))
    }
}

async fn declare(channel: &Channel) -> anyhow::Result<()> {
    let mut work = kind("quorum");
    work.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    let mut wait = work.clone();
    wait.insert("x-dead-letter-strategy".into(), AMQPValue::LongString("at-least-once".into()));
    wait.insert("x-dead-letter-exchange".into(), AMQPValue::LongString("".into()));
    wait.insert("x-dead-letter-routing-key".into(), AMQPValue::LongString(WORK.into()));
    wait.insert("x-message-ttl".into(), AMQPValue::LongLongInt(WAIT_MILLISECONDS));
    for (queue, arguments) in [(WORK, work), (WAIT, wait), (LOCKS, kind("classic"))] {
        channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments).await?;
    }
    Ok(())
}

/// Fetches and acknowledges a message; returns `false` if there is none.
async fn fetch(channel: &Channel) -> anyhow::Result<bool> {
    let Some(message) = channel.basic_get(WORK.into(), BasicGetOptions::default()).await? else {
        return Ok(false);
    };
    message.delivery.ack(BasicAckOptions::default()).await?;
    Ok(true)
}

/// Takes and ends a lease: consumes exclusively, publishes the note, receives and acknowledges it.
async fn lease(channel: &Channel) -> anyhow::Result<()> {
    let options = BasicConsumeOptions { exclusive: true, ..BasicConsumeOptions::default() };
    let mut consumer =
        channel.basic_consume(LOCKS.into(), "bench".into(), options, FieldTable::default()).await?;
    let (publishing, properties) =
        (BasicPublishOptions::default(), BasicProperties::default().with_delivery_mode(2));
    // The length of a note.
    channel.basic_publish("".into(), LOCKS.into(), publishing, &[b'n'; 130], properties).await?;
    let note = consumer.next().await.context("the consumer ended")??;
    note.ack(BasicAckOptions::default()).await?;
    channel.basic_cancel("bench".into(), BasicCancelOptions::default()).await?;
    Ok(())
}

/// Receives this many messages through a consumer with a prefetch of one.
async fn pushed(channel: &Channel, times: u32) -> anyhow::Result<()> {
    channel.basic_qos(1, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let mut consumer =
        channel.basic_consume(WORK.into(), "bench".into(), options, FieldTable::default()).await?;
    for taken in 1..=times {
        let message = consumer.next().await.context("the consumer ended")??;
        if taken == times {
            // Cancelled before the acknowledgement, so that no other message is delivered.
            channel.basic_cancel("bench".into(), BasicCancelOptions::default()).await?;
        }
        message.ack(BasicAckOptions::default()).await?;
    }
    Ok(())
}

/// Waits until this many messages are back from the wait queue.
async fn come_back(channel: &Channel, times: u32) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_mins(1);
    let look = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
    while channel.queue_declare(WORK.into(), look, FieldTable::default()).await?.message_count() < times {
        ensure!(Instant::now() < deadline, "messages did not come back from their wait");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
