//! Jobs are pushed to workers, and no more of them than these can begin.

use std::time::Duration;

use common::job::{Job, Lane};
use common::queue::{JobConsumer, StepSet};

use crate::broker_faults::publish_once_more;
use crate::harness::broker::Broker;
use crate::harness::fleet::Fleet;
use crate::harness::scene::slow;
use crate::harness::{job_of, picture, quick, until};

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
async fn of_the_suspect_jobs_of_a_killed_worker_those_count_as_lost_that_it_had_begun() {
    const CONCURRENCY: usize = 2;
    let fleet = Fleet::new(quick()).await;
    for seed in 0..6 {
        let id = fleet.bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap();
        publish_once_more(&fleet, &Job { suspect: true, ..job_of("run", &id, Lane::Backlog) }).await;
    }
    fleet.bench.sandbox.set_faults(slow("imatag.submit", Duration::from_mins(5)));
    let mut worker = fleet.worker_with(&[("CONNECTOR_WORKER__CONCURRENCY", CONCURRENCY.to_string())]);
    until(|| fleet.requests("imatag.submit") == CONCURRENCY as u64).await;
    worker.kill().await.unwrap();
    let queue = fleet.queue().await;
    let mut taken = Vec::new();
    while taken.len() < 6 {
        taken.push(queue.consumer.next(StepSet::ALL).await.unwrap());
    }
    let begun = taken.iter().filter(|delivery| delivery.job.held).count();
    assert_eq!(begun, CONCURRENCY, "{taken:#?}");
    assert!(taken.iter().all(|delivery| delivery.redelivered || !delivery.job.held), "{taken:#?}");
}
