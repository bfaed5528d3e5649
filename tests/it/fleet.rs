//! A producer and several workers over one broker: everything is protected once, whoever dies.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use common::outcome::Outcome;
use futures::future::select_all;
use jiff::{SignedDuration, Timestamp};
use ledger::Ledger;
use ledger::state::State;
use nix::sys::signal::Signal;
use queue::JobConsumer;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sandbox::{NewAsset, NewVersion};

use crate::harness::broker::free_ports;
use crate::harness::fleet::{Fleet, ended, signal};
use crate::harness::scene::{lost_once, slow};
use crate::harness::scrape::get;
use crate::harness::{Ran, assert_clean, is_protected, picture, quick, until, until_async};

#[tokio::test(flavor = "multi_thread")]
async fn four_workers_protect_five_hundred_assets_as_planted() {
    let fleet = Fleet::new(sandbox::Options { assets: 500, seed: 3, ..quick() }).await;
    let _workers: Vec<_> = (0..4).map(|_| fleet.worker()).collect();
    let ran = fleet.sync().await;
    ran.assert_code(6);
    let summary = ran.summary();
    assert_eq!(summary["listed"], 500);
    let ended = ["watermarked", "already_protected", "superseded", "gone", "failed"];
    let ended: u64 = ended.iter().map(|name| summary[*name].as_u64().unwrap()).sum();
    assert_eq!(ended, summary["published"].as_u64().unwrap(), "{summary}");
    fleet.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_killed_again_and_again_lose_nothing_and_repeat_nothing() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let fleet = Fleet::new(sandbox::Options { assets: 120, seed: 5, ..quick() }).await;
    let mut deaths = 0;
    let mut places = BTreeSet::new();
    let mut workers = Vec::new();
    let start = |random: &mut StdRng, number: usize| {
        let last_words = fleet.bench.path(&format!("passed{number}"));
        let variables = [
            ("CONNECTOR_CRASH_AT", random.random_range(10..150_u32).to_string()),
            // Few jobs at once get somewhere between two deaths.
            ("CONNECTOR_WORKER__CONCURRENCY", "4".to_owned()),
            ("CONNECTOR_CRASH_COUNT", last_words.display().to_string()),
        ];
        (fleet.worker_with(&variables), last_words)
    };
    let mut started = 0;
    for _ in 0..4 {
        workers.push(start(&mut random, started));
        started += 1;
    }
    let mut producing = std::pin::pin!(fleet.sync());
    let ran = loop {
        let death = select_all(workers.iter_mut().map(|(worker, _)| Box::pin(worker.wait())));
        let number = tokio::select! {
            ran = &mut producing => break ran,
            (_, number, _) = death => number,
        };
        let passed = std::fs::read_to_string(&workers[number].1).unwrap();
        let last = passed.lines().last().and_then(|line| line.split_once(' '));
        places.extend(last.map(|(_, place)| place.to_owned()));
        deaths += 1;
        workers[number] = start(&mut random, started);
        started += 1;
    };
    println!("{deaths} deaths at {places:?}");
    ran.assert_code(6);
    // The others may all die while a message that was doubled still waits.
    let _survivor = fleet.worker();
    fleet.assert_all_is_well().await;
    assert!(deaths >= 20, "only {deaths} workers died");
    for place in ["http.before", "http.after"] {
        assert!(places.contains(place), "nobody died at {place}: {places:?}");
    }
}

/// How many places a worker passes with one asset where it may die.
async fn crash_points() -> u64 {
    let fleet = Fleet::new(quick()).await;
    fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    let count = fleet.bench.path("count");
    let _worker = fleet.worker_with(&[("CONNECTOR_CRASH_COUNT", count.display().to_string())]);
    fleet.sync().await.assert_code(0);
    std::fs::read_to_string(count).unwrap().lines().count() as u64
}

/// A run whose worker dies at a point, if it passes as many; then another one goes on.
async fn run_with_a_death(fleet: &Fleet, point: u64) -> Ran {
    let mut doomed = fleet.worker_with(&[("CONNECTOR_CRASH_AT", point.to_string())]);
    let mut producing =
        tokio::spawn(ended(fleet.producer(&["sync", "--full", "--wait", "--json", "--quiet"])));
    // How often a service is asked whether it is ready differs from time to time: the last points may not come.
    tokio::select! {
        died = doomed.wait() => {
            assert_eq!(died.unwrap().code(), None, "at {point}");
            let _worker = fleet.worker();
            producing.await.unwrap()
        }
        ran = &mut producing => ran.unwrap(),
    }
}

async fn die_at(point: u64) {
    let fleet = Fleet::new(quick()).await;
    let id = fleet.bench.sandbox.add_asset(picture("one.jpg", point)).unwrap();
    let ran = run_with_a_death(&fleet, point).await;
    assert_eq!(ran.code, Some(0), "after dying at {point}: {ran:#?}");
    let asset = fleet.bench.asset(&id);
    assert_clean(&fleet.bench.sandbox.audit());
    let done = (crate::harness::saved_versions(&asset), asset.media, is_protected(&asset));
    assert_eq!(done, (1, 1, true), "after dying at {point}: {asset:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_and_after_every_effect_and_settlement_the_asset_ends_protected_once() {
    use futures::StreamExt;
    let points = crash_points().await;
    assert!(points > 30, "only {points} crash points");
    let deaths = futures::stream::iter(1..=points).map(|point| tokio::spawn(die_at(point)));
    let ended: Vec<_> = deaths.buffer_unordered(6).collect().await;
    ended.into_iter().for_each(Result::unwrap);
}

/// A fleet with an asset of two versions, of which a person made the first the active one again: its row in the listing
/// does not report the second.
async fn fleet_with_a_restored_asset() -> (Fleet, String) {
    let fleet = Fleet::new(quick()).await;
    let id = fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    for work in [
        NewVersion { seed: Some(9), ..NewVersion::default() },
        NewVersion { restore: Some(1), ..NewVersion::default() },
    ] {
        fleet.bench.sandbox.new_version(&id, &work).unwrap().unwrap();
    }
    (fleet, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_doubled_by_a_death_does_not_take_an_older_version_for_one_that_crossed_its_save() {
    let (fleet, _) = fleet_with_a_restored_asset().await;
    let count = fleet.bench.path("count");
    let worker = fleet.worker_with(&[("CONNECTOR_CRASH_COUNT", count.display().to_string())]);
    fleet.sync().await.assert_code(0);
    drop(worker);
    let passed = std::fs::read_to_string(count).unwrap();
    // Its turn, or those that follow could wait behind a test that waits for it.
    drop(fleet);
    let doubling = passed.lines().filter_map(|line| line.strip_suffix(" settle.published")?.parse().ok());
    let deaths = doubling.map(|point| {
        tokio::spawn(async move {
            let (fleet, id) = fleet_with_a_restored_asset().await;
            // The one that went on does not learn that it saved, and waits; the other looks first.
            fleet.bench.sandbox.set_faults(lost_once("bynder.save"));
            run_with_a_death(&fleet, point).await.assert_code(0);
            let outcome = fleet.bench.outcome(&id).await;
            assert_eq!(outcome, Some(Outcome::Watermarked { version: 3 }), "after dying at {point}");
            assert_clean(&fleet.bench.sandbox.audit());
        })
    });
    let deaths: Vec<_> = deaths.collect();
    assert!(deaths.len() > 3, "{passed}");
    for death in deaths {
        death.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_ends_every_worker_in_order_and_costs_no_attempt() {
    let fleet = Fleet::new(quick()).await;
    for seed in 0..160 {
        fleet.bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap();
    }
    fleet.bench.set_request_timeout(5);
    fleet.bench.sandbox.set_faults(slow("imatag.submit", Duration::from_millis(600)));
    let mut workers: Vec<_> = (0..4).map(|_| fleet.worker()).collect();
    // Who is asked to stop before it listens just ends.
    until(|| fleet.worker_logs().matches("at work").count() == 4).await;
    let producing = tokio::spawn(ended(fleet.producer(&["sync", "--full", "--wait", "--json", "--quiet"])));
    until(|| fleet.requests("imatag.submit") > 8).await;
    for worker in &mut workers {
        let before = Instant::now();
        signal(worker, Signal::SIGTERM);
        let status = worker.wait().await.unwrap();
        assert_eq!(status.code(), Some(0));
        assert!(before.elapsed() < Duration::from_secs(9), "beyond its grace of 8 s");
        *worker = fleet.worker();
    }
    producing.await.unwrap().assert_code(0);
    fleet.assert_all_is_well().await;
    let ledger = Ledger::new(State::open_to_read(&fleet.bench.path("state")).unwrap().unwrap());
    for asset in fleet.bench.sandbox.audit().assets {
        let events = ledger.outcomes_of(&asset.id.parse().unwrap()).await.unwrap();
        assert_eq!(events.iter().map(|event| event.attempts).collect::<Vec<_>>(), [0], "{events:#?}");
        assert_eq!(asset.media, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_longer_than_the_grace_goes_back_to_the_queue_and_a_second_signal_ends_at_once() {
    let fleet = Fleet::new(quick()).await;
    fleet.bench.set_request_timeout(20);
    let id = fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    fleet.bench.sandbox.set_faults(slow("bynder.download", Duration::from_secs(12)));
    fleet.publish().await.assert_code(0);
    let mut first = fleet.worker();
    until(|| fleet.requests("bynder.download") > 0).await;
    let before = Instant::now();
    signal(&first, Signal::SIGTERM);
    assert_eq!(first.wait().await.unwrap().code(), Some(0));
    assert!(before.elapsed() < Duration::from_secs(9));
    let mut second = fleet.worker();
    until(|| fleet.requests("bynder.download") > 1).await;
    signal(&second, Signal::SIGTERM);
    // Both workers have said it now: two signals in a row would count as one.
    until(|| fleet.worker_logs().matches("once more to stop at once").count() == 2).await;
    let before = Instant::now();
    signal(&second, Signal::SIGTERM);
    assert_eq!(second.wait().await.unwrap().code(), Some(5));
    assert!(before.elapsed() < Duration::from_secs(2));
    fleet.bench.sandbox.set_faults(sandbox::faults::Faults::default());
    let _third = fleet.worker();
    until(|| is_protected(&fleet.bench.asset(&id))).await;
    fleet.sync_until_recorded().await;
    assert_eq!(fleet.bench.asset(&id).media, 1);
    fleet.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_changes_is_protected_while_the_backlog_waits() {
    let fleet = Fleet::new(quick()).await;
    // What came a moment ago would count as changed while the walk is under way, and go past the backlog as well.
    let created = Timestamp::now() - SignedDuration::from_hours(24);
    for seed in 0..120 {
        fleet.bench.sandbox.add_asset(NewAsset { created, ..picture("one.jpg", seed) }).unwrap();
    }
    fleet.bench.sandbox.set_faults(slow("imatag.submit", Duration::from_millis(900)));
    fleet.configure("");
    fleet.bench.set_request_timeout(5);
    fleet.bench.reconfigure("[producer]\n", "[producer]\nevery = '1s'\n");
    let variables = [("CONNECTOR_WORKER__CONCURRENCY", "3".to_owned())];
    let _worker = fleet.worker_with(&variables);
    let producer = fleet.producer(&["sync", "--full", "--json", "--quiet"]);
    let queue = fleet.queue().await;
    let deadline = Instant::now() + Duration::from_mins(1);
    while queue.connection.depth().await.unwrap().submit_backlog < 90 {
        assert!(Instant::now() < deadline, "no backlog comes about");
    }
    // The last of the backlog, by the order in which it was published.
    let last = fleet.bench.sandbox.audit().assets.into_iter().rfind(|asset| asset.media == 0).unwrap().id;
    let edited = Instant::now();
    fleet
        .bench
        .sandbox
        .new_version(&last, &NewVersion { seed: Some(9), ..NewVersion::default() })
        .unwrap()
        .unwrap();
    until(|| is_protected(&fleet.bench.asset(&last))).await;
    assert!(edited.elapsed() < Duration::from_mins(2));
    let backlog = queue.connection.depth().await.unwrap().submit_backlog;
    assert!(backlog > 20, "the backlog is nearly done ({backlog}); this proves nothing");
    fleet.bench.sandbox.set_faults(sandbox::faults::Faults::default());
    until(|| fleet.bench.sandbox.audit().assets.iter().all(is_protected)).await;
    // The backlog's job for the version before is still to come; it pays for nothing.
    until_async(async || queue.connection.depth().await.unwrap().open() == 0).await;
    assert_eq!(fleet.bench.asset(&last).media, 1, "the version before was paid for as well");
    signal(&producer, Signal::SIGTERM);
    ended(producer).await.assert_code(0);
    assert_clean(&fleet.bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_producer_is_refused_and_told_who_the_first_is() {
    let fleet = Fleet::new(quick()).await;
    fleet.bench.reconfigure("[producer]\n", "[producer]\nevery = '1s'\n");
    let first = fleet.producer(&["sync", "--full", "--quiet"]);
    let process = first.id().unwrap();
    until(|| fleet.requests("bynder.list") > 0).await;
    let state = fleet.bench.path("other-state").display().to_string();
    fleet.bench.reconfigure(&fleet.bench.path("state").display().to_string(), &state);
    let second = ended(fleet.producer(&["sync", "--full", "--once", "--quiet"])).await;
    second.assert_code(5);
    assert!(second.talk.contains(&format!("process {process} on ")), "{second:#?}");
    drop(first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_interrupted_goes_on_with_the_same_jobs() {
    let fleet = Fleet::new(sandbox::Options { assets: 90, seed: 8, ..quick() }).await;
    for point in [60, 130, 200] {
        let mut command = fleet
            .producer_with(&["sync", "--full", "--quiet"], &[("CONNECTOR_CRASH_AT", format!("{point}"))]);
        command.wait().await.unwrap();
    }
    let _worker = fleet.worker();
    let ran = fleet.sync().await;
    ran.assert_code(6);
    fleet.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_workers_come_and_eight_go_and_everything_is_done_once() {
    let fleet = Fleet::new(sandbox::Options { assets: 240, seed: 4, ..quick() }).await;
    let producing = tokio::spawn(ended(fleet.producer(&["sync", "--full", "--wait", "--json", "--quiet"])));
    let mut workers = vec![fleet.worker()];
    until(|| fleet.requests("imatag.submit") > 3).await;
    workers.extend((0..9).map(|_| fleet.worker()));
    until(|| fleet.requests("imatag.submit") > 60).await;
    until(|| fleet.worker_logs().matches("at work").count() == 10).await;
    for mut worker in workers.drain(2..) {
        signal(&worker, Signal::SIGTERM);
        assert_eq!(worker.wait().await.unwrap().code(), Some(0));
    }
    producing.await.unwrap().assert_code(6);
    fleet.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_outcomes_were_lost_ends_and_says_so() {
    let fleet = Fleet::new(quick()).await;
    fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    fleet.bench.reconfigure("lost_after = '90s'", "lost_after = '3s'");
    let producing = fleet.producer(&["sync", "--full", "--wait", "--json", "--quiet"]);
    // Somebody takes the job away and settles nothing.
    let queue = fleet.queue().await;
    let delivery = queue.consumer.next(queue::StepSet::ALL).await.unwrap();
    let ran = ended(producing).await;
    ran.assert_code(5);
    assert_eq!(ran.summary()["incomplete"], true);
    assert!(ran.talk.contains("1 jobs have no outcome"), "{ran:#?}");
    // The asset is taken up again, and whoever had its first job may still bring it back.
    fleet.bench.reconfigure("lost_after = '3s'", "lost_after = '90s'");
    let _worker = fleet.worker();
    let again = fleet.sync().await;
    again.assert_code(0);
    assert_eq!(again.summary()["watermarked"], 1);
    drop(delivery);
    until(|| fleet.worker_logs().matches("done").count() > 1).await;
    assert_clean(&fleet.bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_producer_waits_for_the_first_run_to_be_asked_for_and_goes_on_after_it() {
    let fleet = Fleet::new(quick()).await;
    let first = fleet.bench.sandbox.add_asset(picture("first.jpg", 1)).unwrap();
    let _worker = fleet.worker();
    let [port] = free_ports();
    let scheduled = [
        ("CONNECTOR_HTTP__LISTEN", format!("127.0.0.1:{port}")),
        ("CONNECTOR_PRODUCER__EVERY", "2s".to_owned()),
    ];
    let producer = fleet.producer_with(&["--quiet"], &scheduled);
    let told = async |text: &str| get(port, "/readyz").await.is_ok_and(|answer| answer.contains(text));
    until_async(async || told("Run again with --full").await).await;
    assert!(get(port, "/healthz").await.unwrap().starts_with("HTTP/1.1 200"));
    assert!(!is_protected(&fleet.bench.asset(&first)));
    // The producer's place is free meanwhile.
    ended(fleet.producer(&["sync", "--full", "--wait", "--once", "--quiet"])).await.assert_code(0);
    assert!(is_protected(&fleet.bench.asset(&first)));
    let second = fleet.bench.sandbox.add_asset(picture("second.jpg", 2)).unwrap();
    until(|| is_protected(&fleet.bench.asset(&second))).await;
    until_async(async || told("200 OK").await).await;
    signal(&producer, Signal::SIGTERM);
    ended(producer).await.assert_code(0);
    assert_clean(&fleet.bench.sandbox.audit());
}
