//! `connector serve`: the whole connector in one process.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use nix::sys::signal::Signal;
use sandbox::{NewAsset, Options, Restricted};
use serde_json::Value;

use crate::harness::fleet::{ended, signal};
use crate::harness::scrape::get;
use crate::harness::serving::Serving;
use crate::harness::{assert_clean, is_protected, picture, quick, saved_versions, until, until_async};

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_alone_protects_what_is_added_and_answers_beside_it_until_it_is_stopped() {
    let serving = Serving::new(quick()).await;
    let bench = &serving.bench;
    let first = bench.sandbox.add_asset(picture("first.jpg", 1)).unwrap();
    let running = serving.start(&["--full"], &[]);
    until(|| is_protected(&bench.asset(&first))).await;
    let second = bench.sandbox.add_asset(picture("second.jpg", 2)).unwrap();
    until(|| is_protected(&bench.asset(&second))).await;
    serving.until_answered("/readyz", "200 OK").await;
    let metrics = get(serving.port, "/metrics").await.unwrap();
    assert!(metrics.contains("connector_jobs_published_total{lane=\"fresh\"}"), "{metrics}");
    assert!(!metrics.contains("connector_broker_connected"), "{metrics}");

    let status: Value = serving.status().await;
    assert_eq!(status["queues"]["failed"], 0, "{status:#}");
    serving.run(&["pause", "--reason", "works"]).await;
    let paused = "connector_paused{by=\"operator\"} 1";
    serving.until_answered("/metrics", paused).await;
    let third = bench.sandbox.add_asset(picture("third.jpg", 3)).unwrap();
    let queued = async || {
        let status: Value = serving.status().await;
        status["queues"]["submit_fresh"].as_u64().unwrap() >= 1
    };
    until_async(queued).await;
    assert!(!is_protected(&bench.asset(&third)));
    serving.run(&["resume"]).await;
    until(|| is_protected(&bench.asset(&third))).await;
    serving.until_answered("/metrics", "connector_exposure_seconds_count{lane=\"fresh\"}").await;
    let reported = serving.run(&["report", "--asset", &third, "--format", "json"]).await;
    let line: Value = serde_json::from_str(reported.lines().next().unwrap()).unwrap();
    assert!(line["exposed_seconds"].as_u64().is_some_and(|seconds| seconds < 300), "{line:#}");
    let mut healthy = bench.command(&["healthcheck"]);
    healthy.env("CONNECTOR_HTTP__LISTEN", format!("127.0.0.1:{}", serving.port));
    assert!(healthy.status().await.unwrap().success());

    signal(&running, Signal::SIGTERM);
    ended(running).await.assert_code(0);
    for id in [first, second, third] {
        assert_eq!(saved_versions(&bench.asset(&id)), 1, "{id}");
    }
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_finds_nothing_costs_one_call_and_leaves_no_row_and_no_line() {
    let serving = Serving::new(quick()).await;
    let bench = &serving.bench;
    let first = bench.sandbox.add_asset(picture("first.jpg", 1)).unwrap();
    let running = serving.start(&["--full", "--json"], &[("CONNECTOR_LOG", "info")]);
    until(|| is_protected(&bench.asset(&first))).await;
    let status = async || serving.status().await;
    let empty = async || status().await["runs_without_jobs"].as_u64().unwrap();
    // The version that the connector saved is in the listing as well.
    let before = empty().await;
    until_async(async || empty().await > before + 1).await;
    let calls = || -> u64 {
        let requests = bench.sandbox.stats().requests;
        requests.iter().filter(|(name, _)| name.starts_with("bynder.")).map(|(_, count)| count).sum()
    };
    let rows = status().await["runs"].as_array().unwrap().len();
    let (runs_before, calls_before) = (empty().await, calls());
    until_async(async || empty().await >= runs_before + 5).await;
    let (calls, runs) = (calls() - calls_before, empty().await - runs_before);
    assert!(runs.abs_diff(calls) <= 1, "{calls} calls for {runs} runs");
    serving.until_answered("/metrics", "connector_runs_total{mode=\"delta\",result=\"empty\"}").await;
    assert_eq!(status().await["runs"].as_array().unwrap().len(), rows);
    signal(&running, Signal::SIGTERM);
    let ran = ended(running).await;
    let lines = ran.assert_code(0).out.lines().count();
    assert!((1..=3).contains(&lines), "{ran:#?}");
    assert!(ran.talk.matches(": listing").count() <= 3, "{ran:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_bulk_change_the_newest_picture_goes_first_and_all_are_protected_once() {
    const BULK: usize = 100;
    let serving = Serving::new(quick()).await;
    let bench = &serving.bench;
    bench.sandbox.add_asset(picture("first.jpg", 1)).unwrap();
    let budget = [("CONNECTOR_BYNDER__REQUESTS_PER_5_MINUTES", "4000")];
    let running = serving.start(&["--full"], &budget);
    serving.until_answered("/readyz", "200 OK").await;
    // The walk over the library would publish the bulk as well.
    let walked = async || {
        let status: Value = serving.status().await;
        let runs = status["runs"].as_array().unwrap();
        runs.iter().any(|run| run["mode"] == "full" && run["state"] == "enumerated")
    };
    until_async(walked).await;
    until(|| bench.sandbox.audit().assets.iter().all(is_protected)).await;
    serving.run(&["pause"]).await;
    serving.until_answered("/metrics", "connector_paused{by=\"operator\"} 1").await;
    let bulk: Vec<_> = (0..BULK).map(|n| picture(&format!("bulk-{n}.jpg"), 10 + n as u64)).collect();
    for picture in bulk {
        bench.sandbox.add_asset(picture).unwrap();
    }
    let waiting = async || {
        let status: Value = serving.status().await;
        status["queues"]["submit_fresh"].as_u64().unwrap()
    };
    until_async(async || waiting().await > 30).await;
    let newest = bench.sandbox.add_asset(picture("newest.jpg", 5)).unwrap();
    serving.until_answered("/metrics", "connector_assets_skipped_total{reason=\"job_open\"}").await;
    assert!(waiting().await < 100, "no deeper than about a minute");
    serving.run(&["resume"]).await;
    let protected = || bench.sandbox.audit().assets.iter().filter(|asset| is_protected(asset)).count();
    until(|| protected() == BULK + 2).await;
    let reported = serving.run(&["report", "--since", "2020-01-01", "--format", "json"]).await;
    let end = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        // The last may not be recorded yet.
        Some((line["ended"].as_str()?.to_owned(), line["asset_id"] == newest))
    };
    let mut outcomes: Vec<_> = reported.lines().filter_map(end).collect();
    outcomes.sort();
    let place = outcomes.iter().position(|(_, is_newest)| *is_newest).unwrap();
    assert!(place < BULK - 10, "{place} of {BULK} went first");
    signal(&running, Signal::SIGTERM);
    ended(running).await.assert_code(0);
    let audit = bench.sandbox.audit();
    assert!(audit.assets.iter().all(|asset| saved_versions(asset) == 1));
    assert_clean(&audit);
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_jobs_are_replayed_and_dropped_while_it_works() {
    let serving = Serving::new(Options { assets: 30, ..quick() }).await;
    let running = serving.start(&["--full"], &[]);
    serving.until_answered("/readyz", "200 OK").await;
    let failed = async || {
        let count: Value =
            serde_json::from_str(serving.run(&["failed", "count", "--json"]).await.trim()).unwrap();
        count.as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum::<u64>()
    };
    let done = async || {
        let status: Value = serving.status().await;
        ["submit_fresh", "submit_backlog", "transfer", "save", "waiting", "in_flight"]
            .iter()
            .all(|name| status["queues"][*name] == 0)
            && failed().await > 2
    };
    until_async(done).await;
    let before = failed().await;
    let replayed = serving.bench.run(&["failed", "replay", "--yes"]).await;
    assert!(replayed.assert_code(0).talk.contains("the running connector takes them up"), "{replayed:#?}");
    // What is wrong with them stays wrong.
    until_async(async || failed().await == before).await;
    let dropped = serving.bench.run(&["failed", "drop", "--yes"]).await;
    assert!(dropped.assert_code(0).talk.contains("are forgotten"), "{dropped:#?}");
    assert_eq!(failed().await, 0);
    signal(&running, Signal::SIGTERM);
    ended(running).await.assert_code(0);
    assert_clean(&serving.bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_run_is_requested_by_a_person_and_serve_continues_after_it() {
    let serving = Serving::new(quick()).await;
    let bench = &serving.bench;
    let first = bench.sandbox.add_asset(picture("first.jpg", 1)).unwrap();
    // Each run would request that many more.
    let refused = bench.run(&["serve", "--max-assets", "1"]).await;
    assert!(refused.assert_code(2).talk.contains("--max-assets is for one run"), "{refused:#?}");
    let running = serving.start(&[], &[]);
    serving.until_answered("/readyz", "Run again with --full").await;
    serving.until_answered("/healthz", "200 OK").await;
    assert!(!is_protected(&bench.asset(&first)));
    bench.sync().await.assert_code(0);
    assert!(is_protected(&bench.asset(&first)));
    let second = bench.sandbox.add_asset(picture("second.jpg", 2)).unwrap();
    until(|| is_protected(&bench.asset(&second))).await;
    serving.until_answered("/readyz", "200 OK").await;
    signal(&running, Signal::SIGTERM);
    ended(running).await.assert_code(0);
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_begun_before_a_kill_is_done_once_by_the_next_process() {
    let serving =
        Serving::new(Options { assets: 20, watermark_time: Duration::from_secs(1), ..quick() }).await;
    let bench = &serving.bench;
    for least in [1, 5, 9] {
        let running = serving.start(&["--full"], &[]);
        until(|| bench.sandbox.audit().assets.iter().filter(|asset| is_protected(asset)).count() >= least)
            .await;
        signal(&running, Signal::SIGKILL);
        ended(running).await;
    }
    let running = serving.start(&["--full"], &[]);
    serving.until_answered("/readyz", "200 OK").await;
    signal(&running, Signal::SIGTERM);
    ended(running).await.assert_code(0);
    bench.sync().await;
    bench.assert_ended_as_planted().await;
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_is_notified_of_the_start_the_watchdog_and_the_stop() {
    let serving = Serving::new(Options { assets: 20, ..quick() }).await;
    let path = serving.bench.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "300000")];
    let running = serving.start(&["--full"], &environment);
    let heard = || {
        let mut bytes = [0; 200];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    assert!(heard().contains("READY=1"));
    // Also under load.
    let started = std::time::Instant::now();
    for _ in 0..10 {
        assert!(heard().contains("WATCHDOG=1"));
    }
    assert!(started.elapsed() >= Duration::from_millis(9 * 90), "more often than a third of the time");
    signal(&running, Signal::SIGTERM);
    until(|| heard().contains("STOPPING=1")).await;
    ended(running).await.assert_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_cannot_be_read_ends_the_start_before_systemd_counts_it_as_started() {
    let serving = Serving::new(quick()).await;
    let path = serving.bench.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let environment = [
        ("NOTIFY_SOCKET", path.to_str().unwrap()),
        ("CONNECTOR_BYNDER__API_TOKEN", "{ file = \"/nowhere/bynder\" }"),
    ];
    ended(serving.start(&["--full"], &environment)).await.assert_code(3);
    assert_eq!(socket.recv(&mut [0; 200]).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_found_among_archived_assets_where_the_filters_ask_for_them() {
    let serving = Serving::new(quick()).await;
    let bench = &serving.bench;
    bench.reconfigure("[worker]\n", "[filters]\narchived = true\n[worker]\n");
    let archived = |name: &str, seed| {
        let restricted = Restricted { archived: true, ..Restricted::default() };
        bench.sandbox.add_asset(NewAsset { restricted, ..picture(name, seed) }).unwrap()
    };
    let first = archived("first.jpg", 1);
    let running = serving.start(&["--full"], &[]);
    until(|| is_protected(&bench.asset(&first))).await;
    serving.until_idle().await;
    let (second, other) =
        (archived("second.jpg", 2), bench.sandbox.add_asset(picture("other.jpg", 3)).unwrap());
    until(|| is_protected(&bench.asset(&second))).await;
    serving.until_idle().await;
    assert_eq!(saved_versions(&bench.asset(&other)), 0, "the filters leave it out");
    signal(&running, Signal::SIGTERM);
    ended(running).await.assert_code(0);
    assert_clean(&bench.sandbox.audit());
}
