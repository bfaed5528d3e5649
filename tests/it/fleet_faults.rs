//! What goes wrong other than the broker: poisonous messages, services out of order, clocks, films that take for ever.

use std::time::Duration;

use common::outcome::{FailureClass, Outcome};
use lapin::options::{BasicGetOptions, BasicNackOptions, BasicPublishOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use sandbox::AuditedAsset;
use sandbox::faults::{Action, Faults, Moment, of_all_kinds};

use crate::harness::broker::{Broker, free_ports};
use crate::harness::fleet::{Fleet, ended};
use crate::harness::page::shows;
use crate::harness::scene::{every, slow};
use crate::harness::scrape::Scrape;
use crate::harness::{assert_clean, is_protected, picture, quick, until, until_async};

/// Puts bytes into a queue of the fleet's, as anybody with access to the broker may.
async fn smuggle(fleet: &Fleet, queue: &str, bytes: &[u8]) {
    let url = Broker::shared().await.url();
    let connection = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let options = BasicPublishOptions::default();
    let key = format!("{}.{queue}", fleet.prefix);
    let sent = channel.basic_publish("".into(), key.into(), options, bytes, BasicProperties::default());
    sent.await.unwrap().await.unwrap();
    connection.close(200, "done".into()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_no_jobs_become_failed_jobs_and_stop_nobody() {
    let fleet = Fleet::new(quick()).await;
    let id = fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    let _declared = fleet.queue().await;
    let traversal = r#"{"v":1,"job_id":"x","asset_id":"../v7/users"}"#.as_bytes();
    let partial = br#"{"v":1,"job_id":"without-most-fields","asset_id":"A-1","run_id":"r"}"#;
    let large = vec![b' '; 70 * 1024];
    for (queue, bytes) in [
        ("submit.fresh", b"garbage".as_slice()),
        ("save", &[0xFF, 0, 7]),
        ("transfer", traversal),
        ("submit.backlog", partial),
        ("dead", b"{}"),
        ("submit.fresh", &large),
    ] {
        smuggle(&fleet, queue, bytes).await;
    }
    let [port] = free_ports();
    let _worker = fleet.worker_with(&[("CONNECTOR_HTTP__LISTEN", format!("127.0.0.1:{port}"))]);
    fleet.sync().await.assert_code(0);
    assert!(is_protected(&fleet.bench.asset(&id)));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    let mut failed = fleet.failed().await;
    while failed.len() < 6 && tokio::time::Instant::now() < deadline {
        failed = fleet.failed().await;
    }
    let malformed = failed.iter().filter(|failed| {
        matches!(&failed.event.outcome, Outcome::Failed(failure) if failure.class == FailureClass::Malformed)
    });
    assert_eq!(malformed.count(), 6, "{failed:#?}");
    assert!(failed.iter().any(|failed| failed.event.job_id.0 == "without-most-fields"), "{failed:#?}");
    // They are counted and reported like any other failure.
    let six = "connector_jobs_failed_total{class=\"malformed\"} 6\n";
    until_async(async || Scrape::of(port).await.text.contains(six)).await;
    assert_eq!(fleet.worker_logs().matches("class=\"malformed\"").count(), 6, "{}", fleet.worker_logs());
    assert_clean(&fleet.bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_that_kills_its_worker_fails_alone() {
    let fleet = Fleet::new(quick()).await;
    let ids: Vec<_> =
        (0..12).map(|seed| fleet.bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap()).collect();
    fleet.bench.reconfigure("request_timeout = '1s'", "request_timeout = '300ms'\nmax_attempts = 100");
    let poison = [("CONNECTOR_POISON", ids[5].clone())];
    let mut producing = std::pin::pin!(fleet.sync());
    let [mut one, mut other] = [fleet.worker_with(&poison), fleet.worker_with(&poison)];
    let ran = loop {
        tokio::select! {
            ran = &mut producing => break ran,
            _ = one.wait() => one = fleet.worker_with(&poison),
            _ = other.wait() => other = fleet.worker_with(&poison),
        }
    };
    ran.assert_code(6);
    assert_eq!((&ran.summary()["watermarked"], &ran.summary()["failed"]), (&11.into(), &1.into()));
    let failed = fleet.failed().await;
    assert_eq!(failed.len(), 1);
    assert!(matches!(&failed[0].event.outcome,
        Outcome::Failed(failure) if failure.class == FailureClass::Exhausted && failure.reason.contains("kills")));
    assert_eq!(failed[0].event.asset_id.as_str(), ids[5]);
    assert_clean(&fleet.bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_whose_step_panics_fails_alone_and_says_so() {
    let fleet = Fleet::new(quick()).await;
    let ids: Vec<_> =
        (0..3).map(|seed| fleet.bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap()).collect();
    fleet.bench.reconfigure("request_timeout = '1s'", "request_timeout = '300ms'");
    let mut worker = fleet.worker_with(&[("CONNECTOR_PANIC", ids[1].clone())]);
    let ran = fleet.sync().await;
    ran.assert_code(6);
    assert_eq!((&ran.summary()["watermarked"], &ran.summary()["failed"]), (&2.into(), &1.into()));
    let failed = fleet.failed().await;
    let Outcome::Failed(failure) = &failed[0].event.outcome else { panic!("{failed:?}") };
    assert!(failure.reason.contains("panicked: this asset makes a step panic"), "{failure:?}");
    assert_eq!(failed[0].event.asset_id.as_str(), ids[1]);
    assert!(worker.try_wait().unwrap().is_none(), "the worker ended");
    assert_clean(&fleet.bench.sandbox.audit());
}

/// Delivers the message that waits at the save again and again without an end, until the broker gives it up.
async fn lose_deliveries(fleet: &Fleet) {
    let url = Broker::shared().await.url();
    let connection = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let [work, dead] = ["save", "dead"].map(|queue| format!("{}.{queue}", fleet.prefix));
    until_async(async || {
        // Given back, it is not at once there again.
        let got = channel.basic_get(work.as_str().into(), BasicGetOptions::default()).await.unwrap();
        if let Some(got) = got {
            let again = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
            got.delivery.acker.nack(again).await.unwrap();
        }
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        let dead = channel.queue_declare(dead.as_str().into(), passive, FieldTable::default());
        dead.await.unwrap().message_count() == 1
    })
    .await;
}

/// The asset of a job that the broker gave up after it wrote ahead, and whose worker died while its save hung.
async fn given_up(hangs: Moment) -> AuditedAsset {
    let fleet = Fleet::new(quick()).await;
    // The worker dies before it has settled the job: killed between retry and acknowledgement, it leaves two.
    fleet.bench.set_request_timeout(6);
    let id = fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    fleet.bench.sandbox.set_faults(every("bynder.save", hangs, Action::Hang));
    let mut worker = fleet.worker();
    fleet.publish().await.assert_code(0);
    until(|| match hangs {
        Moment::Before => fleet.requests("bynder.save") > 0,
        Moment::After => fleet.bench.asset(&id).versions.len() == 2,
    })
    .await;
    worker.kill().await.unwrap();
    assert!(fleet.bench.asset(&id).marker.is_some());
    let queue = fleet.queue().await;
    until_async(async || queue.connection.depth().await.unwrap().save == 1).await;
    lose_deliveries(&fleet).await;
    fleet.bench.sandbox.set_faults(Faults::default());
    let _heir = fleet.worker();
    until_async(async || !fleet.failed().await.is_empty()).await;
    let failed = fleet.failed().await;
    let Outcome::Failed(failure) = &failed[0].event.outcome else { panic!("{failed:?}") };
    assert_eq!(failure.class, FailureClass::Exhausted, "{failure:?}");
    fleet.bench.until_listed().await;
    assert_clean(&fleet.bench.sandbox.audit());
    fleet.bench.asset(&id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_the_broker_gave_up_leaves_the_marker_as_it_was_unless_its_save_happened() {
    let never_saved = given_up(Moment::Before).await;
    assert_eq!((never_saved.marker.as_deref().unwrap_or_default(), never_saved.versions.len()), ("", 1));
    let saved = given_up(Moment::After).await;
    assert_eq!((is_protected(&saved), saved.versions.len()), (true, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn services_that_fail_at_random_change_no_outcome() {
    let seed = rand::random();
    println!("seed {seed}");
    let fleet = Fleet::new(sandbox::Options { assets: 120, seed: 2, ..quick() }).await;
    // What fails by a fault is enough: what a busy machine is late with would use up attempts as well.
    fleet.bench.set_request_timeout(4);
    let producer = ended(fleet.producer(&["sync", "--full", "--wait", "--json", "--quiet"]));
    let producer = tokio::spawn(producer);
    let _workers: Vec<_> = (0..3).map(|_| fleet.worker()).collect();
    until(|| fleet.requests("imatag.submit") > 2).await;
    fleet.bench.sandbox.set_faults(of_all_kinds(seed, 0.03));
    let ran = producer.await.unwrap();
    ran.assert_code(6);
    fleet.bench.sandbox.set_faults(Faults::default());
    fleet.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_stops_the_workers_and_keeps_their_jobs() {
    let fleet = Fleet::new(quick()).await;
    for seed in 0..20 {
        fleet.bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap();
    }
    let [port] = crate::harness::broker::free_ports();
    let mut worker = fleet.worker_with(&[("CONNECTOR_HTTP__LISTEN", format!("127.0.0.1:{port}"))]);
    let comes = async |path: &str, text: &str| shows(port, path, text).await;
    comes("/readyz", "200 OK").await;
    let refused =
        Action::Answer { status: 401, body: "no".to_owned(), content_type: "text/plain".to_owned() };
    fleet.bench.sandbox.set_faults(every("bynder.download", Moment::Before, refused));
    fleet.publish().await.assert_code(0);
    comes("/readyz", "does not accept the token").await;
    comes("/healthz", "200 OK").await;
    comes("/metrics", "connector_breaker_open{service=\"bynder\"} 1").await;
    assert_eq!(fleet.connection().await.depth().await.unwrap().failed, 0);
    fleet.bench.sandbox.set_faults(Faults::default());
    until(|| fleet.bench.sandbox.audit().assets.iter().all(is_protected)).await;
    comes("/readyz", "200 OK").await;
    comes("/metrics", "connector_jobs_total{outcome=\"watermarked\"} 20").await;
    assert!(worker.try_wait().unwrap().is_none());
    fleet.sync().await.assert_code(0);
    fleet.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_that_takes_long_holds_no_delivery_and_one_that_takes_for_ever_fails() {
    let options = sandbox::Options { watermark_time: Duration::from_secs(12), ..quick() };
    let fleet = Fleet::new(options).await;
    let id = fleet.bench.sandbox.add_asset(picture("slow.jpg", 1)).unwrap();
    let worker = fleet.worker();
    let producer = tokio::spawn(ended(fleet.producer(&["sync", "--full", "--wait", "--json", "--quiet"])));
    until(|| fleet.requests("imatag.status") > 2).await;
    producer.await.unwrap().assert_code(0);
    assert!(is_protected(&fleet.bench.asset(&id)));

    fleet.bench.reconfigure("grace = '8s'", "grace = '8s'\nlongest_wait = '2s'");
    let _impatient = fleet.worker();
    drop(worker);
    fleet.bench.sandbox.add_asset(picture("never.jpg", 2)).unwrap();
    let ran = fleet.sync().await;
    ran.assert_code(6);
    let failed = fleet.failed().await;
    assert!(
        matches!(&failed[0].event.outcome, Outcome::Failed(failure) if failure.class == FailureClass::TimedOut),
        "{failed:#?}"
    );
    assert_clean(&fleet.bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_an_hour_ends_no_wait_and_no_job() {
    let fleet = Fleet::new(quick()).await;
    for seed in 0..40 {
        fleet.bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap();
    }
    fleet.bench.sandbox.set_faults(slow("imatag.submit", Duration::from_millis(300)));
    let clock = fleet.bench.path("clock");
    std::fs::write(&clock, "+0").unwrap();
    let jumping = [
        ("LD_PRELOAD", "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1".to_owned()),
        ("FAKETIME_TIMESTAMP_FILE", clock.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("CONNECTOR_WORKER__CONCURRENCY", "4".to_owned()),
    ];
    let _jumping = fleet.worker_with(&jumping);
    let _steady = fleet.worker_with(&[("CONNECTOR_WORKER__CONCURRENCY", "4".to_owned())]);
    let producer = tokio::spawn(ended(fleet.producer(&["sync", "--full", "--wait", "--json", "--quiet"])));
    for (done, offset) in [(6, "+3600"), (14, "-3600"), (24, "+0")] {
        until(|| fleet.requests("imatag.submit") > done).await;
        std::fs::write(&clock, offset).unwrap();
    }
    producer.await.unwrap().assert_code(0);
    fleet.assert_all_is_well().await;
}
