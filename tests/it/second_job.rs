//! Two jobs of one asset, as a full and a delta run, a restored state or an unconfirmed publish leave them: what one of
//! them may have done, the other does not do again.

use std::time::Duration;

use common::config::Span;
use common::job::{Job, Lane, RunId};
use common::outcome::Outcome;
use common::queue::{EmbeddedQueue, JobQueue};
use common::state::State;
use jiff::Timestamp;
use sandbox::faults::{Action, Faults, Rule};
use sandbox::{Options, ViolationKind};

use crate::broker_faults::publish_once_more;
use crate::harness::fleet::Fleet;
use crate::harness::scene::{lost_once, rule, slow_once, unavailable};
use crate::harness::{Bench, assert_clean, is_protected, picture, quick, until, until_async};
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
    for watermark_time in [Duration::ZERO, Duration::from_millis(700)] {
        let bench = Bench::new(Options { watermark_time, ..quick() }).await;
        let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
        bench.configure_imatag(&link(&bench), "");
        bench.set_request_timeout(15);
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
    let is_done = async || is_protected(&fleet.bench.asset(&id)) && queue.depth().await.unwrap().open() == 0;
    until_async(is_done).await;
    let asset = fleet.bench.asset(&id);
    assert_eq!((asset.media, asset.made, is_protected(&asset)), (1, 1, true));
    assert_clean(&fleet.bench.sandbox.audit());
}

/// A process dies while Imatag watermarks, which it does before it answers and before its search shows the medium.
#[tokio::test(flavor = "multi_thread")]
async fn a_submit_is_outwaited_for_as_long_as_it_may_take() {
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

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_takes_no_marker_back_while_another_job_of_the_asset_saves() {
    let bench = Bench::new(Options { conversion_time: Duration::ZERO, ..quick() }).await;
    bench.set_request_timeout(15);
    bench.reconfigure("request_timeout", "max_attempts = 1\nrequest_timeout");
    let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    // One job saves, and takes long; the other one fails meanwhile, having written the same record.
    let slow = rule("bynder.save", Some(1), Action::Delay(Span(Duration::from_secs(4))));
    let failing = Rule { skip: 1, ..rule("bynder.poll", Some(1), unavailable()) };
    bench.sandbox.set_faults(Faults { seed: 1, rules: vec![slow, failing] });
    take_in_twice(&bench, &id).await;
    bench.sync().await.assert_code(0);
    let asset = bench.asset(&id);
    assert_eq!((asset.media, asset.made, is_protected(&asset)), (1, 1, true));
    assert_clean(&bench.sandbox.audit());
    let outcomes = bench.outcomes(&id).await;
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Watermarked { version: 2 }), "{outcomes:?}");
}
