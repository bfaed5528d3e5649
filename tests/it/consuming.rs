//! Jobs are pushed to workers, and no more of them than these can begin.

use std::time::{Duration, Instant};

use queue::{JobConsumer, StepSet};

use crate::harness::broker::Broker;
use crate::harness::fleet::Fleet;
use crate::harness::scene::slow;
use crate::harness::{picture, quick, until};

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
async fn a_queue_without_a_leader_holds_up_the_jobs_of_no_other_queue() {
    let broker = Broker::start().await;
    let fleet = Fleet::on(&broker.url(), quick()).await;
    let queue = fleet.queue().await;
    broker.suspend(&format!("{}.save", fleet.prefix)).await;
    for seed in 0..5 {
        fleet.bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap();
    }
    fleet.publish().await.assert_code(0);
    let began = Instant::now();
    let mut taken = Vec::new();
    while taken.len() < 5 {
        taken.push(queue.consumer.next(StepSet::ALL).await.unwrap());
    }
    assert!(began.elapsed() < Duration::from_secs(5), "they came after {:?}", began.elapsed());
}
