//! Each watermark is paid for: no run by default, and no widened filter, takes assets that nobody asked for.

use jiff::{SignedDuration, Timestamp};
use rusqlite::Connection;
use sandbox::NewAsset;

use nix::sys::signal::Signal;

use crate::harness::broker::free_ports;
use crate::harness::fleet::{Fleet, ended, signal};
use crate::harness::page::shows;
use crate::harness::scrape::get;
use crate::harness::{Bench, Ran, assert_clean, is_protected, picture, quick, until, until_async};

/// An asset that was made, and changed last, so many hours ago.
fn add(bench: &Bench, name: &str, seed: u64, hours: i64) -> String {
    let created = Timestamp::now() - SignedDuration::from_hours(hours);
    bench.sandbox.add_asset(NewAsset { created, ..picture(name, seed) }).unwrap()
}

const MONTH: i64 = 30 * 24;

/// Runs without a wish, as a timer does, once the clock is eight days further.
async fn eight_days_later(bench: &Bench) -> Ran {
    let later = [
        ("LD_PRELOAD", "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1".to_owned()),
        ("FAKETIME", "+8d".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    bench.run_with(&["sync", "--json", "--quiet"], &later).await
}

/// Takes from the state what the release before did not know.
fn as_the_release_before_left_it(bench: &Bench) {
    let state = Connection::open(bench.path("state").join("connector.sqlite")).unwrap();
    state.execute("DELETE FROM facts WHERE name NOT IN ('cursor', 'portal')", []).unwrap();
}

fn names(bench: &Bench) -> Vec<String> {
    let audit = bench.sandbox.audit();
    assert_clean(&audit);
    let mut names: Vec<_> =
        audit.assets.iter().filter(|asset| asset.media > 0).map(|asset| asset.id.clone()).collect();
    names.sort();
    names
}

async fn begun_since(before: bool) {
    let bench = Bench::new(quick()).await;
    add(&bench, "old.jpg", 1, MONTH);
    let recent = add(&bench, "recent.jpg", 2, 1);
    let since = (Timestamp::now() - SignedDuration::from_hours(24)).to_string();
    bench.run(&["sync", "--since", &since, "--quiet"]).await.assert_code(0);
    assert_eq!(names(&bench), std::slice::from_ref(&recent));
    if before {
        as_the_release_before_left_it(&bench);
    }
    // A run over changes does not find it.
    let missed = add(&bench, "missed.jpg", 3, 12);
    bench.run(&["sync", "--quiet"]).await.assert_code(0);
    assert_eq!(names(&bench), std::slice::from_ref(&recent));
    let walk = eight_days_later(&bench).await;
    assert_eq!(walk.assert_code(0).summary()["mode"], "full", "{walk:#?}");
    let mut asked_for = [recent, missed];
    asked_for.sort();
    assert_eq!(names(&bench), asked_for);
    // Asked for, the old one is taken.
    bench.sync().await.assert_code(0);
    assert!(bench.sandbox.audit().assets.iter().all(is_protected));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_that_was_begun_from_a_time_is_walked_from_there() {
    begun_since(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_that_the_release_before_began_from_a_time_is_walked_from_there() {
    begun_since(true).await;
}

async fn begun_under_a_cap(before: bool) {
    let bench = Bench::new(quick()).await;
    for seed in 0..3 {
        add(&bench, "old.jpg", seed, MONTH);
    }
    bench.run(&["sync", "--max-assets", "1", "--quiet"]).await.assert_code(8);
    if before {
        as_the_release_before_left_it(&bench);
    }
    for _ in 0..2 {
        let held = eight_days_later(&bench).await;
        assert!(held.assert_code(8).talk.contains("2 paid watermarks"), "{held:#?}");
    }
    assert_eq!(names(&bench).len(), 1);
    bench.run(&["sync", "--max-assets", "9", "--quiet"]).await.assert_code(0);
    assert_eq!(names(&bench).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_that_was_begun_under_a_cap_waits_for_more_to_be_asked_for() {
    begun_under_a_cap(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_that_the_release_before_began_under_a_cap_waits_for_more_to_be_asked_for() {
    begun_under_a_cap(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cap_that_a_library_was_begun_under_holds_for_every_walk_by_default() {
    let bench = Bench::new(quick()).await;
    add(&bench, "old.jpg", 1, MONTH);
    bench.run(&["sync", "--max-assets", "2", "--quiet"]).await.assert_code(0);
    for seed in 2..5 {
        add(&bench, "older.jpg", seed, 2 * MONTH);
    }
    let walk = eight_days_later(&bench).await;
    assert!(walk.assert_code(8).talk.contains("--max-assets = 2; no more were asked for"), "{walk:#?}");
    // What changes is protected as before.
    let new = add(&bench, "new.jpg", 9, 0);
    let delta = eight_days_later(&bench).await;
    assert_eq!(delta.assert_code(0).summary()["mode"], "delta");
    assert!(is_protected(&bench.asset(&new)));
    assert_eq!(names(&bench).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_matches_only_since_the_filters_were_widened_is_held_until_it_is_asked_for() {
    let bench = Bench::new(quick()).await;
    let old = add(&bench, "a.jpg", 1, MONTH);
    let other = add(&bench, "b.jpg", 2, MONTH);
    bench.reconfigure("[worker]\n", "[filters]\nnames = ['a*']\n[worker]\n");
    bench.sync().await.assert_code(0);
    assert_eq!(names(&bench), std::slice::from_ref(&old));
    bench.reconfigure("['a*']", "['a*', 'b*']");
    let held = async || bench.run(&["status", "--json"]).await.assert_code(0).summary()["held"].clone();
    let planned = bench.run(&["plan", "--json"]).await.assert_code(0).summary();
    assert_eq!(planned["selected"], 0, "{planned}");
    let ran = bench.run(&["sync", "--quiet"]).await;
    assert!(ran.assert_code(8).talk.contains("1 paid watermarks, about 8 Bynder calls"), "{ran:#?}");
    assert_eq!(held().await["assets"], 1);
    let walk = eight_days_later(&bench).await;
    assert_eq!(walk.assert_code(8).summary()["left_alone"]["not_asked_for"], 1, "{walk:#?}");
    // What changes is protected by the filters as they are.
    let new = add(&bench, "b-new.jpg", 3, 0);
    bench.run(&["sync", "--quiet"]).await.assert_code(8);
    assert!(is_protected(&bench.asset(&new)) && !is_protected(&bench.asset(&other)));
    bench.run(&["sync", "--max-assets", "5", "--quiet"]).await.assert_code(0);
    assert!(is_protected(&bench.asset(&other)));
    assert!(held().await.is_null());
    bench.reconfigure("['a*', 'b*']", "['a*']");
    bench.run(&["sync", "--quiet"]).await.assert_code(0);
}

/// A producer that keeps to a schedule by which a walk over the whole library is always due; and where it is asked.
fn scheduled(fleet: &Fleet) -> (tokio::process::Child, u16) {
    let [port] = free_ports();
    let variables = [
        ("CONNECTOR_HTTP__LISTEN", format!("127.0.0.1:{port}")),
        ("CONNECTOR_PRODUCER__EVERY", "1s".to_owned()),
        ("CONNECTOR_PRODUCER__FULL_EVERY", "1s".to_owned()),
    ];
    (fleet.producer_with(&["--quiet"], &variables), port)
}

/// How many runs of this mode and result there were.
async fn runs(port: u16, kind: &str) -> u64 {
    let series = format!("connector_runs_total{{{kind}}} ");
    let page = get(port, "/metrics").await.unwrap_or_default();
    page.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap_or(0)
}

/// Waits for so many more of them.
async fn more_runs(port: u16, kind: &str, more: u64) {
    let before = runs(port, kind).await;
    until_async(async || runs(port, kind).await >= before + more).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_holds_what_matches_only_since_the_filters_were_widened_however_often_it_walks() {
    let fleet = Fleet::new(quick()).await;
    let (old, other) = (add(&fleet.bench, "a.jpg", 1, MONTH), add(&fleet.bench, "b.jpg", 2, MONTH));
    fleet.bench.reconfigure("[worker]\n", "[filters]\nnames = ['a*']\n[worker]\n");
    let _worker = fleet.worker();
    fleet.sync().await.assert_code(0);
    assert!(is_protected(&fleet.bench.asset(&old)));
    fleet.bench.reconfigure("['a*']", "['a*', 'b*']");
    let (producer, port) = scheduled(&fleet);
    shows(port, "/metrics", "connector_held_assets 1").await;
    more_runs(port, r#"mode="full",result="done""#, 2).await;
    // What changes is protected by the filters as they are.
    let new = add(&fleet.bench, "b-new.jpg", 3, 0);
    until(|| is_protected(&fleet.bench.asset(&new))).await;
    more_runs(port, r#"mode="full",result="done""#, 2).await;
    assert_eq!(fleet.bench.asset(&other).media, 0);
    signal(&producer, Signal::SIGTERM);
    ended(producer).await.assert_code(0);
    fleet.sync().await.assert_code(0);
    assert!(is_protected(&fleet.bench.asset(&other)));
    let status = fleet.bench.run(&["status", "--json"]).await.assert_code(0).summary();
    assert!(status["held"].is_null(), "{status}");
    assert_clean(&fleet.bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_takes_no_more_than_the_cap_that_a_library_was_begun_under_and_what_changes() {
    let fleet = Fleet::new(quick()).await;
    add(&fleet.bench, "old.jpg", 1, MONTH);
    let _worker = fleet.worker();
    let begun = ["sync", "--max-assets", "2", "--once", "--wait", "--quiet"];
    ended(fleet.producer(&begun)).await.assert_code(0);
    for seed in 2..5 {
        add(&fleet.bench, "older.jpg", seed, 2 * MONTH);
    }
    fleet.bench.until_listed().await;
    let (producer, port) = scheduled(&fleet);
    until_async(async || runs(port, r#"mode="full",result="limited""#).await > 0).await;
    let new = add(&fleet.bench, "new.jpg", 9, 0);
    until(|| is_protected(&fleet.bench.asset(&new))).await;
    more_runs(port, r#"mode="delta",result="empty""#, 3).await;
    signal(&producer, Signal::SIGTERM);
    ended(producer).await.assert_code(0);
    assert_eq!(names(&fleet.bench).len(), 3, "the first, one more, and what changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_and_cannot_be_replayed_is_taken_up_when_it_is_named_or_asked_for() {
    let bench = Bench::new(quick()).await;
    let foreign = || NewAsset { marker: Some("see ticket 4711".to_owned()), ..picture("one.jpg", 1) };
    let ids: Vec<_> = (0..3).map(|_| bench.sandbox.add_asset(foreign()).unwrap()).collect();
    bench.sync().await.assert_code(6);
    for id in &ids {
        let edit = sandbox::Edit { marker: Some(String::new()), ..sandbox::Edit::default() };
        bench.sandbox.edit(id, edit).unwrap();
    }
    bench.until_listed().await;
    let lost = async || {
        let status = bench.run(&["status", "--json"]).await.assert_code(0).summary();
        status["failed_not_replayable"].as_u64().unwrap()
    };
    assert_eq!(lost().await, 0);
    bench.run(&["failed", "drop", "--yes"]).await.assert_code(0);
    assert_eq!(lost().await, 3);
    let left = bench.sync().await.assert_code(0).summary();
    assert_eq!(left["left_alone"]["failed_before"], 3, "{left}");
    std::fs::write(bench.path("ids.txt"), &ids[0]).unwrap();
    let file = bench.path("ids.txt");
    bench.run(&["sync", "--ids-from", file.to_str().unwrap(), "--quiet"]).await.assert_code(0);
    assert_eq!((names(&bench), lost().await), (vec![ids[0].clone()], 2));
    bench.run(&["sync", "--retry-failed=permission", "--quiet"]).await.assert_code(0);
    assert_eq!(lost().await, 2);
    bench.run(&["sync", "--retry-failed=marker", "--quiet"]).await.assert_code(0);
    assert_eq!(lost().await, 0);
    assert!(bench.sandbox.audit().assets.iter().all(is_protected));
    assert_clean(&bench.sandbox.audit());
}
