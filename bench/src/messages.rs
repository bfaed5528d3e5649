//! Messages as the program's own, for what is measured on the broker alone.

use anyhow::{Context, ensure};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};

/// About what a job's message holds when it is published.
pub(crate) const PUBLISHED: [u8; 600] = [b'x'; 600];

/// About what it holds once its original was looked into.
pub(crate) const UNDER_WAY: [u8; 2600] = [b'x'; 2600];

pub(crate) async fn connect() -> anyhow::Result<Connection> {
    let url = std::env::var("BENCH_BROKER").context("start it by scripts/bench")?;
    Ok(Connection::connect(&url, ConnectionProperties::default()).await?)
}

/// A channel whose messages are confirmed.
pub(crate) async fn confirming(connection: &Connection) -> anyhow::Result<Channel> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

/// Arguments of a queue of this kind.
pub(crate) fn kind(name: &str) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString(name.into()));
    arguments
}

/// Returns when the broker has confirmed the message.
pub(crate) async fn publish(channel: &Channel, queue: &str, body: &[u8]) -> anyhow::Result<()> {
    let properties = BasicProperties::default().with_delivery_mode(2);
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let confirm = channel.basic_publish("".into(), queue.into(), options, body, properties).await?;
    ensure!(matches!(confirm.await?, Confirmation::Ack(None)), "a message was not taken");
    Ok(())
}
