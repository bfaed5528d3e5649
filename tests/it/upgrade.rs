//! Another release in the same fleet: what a newer one wrote is kept for it, and an earlier one is not worked with.

use common::job::{Job, Lane};
use common::outcome::Outcome;
use lapin::message::BasicGetMessage;
use lapin::options::{
    BasicGetOptions, BasicNackOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use rabbitmq::encode_event;

use crate::harness::broker::Broker;
use crate::harness::fleet::{Fleet, ended};
use crate::harness::{is_protected, job_of, picture, quick, until, until_async};

async fn channel(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(lapin::options::ConfirmSelectOptions::default()).await.unwrap();
    (connection, channel)
}

/// What the release before does first.
async fn announces_itself_as_before(channel: &Channel) -> lapin::Result<()> {
    let (durable, none) = (
        ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() },
        FieldTable::default(),
    );
    let control = "connector.control";
    channel.exchange_declare(control.into(), ExchangeKind::Fanout, durable, none.clone()).await?;
    let own = "connector.member.before";
    channel.queue_declare(own.into(), QueueDeclareOptions::exclusive(), none.clone()).await?;
    channel.queue_bind(own.into(), control.into(), "".into(), QueueBindOptions::default(), none).await
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_this_release_nor_the_one_before_works_where_the_other_does() {
    let broker = Broker::start().await;
    let (before, before_channel) = channel(&broker.url()).await;
    announces_itself_as_before(&before_channel).await.unwrap();
    let fleet = Fleet::on(&broker.url(), quick()).await;
    let id = fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    for program in [fleet.worker(), fleet.producer(&["sync", "--quiet"])] {
        ended(program).await.assert_code(3);
    }
    let said = fleet.worker_logs();
    assert!(said.contains("processes of an earlier release are at work"), "{said}");
    assert_eq!(fleet.requests("imatag.submit"), 0);

    before.close(200, "stopped".into()).await.unwrap();
    let _worker = fleet.worker();
    fleet.sync().await.assert_code(0);
    assert!(is_protected(&fleet.bench.asset(&id)));

    // One that declared the exchange before it was replaced, and came back after.
    let (_before, channel) = channel(&broker.url()).await;
    let beat = format!(
        r#"{{"v":1,"member":"m","number":1,"claim":1.0,"want":1.0,"deployment":"{}"}}"#,
        fleet.prefix
    );
    let (control, options) = ("connector.control".into(), BasicPublishOptions::default());
    let key = fleet.prefix.as_str().into();
    let sent =
        channel.basic_publish(control, key, options, beat.as_bytes(), BasicProperties::default()).await;
    sent.unwrap().await.unwrap();
    until(|| fleet.worker_logs().contains("a process of an earlier release is at work")).await;

    let refused = announces_itself_as_before(&channel).await.unwrap_err();
    assert!(refused.to_string().contains("PRECONDITION_FAILED"), "{refused}");
}

/// A message as a newer release would write it.
fn of_newer_release(body: &[u8]) -> Vec<u8> {
    let mut message: serde_json::Value = serde_json::from_slice(body).unwrap();
    message["v"] = 2.into();
    message["step"] = "polish".into();
    serde_json::to_vec(&message).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_newer_release_are_kept_as_they_are_for_a_process_that_reads_them() {
    let fleet = Fleet::new(quick()).await;
    let id = fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    fleet.publish().await.assert_code(0);
    let (_connection, channel) = channel(&fleet.url).await;
    let job = job_of("RUN-9", "1F0A9C2E-77B1-4D3C-9E5512AB34CD56EF", Lane::Fresh);
    let event = encode_event(&job.ended(Outcome::Gone, job.created_at)).unwrap();
    let job = of_newer_release(&job.encode().unwrap());
    let kept = [("save", job.clone()), ("dead", job.clone()), ("results", of_newer_release(&event))];
    assert!(Job::decode(&job).is_err());
    for (queue, body) in &kept {
        let (queue, options) = (format!("{}.{queue}", fleet.prefix), BasicPublishOptions::default());
        let properties = BasicProperties::default().with_message_id("m".into()).with_delivery_mode(2);
        let sent = channel.basic_publish("".into(), queue.as_str().into(), options, body, properties).await;
        sent.unwrap().await.unwrap();
        // A process died over it.
        let lost = taken(&channel, &queue, body).await;
        lost.nack(BasicNackOptions { requeue: true, ..BasicNackOptions::default() }).await.unwrap();
    }

    let worker = fleet.worker();
    // The job is over, and once the producer has its outcome, no message of it is in any queue.
    until(|| fleet.worker_logs().contains("outcome=")).await;
    fleet.sync().await.assert_code(0);
    assert!(is_protected(&fleet.bench.asset(&id)));
    until(|| fleet.worker_logs().contains("a message of a newer release waits")).await;
    drop(worker);
    for (queue, body) in &kept {
        let message = taken(&channel, &format!("{}.{queue}", fleet.prefix), body).await;
        let headers = message.properties.headers().as_ref().map(FieldTable::inner);
        assert!(headers.is_some_and(|headers| headers.contains_key("connector-lost")), "{queue}");
    }
    assert_eq!(fleet.failed().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_the_first_release_that_lies_in_a_queue_is_done() {
    let fleet = Fleet::new(quick()).await;
    let id = fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    let fixture = include_bytes!("../../common/src/job/fixtures/first-release-submitted.json");
    let mut old: serde_json::Value = serde_json::from_slice(fixture).unwrap();
    (old["asset_id"], old["base"], old["top"]) = (id.as_str().into(), 1.into(), 1.into());
    let (old, _declared) = (serde_json::to_vec(&old).unwrap(), fleet.queue().await);
    let (_connection, channel) = channel(&fleet.url).await;
    let (queue, options) = (format!("{}.transfer", fleet.prefix), BasicPublishOptions::default());
    let properties = BasicProperties::default().with_message_id("m".into()).with_delivery_mode(2);
    let sent = channel.basic_publish("".into(), queue.as_str().into(), options, &old, properties).await;
    sent.unwrap().await.unwrap();
    let _worker = fleet.worker();
    until(|| is_protected(&fleet.bench.asset(&id))).await;
    assert_eq!(fleet.failed().await, []);
}

/// Waits for this message in a queue, and takes it.
async fn taken(channel: &Channel, queue: &str, body: &[u8]) -> BasicGetMessage {
    let found = tokio::sync::Mutex::new(None);
    until_async(async || {
        let got = channel.basic_get(queue.into(), BasicGetOptions::default()).await.unwrap();
        match got {
            Some(message) if message.data == body => *found.lock().await = Some(message),
            Some(message) => {
                let back = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
                message.nack(back).await.unwrap();
            }
            None => {}
        }
        found.lock().await.is_some()
    })
    .await;
    found.into_inner().unwrap()
}
