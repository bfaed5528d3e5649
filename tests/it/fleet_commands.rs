//! What a person asks of a fleet: how it stands, what failed, and to try it again.

use std::time::Duration;

use common::job::{Lane, MessageError, Step};
use common::outcome::{Failure, FailureClass, Outcome};
use nix::sys::signal::Signal;
use queue::{FailedFilter, FailedJobs};
use rabbitmq::Failed;
use sandbox::faults::{Action, Moment};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::authentic::until_ready;
use crate::harness::amqp::Stranger;
use crate::harness::broker::Broker;
use crate::harness::fleet::{Fleet, signal};
use crate::harness::scene::every;
use crate::harness::{assert_clean, job_of, picture, quick, until, until_async};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_jobs_are_listed_shown_replayed_and_dropped() {
    let fleet = Fleet::new(sandbox::Options { assets: 30, ..quick() }).await;
    let worker = fleet.worker();
    let failed = fleet.sync().await.summary()["failed"].as_u64().unwrap();
    assert!(failed > 2);
    let listed = fleet.bench.run(&["failed", "list", "--json"]).await;
    assert_eq!(lines(&listed.assert_code(0).out).len() as u64, failed);
    let shown = fleet.bench.run(&["failed", "show", "--class", "marker", "--json"]).await;
    let shown = lines(&shown.assert_code(0).out);
    assert_eq!(shown[0]["event"]["class"], "marker", "{shown:#?}");
    assert!(shown[0]["job"]["asset_id"].is_string());
    let counted = fleet.bench.run(&["failed", "replay", "--dry-run"]).await;
    assert!(counted.assert_code(0).talk.contains(&format!("{failed} failed jobs to replay")));
    assert_eq!(fleet.failed().await.len() as u64, failed);
    drop(worker);

    // What is wrong with them stays wrong: replayed, each fails again and is listed once.
    let replayed = fleet.bench.run(&["failed", "replay", "--yes"]).await;
    assert!(replayed.assert_code(0).talk.contains("the workers take them up"), "{replayed:#?}");
    let status = fleet.bench.run(&["status", "--json"]).await;
    let status: Value = serde_json::from_str(status.assert_code(0).out.trim()).unwrap();
    let open: u64 = ["submit_fresh", "submit_backlog", "transfer", "save", "waiting"]
        .iter()
        .map(|name| status["queues"][*name].as_u64().unwrap())
        .sum();
    assert_eq!((open, status["queues"]["failed"].as_u64().unwrap()), (failed, 0));
    assert_eq!(status["runs"][0]["failed"], failed);
    let _worker = fleet.worker();
    let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
    while (fleet.failed().await.len() as u64) < failed {
        assert!(tokio::time::Instant::now() < deadline, "the replayed jobs do not end");
    }
    let dropped = fleet.bench.run(&["failed", "drop", "--yes", "--class", "marker"]).await;
    assert!(dropped.assert_code(0).talk.contains("1 failed jobs are forgotten"), "{dropped:#?}");
    assert_eq!(fleet.failed().await.len() as u64, failed - 1);
    // The next producer takes the drop into the record.
    fleet.sync().await;
    let counts = fleet.bench.run(&["failed", "count", "--json"]).await.assert_code(0).summary();
    let all: u64 = counts.as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!((all, &counts["marker"]), (failed - 1, &Value::Null), "{counts}");
    let mut seen = std::collections::BTreeSet::new();
    for page in 1..=failed {
        let page = page.to_string();
        let listed = fleet.bench.run(&["failed", "list", "--limit", "1", "--page", &page, "--json"]).await;
        seen.extend(lines(&listed.assert_code(0).out).iter().map(|event| event["job_id"].to_string()));
    }
    assert_eq!(seen.len() as u64, failed - 1);
    assert_clean(&fleet.bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_dies_midway_and_is_repeated_does_nothing_twice() {
    let options = sandbox::Options { watermark_time: Duration::from_secs(1), ..quick() };
    let fleet = Fleet::new(options).await;
    for seed in 0..8 {
        fleet.bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap();
    }
    // Each job fails once, by a wait that is too long.
    fleet.bench.reconfigure("grace = '8s'", "grace = '8s'\nlongest_wait = '1ms'");
    let impatient = fleet.worker();
    fleet.sync().await.assert_code(6);
    assert_eq!(fleet.failed().await.len(), 8);
    drop(impatient);
    fleet.bench.reconfigure("\nlongest_wait = '1ms'", "");
    let _worker = fleet.worker();
    let deadly = [("CONNECTOR_CRASH_AT", "4".to_owned())];
    let died = fleet.bench.run_with(&["failed", "replay", "--yes"], &deadly).await;
    assert_eq!(died.code, None, "{died:#?}");
    for _ in 0..2 {
        fleet.bench.run(&["failed", "replay", "--yes"]).await.assert_code(0);
    }
    crate::harness::until(|| fleet.bench.sandbox.audit().assets.iter().all(crate::harness::is_protected))
        .await;
    fleet.sync_until_recorded().await;
    assert_clean(&fleet.bench.sandbox.audit());
    assert!(fleet.bench.sandbox.audit().assets.iter().all(|asset| asset.media == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_not_there_is_said_and_the_rest_is_shown() {
    let fleet = Fleet::on("amqp://guest:guest@127.0.0.1:1/%2f", quick()).await;
    let status = fleet.bench.run(&["status"]).await;
    assert!(status.assert_code(5).out.contains("cannot reach the broker"), "{status:#?}");
    let doctor = fleet.bench.run(&["doctor"]).await;
    assert!(doctor.assert_code(5).out.contains("FAIL  broker: cannot reach the broker"), "{doctor:#?}");
    let warned = "the few calls of this check are made without a share of the request budget";
    assert!(doctor.talk.contains(warned), "{doctor:#?}");
    let calls = fleet.bench.sandbox.stats().portal_calls;
    assert!(calls > 0, "doctor makes its few calls all the same");
    let plan = fleet.bench.run(&["plan", "--full"]).await;
    assert!(plan.assert_code(5).talk.contains("cannot reach the broker"), "{plan:#?}");
    assert_eq!(fleet.bench.sandbox.stats().portal_calls, calls, "plan calls without a share of the budget");
    let worker = crate::harness::fleet::ended(fleet.producer(&["sync", "--full", "--quiet"])).await;
    assert!(worker.assert_code(5).talk.contains("cannot reach the broker"), "{worker:#?}");
    drop(fleet);
    let whole = Fleet::new(quick()).await;
    whole.bench.set_request_timeout(15);
    let doctor = whole.bench.run(&["doctor"]).await;
    assert!(doctor.assert_code(0).out.contains("PASS  broker:"), "{doctor:#?}");
    assert!(!format!("{status:?}{doctor:?}{worker:?}").contains("guest:guest"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_shows_who_is_at_work_what_they_cannot_use_and_goes_on_until_it_is_stopped() {
    let fleet = Fleet::new(quick()).await;
    for number in 0..3 {
        fleet.bench.sandbox.add_asset(picture(&format!("{number}.jpg"), number)).unwrap();
    }
    let refusal = Action::Answer { status: 401, body: String::new(), content_type: "text/plain".to_owned() };
    fleet.bench.sandbox.set_faults(every("imatag.submit", Moment::Before, refusal));
    let _worker = fleet.worker();
    fleet.publish().await.assert_code(0);
    until(|| fleet.worker_logs().contains("no further jobs are taken")).await;
    let mut watching =
        fleet.bench.command(&["status", "--watch", "--every", "100ms", "--json"]).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut next = async || {
        let line = tokio::time::timeout(Duration::from_mins(1), lines.next_line()).await.unwrap();
        let line = line.unwrap().unwrap();
        serde_json::from_str::<Value>(&line).unwrap()
    };
    let mut told = next().await;
    for _ in 0..20 {
        if told["members"][0]["services_out"] == serde_json::json!(["imatag"]) {
            break;
        }
        told = next().await;
    }
    assert_eq!(told["members"][0]["services_out"], serde_json::json!(["imatag"]), "{told}");
    assert_eq!((&told["members"][0]["program"], &told["forecast"]["open"]), (&"worker".into(), &3.into()));
    assert!(told["forecast"]["seconds_at_rate"].is_null() && told["queue_error"].is_null(), "{told}");
    // Whoever announces itself a moment late is not counted.
    until_async(async || {
        let shown = fleet.bench.run(&["status"]).await.assert_code(0).out.clone();
        shown.contains("workers 1, producers 0") && shown.contains("cannot be used")
    })
    .await;
    signal(&watching, Signal::SIGTERM);
    assert_eq!(watching.wait().await.unwrap().code(), Some(0));

    let hasty = fleet.bench.run(&["status", "--watch", "--every", "0s"]).await;
    assert!(hasty.assert_code(2).talk.contains("--every must be greater"), "{hasty:?}");
    let mut unread = fleet.bench.command(&["status", "--watch", "--every", "100ms"]).spawn().unwrap();
    drop(unread.stdout.take());
    let ended = tokio::time::timeout(Duration::from_mins(1), unread.wait()).await;
    assert_eq!(ended.expect("it goes on for nobody").unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_jobs_records_the_latest_is_replayed_whichever_matches_and_one_that_came_since_stays() {
    let fleet = Fleet::new(quick()).await;
    let mut stranger = Stranger::connect(Broker::shared().await.address()).await;
    let connection = fleet.connection().await;
    let queue = |name: &str| format!("{}.{name}", fleet.prefix);
    let record = |step: Step, class: FailureClass, second: i64| {
        let mut job = job_of("RUN-1", "A", Lane::Fresh);
        job.step = step;
        let failure = Failure { class, reason: "no".into(), request_id: None };
        let event = job.ended(Outcome::Failed(failure), jiff::Timestamp::from_second(second).unwrap());
        let mut record =
            serde_json::to_value(Failed::unreadable(b"", None, &MessageError::Newer(9))).unwrap();
        record["v"] = 1.into();
        record["event"] = serde_json::to_value(&event).unwrap();
        record["job"] = serde_json::to_value(&job).unwrap();
        record.to_string().into_bytes()
    };
    let earlier = record(Step::Submit, FailureClass::Exhausted, 100);
    let later = record(Step::Save, FailureClass::Permission, 200);
    for body in [&earlier, &later, &later] {
        stranger.publish("", queue("failed").as_bytes(), b"\0\0", body).await;
    }
    let failed = connection.failed_jobs();
    let exhausted = FailedFilter { class: Some(FailureClass::Exhausted), ..FailedFilter::default() };
    let selected = failed.select(&exhausted, &|_| ()).await.unwrap();
    // By a clock that is behind.
    let since = record(Step::Transfer, FailureClass::Local, 50);
    stranger.publish("", queue("failed").as_bytes(), b"\0\0", &since).await;
    assert_eq!(failed.replay(&selected, &|_| ()).await.unwrap(), 1);
    // What a pass leaves goes back to its queue when its channel is closed.
    until_ready(&mut stranger, &queue("failed"), 1).await;
    until_ready(&mut stranger, &queue("save"), 1).await;
    assert_eq!(stranger.ready(&queue("submit.fresh")).await, 0);
}
