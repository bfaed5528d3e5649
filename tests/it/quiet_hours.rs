//! Quiet hours: the backlog waits for their end, and what people change does not.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::harness::fleet::{Fleet, ended};
use crate::harness::page::shows;
use crate::harness::{Bench, assert_clean, is_protected, picture, quick, until};

/// Quiet hours from so many hours after now to so many.
fn quiet_hours(from: i64, to: i64) -> String {
    let at = |hours| {
        let time = TimeZone::UTC.to_datetime(Timestamp::now() + SignedDuration::from_hours(hours));
        time.strftime("%H:%M").to_string()
    };
    format!(
        "[[quiet_hours]]\nfrom = '{}'\nto = '{}'\nrequests_per_5_minutes = 1000\nbacklog = 'pause'\n",
        at(from),
        at(to)
    )
}

/// Members of a group find each other sooner.
fn scaled() -> (&'static str, String) {
    ("CONNECTOR_TIME_SCALE", "20".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn in_quiet_hours_a_fleet_lets_the_backlog_wait_and_protects_what_people_change() {
    let fleet = Fleet::new(quick()).await;
    let old = fleet.bench.sandbox.add_asset(picture("old.jpg", 1)).unwrap();
    fleet.configure(&quiet_hours(-1, 1));
    fleet.bench.set_request_timeout(15);
    let [port] = crate::harness::broker::free_ports();
    let listen = ("CONNECTOR_HTTP__LISTEN", format!("127.0.0.1:{port}"));
    let worker = fleet.worker_with(&[listen, scaled()]);
    let run = async |arguments: &[&str]| ended(fleet.producer_with(arguments, &[scaled()])).await;
    shows(port, "/metrics", "connector_quiet_period 1").await;
    shows(port, "/metrics", "connector_budget_share_requests 1000").await;
    run(&["sync", "--full", "--quiet"]).await.assert_code(0);
    let fresh = fleet.bench.sandbox.add_asset(picture("fresh.jpg", 2)).unwrap();
    let filter = format!("ids={fresh}");
    let since = ["sync", "--since", "2020-01-01T00:00:00Z", "--filter", &filter, "--wait", "--quiet"];
    run(&since).await.assert_code(0);
    assert!(is_protected(&fleet.bench.asset(&fresh)));
    assert_eq!(fleet.requests("bynder.download"), 1, "the backlog was begun");
    let status = fleet.bench.run(&["status"]).await;
    assert!(
        status.assert_code(0).out.contains("at most 1000 calls in 5 minutes, the backlog waits"),
        "{status:#?}"
    );
    let status = fleet.bench.run(&["status", "--json"]).await.summary();
    assert_eq!(status["quiet_hours"]["backlog_paused"], true);
    assert_eq!(status["queues"]["submit_backlog"], 1);
    drop(worker);

    fleet.configure(&quiet_hours(2, 3));
    let _worker = fleet.worker_with(&[scaled()]);
    until(|| is_protected(&fleet.bench.asset(&old))).await;
    assert!(fleet.bench.run(&["status", "--json"]).await.summary()["quiet_hours"].is_null());
    fleet.sync_until_recorded().await;
    fleet.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_quiet_hours_one_machine_does_the_same() {
    let bench = Bench::new(quick()).await;
    let old = bench.sandbox.add_asset(picture("old.jpg", 1)).unwrap();
    bench.configure(&quiet_hours(-1, 1));
    let mut waiting = bench.spawn(&["sync", "--full", "--quiet"]);
    let listed = || bench.sandbox.stats().requests.get("bynder.list").is_some_and(|count| *count > 1);
    until(listed).await;
    // No event shows that a job was not begun.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(bench.sandbox.stats().requests.get("bynder.download"), None);
    waiting.kill().await.unwrap();
    bench.configure(&quiet_hours(2, 3));
    bench.sync().await.assert_code(0);
    assert!(is_protected(&bench.asset(&old)));
    assert_clean(&bench.sandbox.audit());
}
