//! Messages like the connector's, for measurements of the broker alone.

use anyhow::{Context, ensure};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};

/// About the length of a job's message when it is published.
pub(crate) const PUBLISHED: [u8; 600] = [b'x'; 600];

/// About its length once the original has been read.
pub(crate) const UNDER_WAY: [u8; 2600] = [b'x'; 2600];

pub(crate) async fn connect() -> anyhow::Result<Connection> {
    let url = std::env::var("BENCH_BROKER").context("start it by scripts/bench")?;
    Ok(Connection::connect(&url, ConnectionProperties::default()).await?)
}

/// Opens a channel with publisher confirms.
pub(crate) async fn confirming(connection: &Connection) -> anyhow::Result<Channel> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

/// The arguments of a queue of this type.
pub(crate) fn kind(name: &str) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString(name.into()));
    arguments
}

/// Publishes a message, and waits for the broker's confirm.
pub(crate) async fn publish(channel: &Channel, queue: &str, body: &[u8]) -> anyhow::Result<()> {
    let properties = BasicProperties::default().with_delivery_mode(2);
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let confirm = channel.basic_publish("".into(), queue.into(), options, body, properties).await?;
    ensure!(matches!(confirm.await?, Confirmation::Ack(None)), "a message was not taken");
    Ok(())
}
