//! Jobs are pushed to workers, and no more of them than these can begin.

use std::time::Duration;

use common::queue::{JobConsumer, StepSet};

use crate::harness::broker::{Broker, free_ports};
use crate::harness::fleet::Fleet;
use crate::harness::scene::slow;
use crate::harness::scrape::Scrape;
use crate::harness::{picture, quick, until, until_async};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_makes_at_most_four_innocents_suspect() {
    const CONCURRENCY: usize = 2;
    let fleet = Fleet::on(&Broker::shared().await.url(), quick()).await;
    for seed in 0..40 {
        fleet.bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap();
    }
    fleet.bench.sandbox.set_faults(slow("imatag.submit", Duration::from_mins(5)));
    let few = [("CONNECTOR_WORKER__CONCURRENCY", CONCURRENCY.to_string())];
    let mut worker = fleet.worker_with(&few);
    fleet.publish().await.assert_code(0);
    until(|| fleet.requests("imatag.submit") == CONCURRENCY as u64).await;
    worker.kill().await.unwrap();
    let queue = fleet.queue().await;
    let mut taken = Vec::new();
    while taken.len() < 40 {
        taken.push(queue.consumer.next(StepSet::ALL).await.unwrap());
    }
    let suspect = taken.iter().filter(|delivery| delivery.redelivered).count();
    assert!((CONCURRENCY..=CONCURRENCY + 4).contains(&suspect), "{suspect} of 40 jobs are suspect");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_at_work_and_idle_fetches_nothing_from_the_broker() {
    let [exporter, management] = free_ports();
    let configuration = format!(
        "prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {exporter}\nmanagement.tcp.port = {management}"
    );
    let broker = Broker::start_as_deployed(&configuration).await;
    let fleet = Fleet::on(&broker.url(), sandbox::Options { assets: 12, ..quick() }).await;
    fleet.bench.reconfigure("[producer]\n", "[producer]\nevery = '1s'\n");
    let _worker = fleet.worker();
    let _producer = fleet.producer(&["sync", "--full", "--quiet"]);
    let connection = fleet.connection().await;
    let is_over = async || connection.depth().await.is_ok_and(|depth| depth.open() == 0);
    until_async(async || fleet.requests("imatag.submit") > 0 && is_over().await).await;
    // Idle, but for runs that find nothing.
    let lists = fleet.requests("bynder.list");
    until(|| fleet.requests("bynder.list") > lists + 5).await;
    let scrape = Scrape::of(exporter).await;
    let series = scrape.text.lines().filter(|line| !line.starts_with('#') && line.contains("_get_"));
    let counted: Vec<_> = series.filter_map(|line| line.rsplit_once(' ')).collect();
    assert!(!counted.is_empty(), "{}", scrape.text);
    for (series, value) in counted {
        assert_eq!(value, "0", "{series}");
    }
}
