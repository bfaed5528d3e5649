//! Nothing stands still: jobs that fail for reasons of their own end, whatever else is in the queue; an outage fails none.

use std::time::{Duration, Instant};

use common::outcome::{FailureClass, Outcome};
use nix::sys::signal::Signal;
use sandbox::faults::{Action, Faults, Moment, Rule};
use sandbox::{Edit, NewAsset, NewFile};

use crate::harness::broker::free_ports;
use crate::harness::fleet::{Fleet, ended, signal};
use crate::harness::scene::{every, rule};
use crate::harness::scrape::Scrape;
use crate::harness::{Bench, assert_clean, is_protected, picture, quick, until, until_async};

/// Assets that the token may not download, and some over whose files Imatag breaks down each time.
fn failing(bench: &Bench) -> (Vec<String>, Vec<String>) {
    let add = |asset: NewAsset| bench.sandbox.add_asset(asset).unwrap();
    let refused = (0..8).map(|seed| add(NewAsset { refuses_download: true, ..picture("refused.jpg", seed) }));
    let refused = refused.collect();
    let broken = (8..14).map(|seed| add(NewAsset { breaks_imatag: true, ..picture("broken.jpg", seed) }));
    (refused, broken.collect())
}

async fn assert_all_failed(bench: &Bench, (refused, broken): &(Vec<String>, Vec<String>)) {
    for (ids, class) in [(refused, FailureClass::Permission), (broken, FailureClass::Exhausted)] {
        for id in ids {
            let Some(Outcome::Failed(failure)) = bench.outcome(id).await else { panic!("{id} is open") };
            assert_eq!(failure.class, class, "{failure:?}");
        }
    }
    assert_clean(&bench.sandbox.audit());
}

/// A file that never stands still and takes for ever.
fn trickling(times: Option<u64>) -> Faults {
    trickling_from("s3.file", times)
}

fn trickling_from(endpoint: &str, times: Option<u64>) -> Faults {
    let trickle = Action::Trickle(Duration::from_millis(200));
    Faults { seed: 1, rules: vec![Rule { moment: Moment::After, ..rule(endpoint, times, trickle) }] }
}

async fn bench_with_deadline(seconds: u64) -> Bench {
    let bench = Bench::new(quick()).await;
    bench.configure("[reader]\ndeadline = '1s'\n");
    bench.reconfigure("[worker]", &format!("[worker]\nstep_deadline = '{seconds}s'"));
    bench
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_goes_on_for_ever_is_ended_at_its_deadline_and_the_job_fails_at_the_second_time() {
    let bench = bench_with_deadline(2).await;
    let id = bench.sandbox.add_asset(picture("slow.jpg", 1)).unwrap();
    bench.sandbox.set_faults(trickling(None));
    bench.sync().await.assert_code(6);
    let Some(Outcome::Failed(failure)) = bench.outcome(&id).await else { panic!("{id} is open") };
    assert_eq!(failure.class, FailureClass::Exhausted);
    let said = "given up after 2 attempts: the step took longer than 2s (worker.step_deadline)";
    assert!(failure.reason.contains(said), "{failure:?}");
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_at_a_stop_however_slowly_the_portal_answers() {
    let fleet = Fleet::new(quick()).await;
    let bench = &fleet.bench;
    bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    for (endpoint, arguments) in [
        ("bynder.list", ["sync", "--full"]),
        ("bynder.metaproperties", ["sync", "--full"]),
        ("bynder.list", ["plan", "--full"]),
    ] {
        let requests = || bench.sandbox.stats().requests.get(endpoint).copied().unwrap_or_default();
        let before = requests();
        bench.sandbox.set_faults(trickling_from(endpoint, None));
        let running = fleet.producer_with(&arguments, &[]);
        until(|| requests() > before).await;
        let stopped = Instant::now();
        signal(&running, Signal::SIGTERM);
        let ran = ended(running).await;
        ran.assert_code(5);
        // An answer takes at least half a minute.
        assert!(stopped.elapsed() < Duration::from_secs(15), "{endpoint} {arguments:?}: {ran:#?}");
        assert!(ran.talk.contains("stopped; the next run resumes"), "{ran:#?}");
    }
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_whose_result_keeps_coming_ends_at_the_deadline_of_a_step() {
    let bench = bench_with_deadline(2).await;
    let sample = bench.path("sample.jpg").display().to_string();
    std::fs::write(&sample, sample_files::file(sample_files::Format::Jpeg, 7, 64, 48)).unwrap();
    bench.sandbox.set_faults(trickling_from("imatag.storage", None));
    let tried = bench.run(&["trial", &sample, "--yes"]).await;
    assert!(tried.assert_code(5).talk.contains("within 2s (worker.step_deadline)"), "{tried:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_was_ended_at_its_deadline_is_done_once_when_it_is_tried_again() {
    let bench = bench_with_deadline(6).await;
    for seed in 0..4 {
        bench.sandbox.add_asset(picture("slow.jpg", seed)).unwrap();
    }
    bench.sandbox.set_faults(trickling(Some(3)));
    bench.sync().await.assert_code(0);
    bench.assert_ended_as_planted().await;
}

const QUICK_RUNGS: &str = "rungs = ['50ms', '100ms', '200ms', '1500ms']";

#[tokio::test(flavor = "multi_thread")]
async fn assets_that_fail_for_reasons_of_their_own_end_as_failed_alone_in_a_sync() {
    let bench = Bench::new(quick()).await;
    bench.configure("");
    bench.reconfigure("rungs = ['100ms', '400ms', '1500ms', '2s']", QUICK_RUNGS);
    let failing = failing(&bench);
    bench.sync().await.assert_code(6);
    assert_all_failed(&bench, &failing).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_that_fail_for_reasons_of_their_own_end_as_failed_alone_in_a_fleet_and_no_service_counts_as_out()
 {
    let fleet = Fleet::new(quick()).await;
    fleet.bench.reconfigure("rungs = ['100ms', '400ms', '1500ms', '2s']", QUICK_RUNGS);
    let failing = failing(&fleet.bench);
    let [port] = free_ports();
    let _worker = fleet.worker_with(&[("CONNECTOR_HTTP__LISTEN", format!("127.0.0.1:{port}"))]);
    fleet.sync().await.assert_code(6);
    assert_all_failed(&fleet.bench, &failing).await;
    let scrape = Scrape::of(port).await;
    for service in ["bynder", "imatag", "machine"] {
        let sample = format!("connector_breaker_open{{service=\"{service}\"}} 0");
        assert!(scrape.text.contains(&sample), "{service} counts as out");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_file_may_be_read_the_intake_stops_and_goes_on_once_the_right_is_there() {
    let bench = Bench::new(quick()).await;
    bench.configure("");
    let ids: Vec<_> = (0..130)
        .map(|seed| NewAsset { refuses_download: true, ..picture("refused.jpg", seed) })
        .map(|asset| bench.sandbox.add_asset(asset).unwrap())
        .collect();
    // It ends by itself, since nobody can mend the role here, and names what is missing.
    let ran = bench.sync().await;
    ran.assert_code(4);
    assert!(ran.talk.contains("role"), "{}", ran.talk);
    let mut open = Vec::new();
    for id in &ids {
        if bench.outcome(id).await.is_none() {
            open.push(id);
        }
    }
    assert!(open.len() >= 30, "{} of 130 failed", 130 - open.len());
    for id in &ids {
        bench.sandbox.edit(id, Edit { refuses_download: Some(false), ..Edit::default() }).unwrap();
    }
    bench.sync().await;
    for id in open {
        assert!(is_protected(&bench.asset(id)), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_imatag_fails_no_job_and_a_call_without_an_asset_finds_its_end() {
    let fleet = Fleet::new(quick()).await;
    let ids: Vec<_> =
        (0..12).map(|seed| fleet.bench.sandbox.add_asset(picture("a.jpg", seed)).unwrap()).collect();
    let out = Action::Answer { status: 503, body: String::new(), content_type: "text/html".to_owned() };
    fleet.bench.sandbox.set_faults(every("imatag*", Moment::Before, out));
    let [port] = free_ports();
    let _worker = fleet.worker_with(&[("CONNECTOR_HTTP__LISTEN", format!("127.0.0.1:{port}"))]);
    fleet.publish().await.assert_code(0);
    let is_out =
        async || Scrape::of(port).await.text.contains("connector_breaker_open{service=\"imatag\"} 1");
    until_async(is_out).await;
    fleet.bench.sandbox.set_faults(sandbox::faults::Faults::default());
    fleet.sync_until_recorded().await;
    for id in &ids {
        assert!(is_protected(&fleet.bench.asset(id)));
    }
    assert!(fleet.failed().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_takes_nothing_pauses_the_worker_and_fails_no_job() {
    let fleet = Fleet::new(quick()).await;
    let film = |seed| NewAsset { file: Some(NewFile::Striped(3 << 20)), ..picture("large.tif", seed) };
    let ids: Vec<_> = (0..3).map(|seed| fleet.bench.sandbox.add_asset(film(seed)).unwrap()).collect();
    let [port] = free_ports();
    let spool = fleet.bench.path("a-full-disk");
    let variables = [
        ("CONNECTOR_HTTP__LISTEN", format!("127.0.0.1:{port}")),
        ("CONNECTOR_WORKER__SPOOL_DIR", spool.display().to_string()),
    ];
    let _worker = fleet.worker_with(&variables);
    // The worker has its spool once it answers.
    Scrape::of(port).await;
    std::fs::remove_dir_all(&spool).unwrap();
    fleet.publish().await.assert_code(0);
    let is_paused =
        async || Scrape::of(port).await.text.contains("connector_breaker_open{service=\"machine\"} 1");
    until_async(is_paused).await;
    std::fs::create_dir(&spool).unwrap();
    fleet.sync_until_recorded().await;
    for id in &ids {
        assert!(is_protected(&fleet.bench.asset(id)));
    }
    assert!(fleet.failed().await.is_empty());
}
