//! Jobs are pushed to workers, and no more of them than these can begin.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use common::job::{Job, Lane, Step};
use ledger::Ledger;
use ledger::state::State;
use queue::{Delivery, JobConsumer, JobPublisher, StepSet};
use sandbox::faults::{Action, Faults, Rule};

use crate::broker_faults::job;
use crate::harness::broker::Broker;
use crate::harness::fleet::{Fleet, FleetQueue};
use crate::harness::scene::{rule, slow};
use crate::harness::{is_protected, picture, quick, until};

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

/// What lies in each work queue.
async fn ready(fleet: &FleetQueue) -> BTreeMap<(Step, Lane), u64> {
    let depth = fleet.connection.depth().await.unwrap();
    let (fresh, backlog) = ((Step::Submit, Lane::Fresh), (Step::Submit, Lane::Backlog));
    BTreeMap::from([
        (fresh, depth.submit_fresh),
        (backlog, depth.submit_backlog),
        ((Step::Transfer, Lane::Backlog), depth.transfer),
        ((Step::Save, Lane::Backlog), depth.save),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn of_each_queue_a_process_has_at_most_one_message_that_it_has_not_begun() {
    const JOBS: u32 = 4;
    let fleet = Fleet::new(quick()).await;
    let queue = fleet.queue().await;
    let directory = tempfile::tempdir().unwrap();
    let publisher = queue.connection.publisher(Ledger::new(State::open(directory.path()).unwrap()));
    let kinds: Vec<_> = ready(&queue).await.into_keys().collect();
    for (number, (step, lane)) in kinds.iter().cycle().take(kinds.len() * JOBS as usize).enumerate() {
        let job = Job { step: *step, lane: *lane, ..job(&format!("A{number}")) };
        publisher.publish(&job).await.unwrap();
    }
    let mut in_work = Vec::new();
    let mut outstanding = BTreeMap::new();
    for _ in 2..kinds.len() * JOBS as usize {
        in_work.push(queue.consumer.next(StepSet::ALL).await.unwrap());
        // What the broker pushes, it pushes at once.
        tokio::time::sleep(Duration::from_millis(50)).await;
        for (kind, ready) in ready(&queue).await {
            let is_of = |taken: &&Delivery| (taken.job.step, taken.job.lane) == kind;
            let begun = in_work.iter().filter(is_of).count() as u64;
            let out = u64::from(JOBS) - ready;
            outstanding.insert(kind, out);
            assert!(out <= begun + 1, "{out} of {kind:?} are out, and {begun} begun");
        }
    }
    assert!(outstanding.values().all(|out| *out > 0), "{outstanding:?}");
}

/// The requests that a worker makes that may have three jobs in hand, one of which submits at a time.
async fn saves_while_submits_wait() -> Fleet {
    let fleet = Fleet::new(quick()).await;
    fleet.bench.set_request_timeout(60);
    fleet.bench.reconfigure("[imatag]\n", "[imatag]\nuploads_in_flight = 1\n");
    fleet
}

#[tokio::test(flavor = "multi_thread")]
async fn submits_that_wait_for_their_place_leave_a_permit_to_later_steps() {
    let fleet = saves_while_submits_wait().await;
    let slow = Rule { skip: 1, ..rule("imatag.submit", None, Action::Delay(Duration::from_mins(5))) };
    fleet.bench.sandbox.set_faults(Faults { seed: 1, rules: vec![slow] });
    for seed in 0..8 {
        fleet.bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap();
    }
    let _worker = fleet.worker_with(&[("CONNECTOR_WORKER__CONCURRENCY", "3".to_owned())]);
    fleet.publish().await.assert_code(0);
    // The first one is submitted; its later steps find the others in the way.
    until(|| fleet.bench.sandbox.audit().assets.iter().any(is_protected)).await;
    assert!(fleet.requests("imatag.submit") >= 2, "nobody was in the way");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_later_steps_leaves_a_permit_to_submits() {
    let fleet = saves_while_submits_wait().await;
    fleet.bench.sandbox.set_faults(slow("bynder.save", Duration::from_mins(5)));
    for seed in 0..4 {
        fleet.bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap();
    }
    let _worker = fleet.worker_with(&[("CONNECTOR_WORKER__CONCURRENCY", "3".to_owned())]);
    fleet.publish().await.assert_code(0);
    // All permits are taken that saves may have.
    until(|| fleet.requests("bynder.save") == 2).await;
    for seed in 4..8 {
        fleet.bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap();
    }
    fleet.publish().await.assert_code(0);
    until(|| fleet.requests("imatag.submit") == 8).await;
    assert_eq!(fleet.requests("bynder.save"), 2);
}
