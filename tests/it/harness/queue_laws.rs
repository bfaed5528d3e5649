//! What every job queue must do: one suite, run against each implementation.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use common::asset::AssetId;
use common::job::{Job, JobId, Lane, RunId, Step};
use common::outcome::{Failure, FailureClass, Outcome};
use jiff::Timestamp;
use queue::{
    Attempt, Delivery, FailedFilter, FailedJobs, JobConsumer, JobPublisher, Lease, Left, Lockout, Locks,
    Settlement, StepSet,
};
use rand::{RngExt, SeedableRng};

/// No law needs longer than this; a queue that keeps a job to itself fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(20);

/// A queue in all its roles.
#[derive(Clone)]
pub(crate) struct Queue {
    pub(crate) publisher: Arc<dyn JobPublisher>,
    pub(crate) consumer: Arc<dyn JobConsumer>,
    pub(crate) failed_jobs: Arc<dyn FailedJobs>,
    pub(crate) locks: Arc<dyn Locks>,
}

/// Makes queues to test.
#[async_trait]
pub(crate) trait Harness: Send + Sync {
    /// A new, empty queue.
    async fn open(&self) -> Queue;
    /// The same queue as another process finds it after this one was killed.
    async fn crash_and_reopen(&self, queue: Queue) -> Queue;
}

/// Checks every law; panics at the first that is broken.
pub(crate) async fn check_all(harness: &dyn Harness) {
    later_steps_come_first_and_fresh_before_backlog(harness).await;
    a_wait_is_kept_and_ends_at_the_same_step(harness).await;
    a_crash_brings_back_what_was_in_flight_as_redelivered(harness).await;
    a_dropped_delivery_comes_back_as_redelivered(harness).await;
    a_settled_delivery_survives_a_crash(harness).await;
    publishing_twice_is_publishing_once(harness).await;
    a_renewed_delivery_is_one_delivery(harness).await;
    a_consumer_gets_only_what_it_asks_for(harness).await;
    a_cancelled_next_loses_nothing_and_spoils_nothing(harness).await;
    failed_jobs_are_listed_replayed_and_discarded(harness).await;
    a_lease_excludes_until_it_is_ended(harness).await;
    what_a_lease_leaves_keeps_the_asset_from_those_it_is_meant_for_and_ends(harness).await;
    every_job_ends_exactly_once_under_random_settlements(harness).await;
}

fn job(number: u32, lane: Lane) -> Job {
    let asset = format!("ASSET-{number}").parse().unwrap_or_else(|error| panic!("{error}"));
    Job::new(RunId("run".to_owned()), asset, "name", lane, 1, None, Timestamp::now())
}

fn at_step(job: &Job, step: Step) -> Box<Job> {
    Box::new(Job { step, ..job.clone() })
}

async fn next(queue: &Queue) -> Delivery {
    let taken = tokio::time::timeout(PATIENCE, queue.consumer.next(StepSet::ALL)).await;
    taken.unwrap_or_else(|_| panic!("no job came")).unwrap_or_else(|error| panic!("{error}"))
}

async fn settle(queue: &Queue, delivery: Delivery, settlement: Settlement) {
    queue.consumer.settle(delivery, settlement).await.unwrap_or_else(|error| panic!("{error}"));
}

async fn publish(queue: &Queue, job: &Job) {
    queue.publisher.publish(job).await.unwrap_or_else(|error| panic!("{error}"));
}

fn finish(job: &Job) -> Settlement {
    Settlement::Finish(Box::new(job.ended(Outcome::AlreadyProtected, Timestamp::now())))
}

fn fail(job: &Job) -> Settlement {
    let failure = Failure { class: FailureClass::Refused, reason: "no".into(), request_id: None };
    let event = Box::new(job.ended(Outcome::Failed(failure), Timestamp::now()));
    Settlement::Fail { job: Box::new(job.clone()), event }
}

async fn later_steps_come_first_and_fresh_before_backlog(harness: &dyn Harness) {
    let queue = harness.open().await;
    let (old, new, late) = (job(1, Lane::Backlog), job(2, Lane::Fresh), job(3, Lane::Fresh));
    publish(&queue, &late).await;
    let delivery = next(&queue).await;
    settle(&queue, delivery, Settlement::Forward(at_step(&late, Step::Save))).await;
    publish(&queue, &old).await;
    publish(&queue, &new).await;
    for expected in [&late, &new, &old] {
        let delivery = next(&queue).await;
        assert_eq!(delivery.job.job_id, expected.job_id);
        let settlement = finish(&delivery.job);
        settle(&queue, delivery, settlement).await;
    }
}

async fn a_wait_is_kept_and_ends_at_the_same_step(harness: &dyn Harness) {
    let queue = harness.open().await;
    publish(&queue, &job(1, Lane::Fresh)).await;
    let delivery = next(&queue).await;
    let rung = Duration::from_millis(300);
    let waiting = at_step(&delivery.job, Step::Transfer);
    let before = std::time::Instant::now();
    settle(&queue, delivery, Settlement::Wait { job: waiting, rung }).await;
    let again = next(&queue).await;
    assert!(before.elapsed() >= rung, "it came back after {:?}", before.elapsed());
    assert_eq!((again.job.step, again.redelivered), (Step::Transfer, false));
    let settlement = finish(&again.job);
    settle(&queue, again, settlement).await;
}

async fn a_crash_brings_back_what_was_in_flight_as_redelivered(harness: &dyn Harness) {
    let queue = harness.open().await;
    publish(&queue, &job(1, Lane::Fresh)).await;
    // A killed process runs no destructors.
    std::mem::forget(next(&queue).await);
    let queue = harness.crash_and_reopen(queue).await;
    let again = next(&queue).await;
    assert!(again.redelivered, "{again:?}");
    let settlement = finish(&again.job);
    settle(&queue, again, settlement).await;
}

async fn a_dropped_delivery_comes_back_as_redelivered(harness: &dyn Harness) {
    let queue = harness.open().await;
    publish(&queue, &job(1, Lane::Fresh)).await;
    drop(next(&queue).await);
    let again = next(&queue).await;
    assert!(again.redelivered);
    let settlement = finish(&again.job);
    settle(&queue, again, settlement).await;
}

async fn a_settled_delivery_survives_a_crash(harness: &dyn Harness) {
    let queue = harness.open().await;
    publish(&queue, &job(1, Lane::Fresh)).await;
    let delivery = next(&queue).await;
    let mut forward = at_step(&delivery.job, Step::Transfer);
    forward.unknown.insert("of_a_later_release".to_owned(), 7.into());
    settle(&queue, delivery, Settlement::Forward(forward.clone())).await;
    let queue = harness.crash_and_reopen(queue).await;
    let again = next(&queue).await;
    assert_eq!(again.job, *forward);
    let settlement = finish(&again.job);
    settle(&queue, again, settlement).await;
}

async fn a_renewed_delivery_is_one_delivery(harness: &dyn Harness) {
    let queue = harness.open().await;
    publish(&queue, &job(1, Lane::Fresh)).await;
    let first = next(&queue).await;
    let renewed = queue.consumer.renew(first).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(!renewed.is_void());
    assert_eq!(queue.publisher.depth().await.map_or(u64::MAX, |depth| depth.open()), 1);
    let settlement = finish(&renewed.job);
    settle(&queue, renewed, settlement).await;
    assert_eq!(queue.publisher.depth().await.map_or(u64::MAX, |depth| depth.open()), 0);
}

async fn publishing_twice_is_publishing_once(harness: &dyn Harness) {
    let queue = harness.open().await;
    let job = job(1, Lane::Fresh);
    publish(&queue, &job).await;
    publish(&queue, &job).await;
    let delivery = next(&queue).await;
    let settlement = finish(&delivery.job);
    settle(&queue, delivery, settlement).await;
    publish(&queue, &job).await;
    assert_eq!(queue.publisher.depth().await.map_or(u64::MAX, |depth| depth.open()), 0);
}

async fn a_consumer_gets_only_what_it_asks_for(harness: &dyn Harness) {
    let queue = harness.open().await;
    publish(&queue, &job(1, Lane::Backlog)).await;
    publish(&queue, &job(2, Lane::Fresh)).await;
    let delivery = next(&queue).await;
    settle(&queue, delivery, Settlement::Forward(at_step(&job(2, Lane::Fresh), Step::Transfer))).await;
    let brief = Duration::from_millis(200);
    for steps in [StepSet::ALL.without(StepSet::ALL), StepSet::SUBMIT.without(StepSet::SUBMIT_BACKLOG)] {
        let taken = tokio::time::timeout(brief, queue.consumer.next(steps)).await;
        assert!(taken.is_err(), "{steps:?}: {taken:?}");
    }
    let taken = tokio::time::timeout(PATIENCE, queue.consumer.next(StepSet::SUBMIT)).await;
    assert!(matches!(taken, Ok(Ok(delivery)) if delivery.job.lane == Lane::Backlog));
}

async fn a_cancelled_next_loses_nothing_and_spoils_nothing(harness: &dyn Harness) {
    let queue = harness.open().await;
    for number in 0..20 {
        publish(&queue, &job(number, Lane::Fresh)).await;
    }
    let mut found = 0;
    for round in 0_u64.. {
        if found == 20 {
            break;
        }
        assert!(round < 5000, "only {found} of 20 jobs came");
        let patience = Duration::from_micros(round * 37 % 3000);
        if let Ok(Ok(delivery)) = tokio::time::timeout(patience, queue.consumer.next(StepSet::ALL)).await {
            assert!(!delivery.redelivered, "nobody received it before");
            let settlement = finish(&delivery.job);
            settle(&queue, delivery, settlement).await;
            found += 1;
        }
    }
}

async fn failed_jobs_are_listed_replayed_and_discarded(harness: &dyn Harness) {
    let queue = harness.open().await;
    for number in 0..2 {
        publish(&queue, &job(number, Lane::Fresh)).await;
        let delivery = next(&queue).await;
        let settlement = fail(&Job { attempt: 5, ..delivery.job.clone() });
        settle(&queue, delivery, settlement).await;
    }
    let all = queue.failed_jobs.list(&FailedFilter::default()).await.unwrap_or_default();
    assert_eq!(all.len(), 2);
    let only = FailedFilter { asset: Some(job(1, Lane::Fresh).asset_id), ..FailedFilter::default() };
    assert_eq!(queue.failed_jobs.list(&only).await.unwrap_or_default().len(), 1);
    let other_class = FailedFilter { class: Some(FailureClass::Local), ..FailedFilter::default() };
    assert_eq!(queue.failed_jobs.list(&other_class).await.unwrap_or_default().len(), 0);
    let id = &all[0].event.job_id;
    let only = FailedFilter { job: Some(id.clone()), ..FailedFilter::default() };
    let only = queue.failed_jobs.select(&only, &|_| ()).await.unwrap_or_default();
    assert_eq!(only.keys().collect::<Vec<_>>(), [id]);
    assert!(matches!(queue.failed_jobs.replay(&only, &|_| ()).await, Ok(1)));
    assert!(matches!(queue.failed_jobs.replay(&only, &|_| ()).await, Ok(0)));
    let again = next(&queue).await;
    assert_eq!((&again.job.job_id, again.job.attempt, again.job.suspect), (id, 0, true));
    let settlement = finish(&again.job);
    settle(&queue, again, settlement).await;
    assert!(matches!(queue.failed_jobs.discard(&HashSet::from([all[1].event.job_id.clone()])).await, Ok(1)));
    assert_eq!(queue.failed_jobs.list(&FailedFilter::default()).await.unwrap_or_default().len(), 0);
}

/// Takes a lease in the name of a job.
pub(crate) async fn lease(locks: &dyn Locks, asset: &AssetId, job: &str, doubt: &[Lockout]) -> Option<Lease> {
    match locks.lease(asset, &JobId(job.to_owned()), doubt.to_vec()).await {
        Ok(Attempt::Taken(lease)) => Some(lease),
        Ok(Attempt::Refused | Attempt::Busy) | Err(_) => None,
    }
}

/// Whether a job could have the asset right now.
pub(crate) async fn is_free(locks: &dyn Locks, asset: &AssetId, job: &str) -> bool {
    lease(locks, asset, job, &[]).await.map(|lease| lease.end(Left::AsFound)).is_some()
}

/// Waits until a job could have the asset.
async fn until_free(locks: &dyn Locks, asset: &AssetId, job: &str) {
    let free = async { while !is_free(locks, asset, job).await {} };
    assert!(tokio::time::timeout(PATIENCE, free).await.is_ok(), "{asset} stays taken from {job}");
}

async fn a_lease_excludes_until_it_is_ended(harness: &dyn Harness) {
    let queue = harness.open().await;
    let locks = queue.locks.as_ref();
    let (asset, other) = (job(1, Lane::Fresh).asset_id, job(2, Lane::Fresh).asset_id);
    let held = lease(locks, &asset, "one", &[]).await.unwrap_or_else(|| panic!("it is refused"));
    assert!(!is_free(locks, &asset, "one").await && !is_free(locks, &asset, "two").await);
    assert!(is_free(locks, &other, "one").await);
    held.end(Left::Nothing);
    assert!(is_free(locks, &asset, "two").await, "a lease that was ended stays taken");
}

/// Long enough for a busy machine to see it, and short enough to see it end.
const A_WHILE: Duration = Duration::from_secs(2);

async fn what_a_lease_leaves_keeps_the_asset_from_those_it_is_meant_for_and_ends(harness: &dyn Harness) {
    let queue = harness.open().await;
    let locks = queue.locks.as_ref();
    let asset = job(1, Lane::Fresh).asset_id;
    let own = Lockout::for_job(A_WHILE * 100, &JobId("one".to_owned()));
    let doubt = [Lockout::from_all(A_WHILE), own.clone()];
    drop(lease(locks, &asset, "one", &doubt).await.unwrap_or_else(|| panic!("it is refused")));
    assert!(!is_free(locks, &asset, "one").await && !is_free(locks, &asset, "two").await);
    until_free(locks, &asset, "one").await;
    assert!(!is_free(locks, &asset, "two").await, "it is kept for the other");
    let held = lease(locks, &asset, "one", &[]).await.unwrap_or_else(|| panic!("it is its own"));
    held.end(Left::Lockout(own));
    assert!(!is_free(locks, &asset, "two").await);
    let held = lease(locks, &asset, "one", &[]).await.unwrap_or_else(|| panic!("it is its own"));
    held.end(Left::Lockout(Lockout::from_all(A_WHILE)));
    assert!(!is_free(locks, &asset, "one").await);
    until_free(locks, &asset, "two").await;
}

/// Three consumers, random settlements, dropped deliveries: each job has one outcome, and nothing is left.
async fn every_job_ends_exactly_once_under_random_settlements(harness: &dyn Harness) {
    const JOBS: u32 = 300;
    let queue = harness.open().await;
    for number in 0..JOBS {
        publish(&queue, &job(number, if number % 3 == 0 { Lane::Fresh } else { Lane::Backlog })).await;
    }
    let open = AtomicU32::new(JOBS);
    let consumers = (0..3).map(|seed| {
        let (queue, open) = (queue.clone(), &open);
        async move {
            let mut random = rand::rngs::StdRng::seed_from_u64(seed);
            let mut ended = Vec::new();
            while open.load(Ordering::SeqCst) > 0 {
                let taken =
                    tokio::time::timeout(Duration::from_millis(50), queue.consumer.next(StepSet::ALL)).await;
                let Ok(Ok(delivery)) = taken else { continue };
                let job = delivery.job.clone();
                let settlement = match random.random_range(0..6) {
                    0 => continue,
                    1 => Settlement::Forward(at_step(&job, Step::Transfer)),
                    2 => Settlement::Wait { job: at_step(&job, Step::Save), rung: Duration::from_millis(5) },
                    3 => fail(&job),
                    _ => finish(&job),
                };
                let ends = matches!(settlement, Settlement::Finish(_) | Settlement::Fail { .. });
                settle(&queue, delivery, settlement).await;
                if ends {
                    ended.push(job.job_id);
                    open.fetch_sub(1, Ordering::SeqCst);
                }
            }
            ended
        }
    });
    let ended = tokio::time::timeout(PATIENCE * 9, futures::future::join_all(consumers)).await;
    let ended = ended.unwrap_or_else(|_| panic!("the jobs do not come to an end")).concat();
    let mut times: HashMap<_, u32> = HashMap::new();
    for id in ended {
        *times.entry(id).or_default() += 1;
    }
    assert_eq!(queue.publisher.depth().await.map_or(u64::MAX, |depth| depth.open()), 0);
    assert_eq!(times.len(), JOBS as usize);
    assert!(times.values().all(|count| *count == 1));
}
