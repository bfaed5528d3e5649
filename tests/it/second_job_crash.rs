//! A worker dies while its asset has a second job, where the watermarked file goes elsewhere than into a version. The same
//! for versions, and on the queue of one machine, is in `crash.rs`.

use std::collections::BTreeSet;
use std::time::Duration;

use common::job::Lane;
use futures::StreamExt;
use nix::sys::signal::Signal;
use queue::{Depth, JobConsumer, StepSet};
use sandbox::Options;
use tokio::process::Child;

use crate::broker_faults::publish_once_more;
use crate::harness::fleet::{Fleet, FleetQueue, signal};
use crate::harness::scene::slow_once;
use crate::harness::{
    assert_clean, is_protected, job_of, picture, quick, saved_versions, until, until_async,
};
use crate::wires::link;

/// When the second job comes.
#[derive(Debug, Clone, Copy)]
enum Second {
    /// With the first one, and another worker is there to take it.
    Along,
    /// Once the worker of the first one is dead.
    After,
}

async fn fleet_in(mode: &str, seed: u64) -> (Fleet, String) {
    let fleet = Fleet::new(quick()).await;
    fleet.configure(&format!("[output]\nmode = '{mode}'\n"));
    let id = fleet.bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap();
    publish_once_more(&fleet, &job_of("full", &id, Lane::Backlog)).await;
    (fleet, id)
}

/// Whether no job is left but in a worker's hand.
async fn is_empty(queue: &FleetQueue) -> bool {
    Depth { failed: 0, ..queue.connection.depth().await.unwrap() } == Depth::default()
}

/// The jobs that a worker says have ended.
fn ended(fleet: &Fleet) -> BTreeSet<String> {
    let logs = fleet.worker_logs();
    let ended = logs.lines().filter(|line| line.contains(" done ") || line.contains(" failed "));
    ended.filter_map(|line| line.split_once("job_id=")?.1.get(..32)).map(ToOwned::to_owned).collect()
}

async fn until_ended(fleet: &Fleet, queue: &FleetQueue, jobs: usize) {
    // A loop of its own: a task that is spawned cannot hold what `until_async` does.
    while ended(fleet).len() < jobs || !is_empty(queue).await {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Lets workers take turns until no job is left, in hand or in a queue.
async fn until_over(fleet: &Fleet, queue: &FleetQueue, mut living: Option<Child>) {
    loop {
        let mut worker = living.take().unwrap_or_else(|| fleet.worker());
        let patience = Duration::from_mins(1);
        let done = tokio::time::timeout(patience, until_ended(fleet, queue, 2)).await;
        assert!(done.is_ok(), "it never ends: {}", fleet.worker_logs());
        signal(&worker, Signal::SIGTERM);
        worker.wait().await.unwrap();
        if is_empty(queue).await {
            return;
        }
    }
}

async fn die_at(mode: &'static str, second: Second, point: u64) {
    let (fleet, id) = fleet_in(mode, point).await;
    let other = job_of("delta", &id, Lane::Fresh);
    let mut doomed = fleet.worker_with(&[("CONNECTOR_CRASH_AT", point.to_string())]);
    let (mut jobs, mut living) = (1, None);
    if let Second::Along = second {
        publish_once_more(&fleet, &other).await;
        (jobs, living) = (2, Some(fleet.worker()));
    }
    let queue = fleet.queue().await;
    // How often a service is asked differs from time to time, so the last points may not come.
    tokio::select! {
        died = doomed.wait() => assert_eq!(died.unwrap().code(), None, "at {point}"),
        () = until_ended(&fleet, &queue, jobs) => {}
    }
    if let Second::After = second {
        publish_once_more(&fleet, &other).await;
    }
    until_over(&fleet, &queue, living).await;
    let (asset, at) = (fleet.bench.asset(&id), format!("{mode}, {second:?}, dying at {point}"));
    let violations = fleet.bench.sandbox.audit().violations;
    assert!(violations.is_empty(), "{at}: {violations:#?} {}", fleet.worker_logs());
    let done = (saved_versions(&asset), asset.media, is_protected(&asset));
    assert_eq!(done, (1, 1, true), "{at}: {asset:#?}");
    assert!(fleet.failed().await.is_empty(), "{at}");
}

/// The places after each effect of the submit, and of everything from the settlement of the transfer on.
async fn crash_points(mode: &str) -> Vec<u64> {
    let (fleet, _) = fleet_in(mode, 0).await;
    let count = fleet.bench.path("count");
    let _worker = fleet.worker_with(&[("CONNECTOR_CRASH_COUNT", count.display().to_string())]);
    until(|| fleet.worker_logs().contains("done")).await;
    until(|| std::fs::read_to_string(&count).unwrap().ends_with("settle.acknowledged\n")).await;
    let passed = std::fs::read_to_string(count).unwrap();
    let places: Vec<_> = passed.lines().map(|line| line.split_once(' ').unwrap().1).collect();
    let settled: Vec<_> = (0..places.len()).filter(|index| places[*index] == "settle.before").collect();
    let [submitted, transferred, ..] = settled.as_slice() else { panic!("{passed}") };
    let matters = |index: &usize| (submitted - 1..submitted + 2).contains(index) || *index >= *transferred;
    let after =
        (0..places.len()).filter(|index| ["http.after", "settle.published"].contains(&places[*index]));
    after.filter(matters).map(|index| index as u64 + 1).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_any_effect_while_the_asset_has_a_second_job_its_file_is_put_in_its_place_once() {
    for mode in ["copy", "additional"] {
        let points = crash_points(mode).await;
        assert!(points.len() > 6, "only {points:?} in the mode {mode}");
        let cases =
            points.iter().flat_map(|point| [Second::Along, Second::After].map(|second| (second, *point)));
        let deaths =
            futures::stream::iter(cases).map(|(second, point)| tokio::spawn(die_at(mode, second, point)));
        let ended: Vec<_> = deaths.buffer_unordered(6).collect().await;
        ended.into_iter().for_each(Result::unwrap);
    }
}

/// What becomes of the job of a worker that died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heir {
    /// A worker takes it.
    Takes,
    /// A worker takes it and is stopped.
    TakesAndStops,
    /// No worker takes it for a while.
    Delays,
}

/// The dead worker's save lands once another job of the asset is at work.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_worker_asked_for_is_awaited_by_another_job_of_the_asset_whoever_gets_the_dead_ones() {
    for (mode, save, heir) in [
        ("version", "bynder.save", Heir::Takes),
        ("version", "bynder.save", Heir::Delays),
        ("copy", "bynder.save_new", Heir::Delays),
        ("copy", "bynder.save_new", Heir::TakesAndStops),
    ] {
        let (fleet, id) = fleet_in(mode, 1).await;
        fleet.bench.set_request_timeout(9);
        fleet.bench.sandbox.set_faults(slow_once(save, Duration::from_secs(8)));
        let mut doomed = fleet.worker();
        until(|| fleet.requests(save) > 0).await;
        doomed.kill().await.unwrap();
        let queue = fleet.queue().await;
        let mut kept_back = None;
        match heir {
            Heir::Takes => {}
            Heir::TakesAndStops => {
                let mut heir = fleet.worker();
                until_async(async || queue.connection.depth().await.unwrap().waiting > 0).await;
                signal(&heir, Signal::SIGTERM);
                heir.wait().await.unwrap();
            }
            Heir::Delays => kept_back = Some(queue.consumer.next(StepSet::ALL).await.unwrap()),
        }
        publish_once_more(&fleet, &job_of("delta", &id, Lane::Fresh)).await;
        let _worker = fleet.worker();
        until(|| fleet.worker_logs().contains("outcome=")).await;
        drop(kept_back);
        until(|| !fleet.bench.sandbox.is_busy()).await;
        assert_eq!(fleet.bench.asset(&id).made, 1, "{mode} {heir:?}");
        assert_clean(&fleet.bench.sandbox.audit());
    }
}

/// Imatag cannot be asked for the file, and the worker that paid for it is gone.
#[tokio::test(flavor = "multi_thread")]
async fn without_find_another_job_waits_for_the_one_that_paid_whoever_has_it() {
    let fleet = Fleet::new(Options { watermark_time: Duration::from_secs(8), ..quick() }).await;
    let id = fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    fleet.configure_imatag(&link(&fleet.bench));
    fleet.bench.set_request_timeout(4);
    publish_once_more(&fleet, &job_of("full", &id, Lane::Backlog)).await;
    let mut doomed = fleet.worker();
    until(|| fleet.bench.asset(&id).media == 1).await;
    let queue = fleet.queue().await;
    until_async(async || queue.connection.depth().await.unwrap().waiting > 0).await;
    doomed.kill().await.unwrap();
    publish_once_more(&fleet, &job_of("delta", &id, Lane::Fresh)).await;
    let _workers = [fleet.worker(), fleet.worker()];
    let done = tokio::time::timeout(Duration::from_mins(2), until_ended(&fleet, &queue, 2)).await;
    assert!(done.is_ok(), "it never ends: {}", fleet.worker_logs());
    let asset = fleet.bench.asset(&id);
    assert_eq!((asset.media, asset.made, is_protected(&asset)), (1, 1, true));
    assert_clean(&fleet.bench.sandbox.audit());
}
