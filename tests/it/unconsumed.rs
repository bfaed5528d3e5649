//! Queues with messages and without a consumer, and what of the queues' series is kept: by a real Prometheus.

use std::collections::BTreeSet;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

use crate::documents::document;
use crate::harness::broker::{Broker, free_ports};
use crate::harness::fleet::Fleet;
use crate::harness::prometheus::Prometheus;
use crate::harness::scrape::{Scrape, get};
use crate::harness::{picture, quick, until_async};

/// `QueueHasNoConsumers`, which comes with RabbitMQ's cluster operator, for queues chosen by their names.
fn alert(chosen: &str) -> String {
    format!(
        r#"(((rabbitmq_detailed_queue_consumers{{vhost="/", {chosen}}} == 0) + rabbitmq_detailed_queue_messages) > 0)
        * on (instance) group_left(rabbitmq_cluster) max by (instance, rabbitmq_cluster) (rabbitmq_identity_info)"#
    )
}

/// The exclusion that the page offers.
fn exclusion() -> String {
    let page = document("docs/queue.md");
    let line = page.lines().find(|line| line.starts_with("queue!~"));
    line.expect("the page has an exclusion").to_owned()
}

/// The queues that the page lists.
fn listed() -> BTreeSet<String> {
    let page = document("docs/queue.md");
    let (_, section) = page.split_once("## Messages without a consumer").unwrap();
    let rows = section.lines().skip_while(|line| !line.starts_with("| `"));
    let cells = rows.take_while(|line| line.starts_with('|')).filter_map(|row| row.split('|').nth(1));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// What a rule asks.
async fn rule(prometheus: &Prometheus, name: &str) -> String {
    let rules = prometheus.rules().await;
    let rule = rules.iter().find(|rule| rule["name"] == name);
    rule.unwrap()["query"].as_str().unwrap().to_owned()
}

async fn channel(broker: &Broker) -> (Connection, Channel) {
    let connection = Connection::connect(&broker.url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_alert_on_queues_without_consumers_fires_for_those_on_the_page_and_the_exclusion_leaves_the_rest()
{
    let (broker, exporter) = Broker::start_watched().await;
    let fleet = Fleet::on(&broker.url(), sandbox::Options { assets: 30, ..quick() }).await;
    let prometheus = Prometheus::start(&[("rabbitmq", exporter)]).await;
    let [working] = free_ports();
    let _worker = fleet.worker_with(&[("CONNECTOR_HTTP__LISTEN", format!("127.0.0.1:{working}"))]);
    fleet.sync().await;
    fleet.bench.run(&["pause"]).await.assert_code(0);
    until_async(async || Scrape::of(working).await.text.contains("connector_paused{by=\"operator\"} 1"))
        .await;
    fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    fleet.publish().await.assert_code(0);
    let own = |names: &[&str]| -> BTreeSet<_> {
        names.iter().map(|name| format!("{}.{name}", fleet.prefix)).collect()
    };
    let fires_for = own(&["failed", "pause.operator", "producer.card", "submit.backlog"]);
    until_async(async || prometheus.queues(&alert("queue=~\".*\"")).await == fires_for).await;
    assert_eq!(prometheus.queues(&alert(&exclusion())).await, BTreeSet::new());
    // Nobody takes the outcome: that is what the alert is for.
    fleet.bench.run(&["resume"]).await.assert_code(0);
    until_async(async || prometheus.queues(&alert(&exclusion())).await == own(&["results"])).await;
    let all = prometheus.queues("rabbitmq_detailed_queue_messages").await;
    let others = prometheus.queues(&format!("rabbitmq_detailed_queue_messages{{{}}}", exclusion())).await;
    let named = |queue: &String| {
        let name = queue.strip_prefix(&fleet.prefix).unwrap_or(queue).replace(&fleet.prefix, "<group>");
        if name.starts_with(".wait.") { ".wait.…".to_owned() } else { name }
    };
    let excluded: BTreeSet<_> = all.difference(&others).map(named).collect();
    let mut listed = listed();
    assert!(listed.remove(".locks.<n>"), "their series are not kept");
    assert_eq!(excluded, listed);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_queues_that_come_and_go_with_a_process_and_of_locks_no_series_is_kept() {
    let (broker, exporter) = Broker::start_watched().await;
    let fleet = Fleet::on(&broker.url(), quick()).await;
    let _worker = fleet.worker();
    let (_connection, channel) = channel(&broker).await;
    let passing = ["hold.0", "locks.1023"].map(|name| format!("{}.{name}", fleet.prefix));
    for queue in &passing {
        let options = QueueDeclareOptions::durable();
        channel.queue_declare(queue.as_str().into(), options, FieldTable::default()).await.unwrap();
    }
    until_async(async || {
        let told = get(exporter, "/metrics/detailed?family=queue_coarse_metrics").await.unwrap_or_default();
        passing.iter().map(String::as_str).chain(["connector.member."]).all(|queue| told.contains(queue))
    })
    .await;
    let prometheus = Prometheus::start(&[("rabbitmq", exporter)]).await;
    until_async(async || !prometheus.queues("rabbitmq_detailed_queue_messages").await.is_empty()).await;
    for queue in prometheus.queues("{queue=~\".+\"}").await {
        assert!(!passing.contains(&queue) && !queue.starts_with("connector.member."), "{queue}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_leave_its_wait_and_a_queue_without_a_leader_are_found_by_their_alerts() {
    let (broker, exporter) = Broker::start_watched().await;
    let fleet = Fleet::on(&broker.url(), quick()).await;
    let _declared = fleet.connection().await;
    let prometheus = Prometheus::start(&[("rabbitmq", exporter)]).await;
    let stuck = rule(&prometheus, "ConnectorDeadLetteringStuck").await;
    let unavailable = rule(&prometheus, "ConnectorQueueUnavailable").await.replace("[5m]", "[15s]");
    let (_connection, channel) = channel(&broker).await;
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let (options, wait) = (BasicPublishOptions::default(), format!("{}.wait.100ms", fleet.prefix));
    let (to, nowhere) = (wait.as_str().into(), "nowhere".into());
    let publishing = channel.basic_publish(to, nowhere, options, b"{}", BasicProperties::default());
    publishing.await.unwrap().await.unwrap();
    let found = BTreeSet::from([wait.clone()]);
    until_async(async || prometheus.queues(&stuck).await == found).await;
    until_async(async || prometheus.queues(&unavailable).await.is_empty()).await;
    // As when the members of a cluster change.
    let stop = format!("ra:stop_server(quorum_queues, {{'%2F_{wait}', node()}}).");
    broker.control(&["eval", &stop]).await;
    until_async(async || prometheus.queues(&unavailable).await == found).await;
}
