//! Two jobs of one asset, as a full and a delta run, a restored state or an unconfirmed publish leave them: what one of
//! them may have done, the other does not do again.

use std::time::Duration;

use common::content::Content;
use common::hash::FileFacts;
use common::job::{Effects, Job, Lane, RunId, Step};
use common::marker::Marker;
use common::outcome::Outcome;
use jiff::Timestamp;
use ledger::state::State;
use queue::{EmbeddedQueue, JobPublisher};
use sandbox::faults::{Faults, Moment};
use sandbox::{Options, ViolationKind};

use crate::broker_faults::publish_once_more;
use crate::harness::fleet::Fleet;
use crate::harness::queue_laws::is_free;
use crate::harness::scene::{every, lost_once, slow_once, unavailable};
use crate::harness::{Bench, assert_clean, is_protected, picture, quick, until, until_async};
use crate::modes::copies;
use crate::wires::{bytes, link};

fn job_of(run: &str, id: &str, lane: Lane) -> Job {
    let run = RunId(run.to_owned());
    Job::new(run, id.parse().unwrap(), "one.jpg", lane, 1, None, Timestamp::now())
}

/// Takes the asset in twice, before the program runs.
async fn take_in_twice(bench: &Bench, id: &str) {
    let queue = EmbeddedQueue::open(State::open(&bench.path("state")).unwrap()).await.unwrap();
    for (run, lane) in [("full", Lane::Backlog), ("delta", Lane::Fresh)] {
        queue.publish(&job_of(run, id, lane)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_find_two_jobs_of_one_asset_pay_once_without_any_fault() {
    // The last one takes longer than any request.
    for (watermark_time, timeout) in [(0, 15), (700, 15), (8000, 4)] {
        let watermark_time = Duration::from_millis(watermark_time);
        let bench = Bench::new(Options { watermark_time, ..quick() }).await;
        let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
        bench.configure_imatag(&link(&bench), "");
        bench.set_request_timeout(timeout);
        take_in_twice(&bench, &id).await;
        bench.sync().await.assert_code(0);
        let asset = bench.asset(&id);
        assert_eq!((asset.media, is_protected(&asset)), (1, true), "{watermark_time:?}");
        assert_clean(&bench.sandbox.audit());
        let outcomes = bench.outcomes(&id).await;
        assert_eq!(outcomes, [Outcome::Watermarked { version: 2 }, Outcome::AlreadyProtected]);
    }
}

/// A job that waited while another one protected its asset, on a wire that cannot be asked for the file.
async fn a_job_older_than_the_protection(without: Option<&str>) -> Bench {
    let bench = Bench::new(quick()).await;
    let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    bench.configure_imatag(&link(&bench), "");
    bench.set_request_timeout(15);
    bench.sync().await.assert_code(0);
    {
        let queue = EmbeddedQueue::open(State::open(&bench.path("state")).unwrap()).await.unwrap();
        queue.publish(&job_of("older", &id, Lane::Backlog)).await.unwrap();
    }
    let guards = without.map(|guard| ("CONNECTOR_DISABLED_GUARDS", guard.to_owned()));
    bench.run_with(&["sync", "--full", "--json", "--quiet"], guards.as_slice()).await;
    bench
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_look_before_the_submit_an_old_job_pays_for_a_file_once_more() {
    assert_clean(&a_job_older_than_the_protection(None).await.sandbox.audit());
    let harmed = a_job_older_than_the_protection(Some("LookBeforeSubmit")).await.sandbox.audit().violations;
    assert!(harmed.iter().any(|found| found.kind == ViolationKind::DoneTwice), "{harmed:#?}");
}

/// The answer to one job's request is lost, and what it asked for shows later than another job of the asset comes.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_an_answer_keeps_the_other_job_of_the_asset_waiting() {
    let shown_late =
        Options { shown_when_done: true, watermark_time: Duration::from_millis(1500), ..quick() };
    for (options, faults) in [
        (shown_late, lost_once("imatag.submit")),
        (quick(), slow_once("bynder.save", Duration::from_millis(2500))),
    ] {
        let bench = Bench::new(options).await;
        let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
        bench.sandbox.set_faults(faults.clone());
        take_in_twice(&bench, &id).await;
        bench.sync().await.assert_code(0);
        until(|| !bench.sandbox.is_busy()).await;
        let asset = bench.asset(&id);
        assert_eq!((asset.media, asset.made, is_protected(&asset)), (1, 1, true), "{faults:?}");
        assert_clean(&bench.sandbox.audit());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submit_without_an_answer_keeps_the_other_job_waiting_on_every_worker() {
    let options = Options { shown_when_done: true, watermark_time: Duration::from_millis(1500), ..quick() };
    let fleet = Fleet::new(options).await;
    let id = fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    fleet.bench.sandbox.set_faults(lost_once("imatag.submit"));
    for (run, lane) in [("full", Lane::Backlog), ("delta", Lane::Fresh)] {
        publish_once_more(&fleet, &job_of(run, &id, lane)).await;
    }
    let _workers = [fleet.worker(), fleet.worker()];
    let queue = fleet.queue().await;
    // The depth counts no job that a worker has in hand.
    let is_done =
        async || is_protected(&fleet.bench.asset(&id)) && queue.connection.depth().await.unwrap().open() == 0;
    until_async(is_done).await;
    let asset = fleet.bench.asset(&id);
    assert_eq!((asset.media, asset.made, is_protected(&asset)), (1, 1, true));
    assert_clean(&fleet.bench.sandbox.audit());
}

/// The original's marker, which alone ties it to its copy, shows later than another job of the asset comes to its save.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_makes_no_second_copy_before_the_originals_marker_shows_the_first() {
    let fleet = Fleet::new(Options { modify_lag: Duration::from_secs(2), ..quick() }).await;
    fleet.configure("[output]\nmode = 'copy'\n");
    fleet.bench.reconfigure("index_lag = '50ms'", "index_lag = '3s'");
    let id = fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    let _worker = fleet.worker();
    let done = async |jobs| fleet.worker_logs().matches("outcome=").count() == jobs;
    for (jobs, run) in [(1, "full"), (2, "delta")] {
        publish_once_more(&fleet, &job_of(run, &id, Lane::Backlog)).await;
        until_async(async || done(jobs).await).await;
    }
    assert_eq!((copies(&fleet.bench).len(), fleet.bench.asset(&id).media), (1, 1));
    assert_clean(&fleet.bench.sandbox.audit());
}

/// Until the listing shows the copy, its own job alone knows that there may be one.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_answer_was_lost_keeps_its_asset_from_other_jobs_until_its_own_has_found_it() {
    let fleet = Fleet::new(quick()).await;
    fleet.configure("[output]\nmode = 'copy'\n");
    fleet.bench.set_request_timeout(5);
    fleet.bench.reconfigure("index_lag = '50ms'", "index_lag = '3s'");
    // On a busy machine each of many short waits takes longer than it says.
    fleet.bench.reconfigure("'100ms', '400ms'", "'1s', '1200ms'");
    let id = fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    fleet.bench.sandbox.set_faults(lost_once("bynder.save_new"));
    publish_once_more(&fleet, &job_of("full", &id, Lane::Backlog)).await;
    let _worker = fleet.worker();
    until(|| fleet.requests("bynder.save_new") > 0).await;
    let (queue, asset) = (fleet.queue().await, id.parse().unwrap());
    until_async(async || {
        assert!(!is_free(&queue.locks, &asset, "another").await, "another job gets the asset");
        fleet.worker_logs().contains("outcome=")
    })
    .await;
    assert_eq!(copies(&fleet.bench).len(), 1);
}

/// A process dies while Imatag watermarks, which it does before it answers and before its search shows the medium.
#[tokio::test(flavor = "multi_thread")]
async fn a_submit_is_waited_out_for_as_long_as_it_may_take() {
    let options = Options { shown_when_done: true, watermark_time: Duration::from_secs(4), ..quick() };
    let bench = Bench::new(options).await;
    let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    bench.configure_imatag(&bytes(&bench), "");
    bench.reconfigure("polling.deadline = '1s'", "polling.deadline = '6s'");
    let mut child = bench.spawn(&["sync", "--full", "--json", "--quiet"]);
    until(|| bench.asset(&id).media > 0).await;
    child.kill().await.unwrap();
    bench.sandbox.set_faults(Faults::default());
    bench.sync().await.assert_code(0);
    let asset = bench.asset(&id);
    assert_eq!((asset.media, is_protected(&asset)), (1, true));
    assert_clean(&bench.sandbox.audit());
}

/// A job of this asset that has written the marker that is there, and waits for its import.
fn that_wrote_ahead(id: &str, marker: &str) -> Job {
    let Marker::Ours(records) = Marker::parse(Some(marker)) else { panic!("{marker}") };
    let ahead = *records.iter().next().unwrap();
    let content = Some(Box::new(Content::Other));
    let facts =
        |sha256, bytes| FileFacts { sha256, bytes, media_type: None, pixels: None, content: content.clone() };
    let effects = Effects {
        original: Some(facts(ahead.original, 1)),
        watermarked: Some(facts(ahead.watermarked, ahead.bytes)),
        import_id: Some("theirs".to_owned().try_into().unwrap()),
        marked: Some(ahead),
        ..Effects::default()
    };
    Job { step: Step::Save, effects, ..job_of("other", id, Lane::Fresh) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_takes_no_marker_back_while_another_job_of_the_asset_saves() {
    let fleet = Fleet::new(quick()).await;
    fleet.bench.set_request_timeout(9);
    fleet.bench.reconfigure("request_timeout", "max_attempts = 1\nrequest_timeout");
    let id = fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    fleet.bench.sandbox.set_faults(slow_once("bynder.save", Duration::from_secs(8)));
    let _worker = fleet.worker();
    fleet.publish().await.assert_code(0);
    until(|| fleet.requests("bynder.save") > 0).await;
    let polls = fleet.requests("bynder.poll");
    fleet.bench.sandbox.set_faults(every("bynder.poll", Moment::Before, unavailable()));
    let marker = fleet.bench.asset(&id).marker.unwrap();
    publish_once_more(&fleet, &that_wrote_ahead(&id, &marker)).await;
    until(|| fleet.requests("bynder.poll") > polls).await;
    assert_eq!(fleet.bench.asset(&id).made, 0, "the save was over; this proves nothing");
    let queue = fleet.queue().await;
    let is_done =
        async || fleet.bench.asset(&id).made > 0 && queue.connection.depth().await.unwrap().open() == 0;
    until_async(is_done).await;
    fleet.bench.until_listed().await;
    assert!(is_protected(&fleet.bench.asset(&id)));
    assert_clean(&fleet.bench.sandbox.audit());
}
