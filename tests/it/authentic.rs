//! Who has not the fleet's key makes no job, no outcome, and does no work.

use std::time::Duration;

use common::content::Content;
use common::hash::FileFacts;
use common::job::{Job, Lane, MessageError, Step};
use common::outcome::Outcome;
use ledger::Ledger;
use ledger::state::State;
use queue::QueueError;
use rabbitmq::{Broker as Connection, Failed, Inventory, MessageKeys, SIGNATURE_HEADER, encode_event};

use crate::harness::amqp::Stranger;
use crate::harness::broker::Broker;
use crate::harness::fleet::{Fleet, ended};
use crate::harness::{assert_clean, is_protected, job_of, picture, quick, until, until_async};

const KEY: &str = "the-key-that-this-fleet-signs-its-messages-by";
const OTHER: &str = "another-key-of-somebody-who-has-no-business-here";
const VARIABLE: &str = "CONNECTOR_BROKER__MESSAGE_KEY";

fn keys(text: &str) -> MessageKeys {
    MessageKeys::read(&text.into()).unwrap()
}

async fn signed_fleet() -> (Fleet, Stranger) {
    let mut fleet = Fleet::new(quick()).await;
    fleet.configure(&format!("message_key = '{KEY}'\n"));
    fleet.keys = keys(KEY);
    (fleet, Stranger::connect(Broker::shared().await.address()).await)
}

/// A job that is to make the secret asset's medium the open asset's picture.
async fn job_with_medium_of(fleet: &Fleet, open: &str, secret: &str) -> Job {
    let state = State::open_to_read(&fleet.bench.path("state")).unwrap().unwrap();
    let events = Ledger::new(state).outcomes_of(&secret.parse().unwrap()).await.unwrap();
    let media_id = events[0].media_id.clone().unwrap();
    let original = FileFacts {
        sha256: events[0].original.unwrap(),
        bytes: 5000,
        media_type: Some("image/jpeg".to_owned()),
        pixels: None,
        content: Some(Box::new(Content::Other)),
    };
    let mut job = job_of("RUN-2", open, Lane::Fresh);
    job.step = Step::Transfer;
    job.file_name = Some("one.jpg".to_owned());
    job.effects.media_id = Some(media_id.try_into().unwrap());
    job.effects.original = Some(original);
    job
}

/// Waits until so many messages are in a queue.
pub(crate) async fn until_ready(stranger: &mut Stranger, queue: &str, count: u32) {
    let waiting = async {
        // The broker does not say when a message comes.
        while stranger.ready(queue).await < count {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), waiting).await.expect("they do not come");
}

/// Waits until so many messages are set aside.
async fn until_rejected(fleet: &Fleet, stranger: &mut Stranger, count: u32) {
    let queue = format!("{}.rejected", fleet.prefix);
    until_ready(stranger, &queue, count).await;
    assert_eq!(stranger.ready(&queue).await, count);
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_jobs_and_outcomes_are_set_aside_and_change_nothing() {
    let (fleet, mut stranger) = signed_fleet().await;
    let [open, secret] = [1, 2].map(|seed| fleet.bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap());
    let _worker = fleet.worker();
    fleet.sync().await.assert_code(0);
    let outcomes = fleet.bench.outcomes(&open).await;
    let versions = fleet.bench.asset(&open).versions.len();
    let job = job_with_medium_of(&fleet, &open, &secret).await;
    let body = job.encode().unwrap();
    for queue in ["transfer", "save", "submit.fresh", "submit.backlog", "dead"] {
        stranger.publish("", format!("{}.{queue}", fleet.prefix).as_bytes(), b"\0\0", &body).await;
    }
    until_rejected(&fleet, &mut stranger, 5).await;
    let gone = encode_event(&job.ended(Outcome::Gone, job.created_at)).unwrap();
    stranger.publish("", format!("{}.results", fleet.prefix).as_bytes(), b"\0\0", &gone).await;
    fleet.sync().await.assert_code(0);
    until_rejected(&fleet, &mut stranger, 6).await;
    assert_eq!(fleet.bench.outcomes(&open).await, outcomes);
    assert_eq!(fleet.bench.asset(&open).versions.len(), versions);
    assert_clean(&fleet.bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_message_is_nothing_in_another_queue_and_finds_its_work_done_in_its_own() {
    let (fleet, mut stranger) = signed_fleet().await;
    let id = fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    fleet.publish().await.assert_code(0);
    let queue = format!("{}.submit.backlog", fleet.prefix);
    let (properties, body) = stranger.first_of(&queue).await;
    assert!(Job::decode(&body).is_ok());
    for other in ["transfer", "save", "submit.fresh"] {
        stranger.publish("", format!("{}.{other}", fleet.prefix).as_bytes(), &properties, &body).await;
    }
    // Another body under the signature, where it was signed for and where the broker puts what it gave up.
    let forged = [&body[..], b" "].concat();
    for place in ["submit.backlog", "dead"] {
        stranger.publish("", format!("{}.{place}", fleet.prefix).as_bytes(), &properties, &forged).await;
    }
    let _worker = fleet.worker();
    until_rejected(&fleet, &mut stranger, 5).await;
    until(|| is_protected(&fleet.bench.asset(&id))).await;
    let results = format!("{}.results", fleet.prefix);
    until_ready(&mut stranger, &results, 1).await;
    let ended = stranger.first_of(&results).await;
    fleet.sync_until_recorded().await;
    let outcomes = fleet.bench.outcomes(&id).await;
    stranger.publish("", results.as_bytes(), &ended.0, &ended.1).await;
    stranger.publish("", queue.as_bytes(), &properties, &body).await;
    until(|| fleet.worker_logs().matches(" done ").count() > 1).await;
    fleet.sync().await.assert_code(0);
    assert_eq!(fleet.bench.outcomes(&id).await, outcomes);
    fleet.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_with_another_key_or_none_ends_before_it_takes_anything() {
    let (mut fleet, mut stranger) = signed_fleet().await;
    for seed in 0..6 {
        fleet.bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap();
    }
    fleet.publish().await.assert_code(0);
    let wrong = fleet.worker_with(&[(VARIABLE, OTHER.to_owned())]);
    ended(wrong).await.assert_code(3);
    assert!(fleet.worker_logs().contains("broker.message_key is not the key"), "{}", fleet.worker_logs());
    let doctor = fleet.bench.run_with(&["doctor"], &[(VARIABLE, OTHER.to_owned())]).await;
    assert!(doctor.out.contains("broker.message_key is not the key"), "{}", doctor.out);
    // Given both, a worker takes what the other key signed.
    let _turned = fleet.worker_with(&[(VARIABLE, format!("{OTHER},{KEY}"))]);
    until(|| fleet.bench.sandbox.audit().assets.iter().all(is_protected)).await;
    fleet.configure("");
    let unsigned = fleet.worker();
    ended(unsigned).await.assert_code(3);
    assert!(fleet.worker_logs().contains("broker.message_key is missing"), "{}", fleet.worker_logs());
    fleet.configure(&format!("message_key = '{OTHER},{KEY}'\n"));
    fleet.sync().await.assert_code(0);
    until_rejected(&fleet, &mut stranger, 0).await;
    fleet.keys = keys(&format!("{OTHER},{KEY}"));
    fleet.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_or_a_look_with_another_key_or_none_is_refused() {
    let (mut fleet, _) = signed_fleet().await;
    fleet.connection().await;
    for (text, is_right) in [(Some(OTHER), false), (None, false), (Some(&*format!("{OTHER},{KEY}")), true)] {
        fleet.keys = text.map(keys).unwrap_or_default();
        let settings = fleet.settings();
        let opened = Connection::open(&settings, Duration::from_secs(30)).await.map(drop);
        let looked = Inventory::take(&settings).await.map(drop);
        for ended in [opened, looked] {
            let is_misfit = matches!(ended, Err(QueueError::Misconfigured(_)));
            assert!(if is_right { ended.is_ok() } else { is_misfit }, "{text:?}: {ended:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_of_a_stranger_pauses_nothing_and_a_persons_does() {
    let (fleet, mut stranger) = signed_fleet().await;
    let _worker = fleet.worker();
    until(|| fleet.worker_logs().contains("at work")).await;
    let pause = br#"{"since":"2026-01-01T00:00:00Z","reason":"no work today"}"#;
    let queue = format!("{}.pause.operator", fleet.prefix);
    stranger.publish("", queue.as_bytes(), b"\0\0", pause).await;
    let status = fleet.bench.run(&["status"]).await;
    assert!(!status.assert_code(0).out.contains("no work today"), "{status:?}");
    until_rejected(&fleet, &mut stranger, 1).await;
    let id = fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    fleet.sync().await.assert_code(0);
    assert!(is_protected(&fleet.bench.asset(&id)));

    fleet.bench.run(&["pause", "--reason", "inventory"]).await.assert_code(0);
    until(|| fleet.worker_logs().contains("paused by a person")).await;
    assert!(fleet.bench.run(&["status"]).await.assert_code(0).out.contains("inventory"));
    assert_eq!(stranger.ready(&queue).await, 1, "whoever reads it leaves it there");
    fleet.bench.run(&["resume"]).await.assert_code(0);
    until(|| fleet.worker_logs().contains("resumed")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_of_a_stranger_is_not_heard() {
    let (fleet, mut stranger) = signed_fleet().await;
    let _worker = fleet.worker();
    until(|| fleet.worker_logs().contains("at work")).await;
    let beat =
        format!(r#"{{"v":2,"member":"m","deployment":"{}","program":"worker","in_hand":7}}"#, fleet.prefix);
    let announcing = async {
        loop {
            stranger.publish("connector.control", fleet.prefix.as_bytes(), b"\0\0", beat.as_bytes()).await;
            // Not waited for: they are to come while the program listens.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let status = tokio::select! {
        () = announcing => unreachable!("it has no end"),
        status = fleet.bench.run(&["status", "--json"]) => status,
    };
    let summary = status.assert_code(0).summary();
    let members = summary["members"].as_array().unwrap();
    assert!(members.len() == 1 && members[0]["member"] != "m", "{members:#?}");
    until(|| fleet.worker_logs().contains("an announcement is not signed")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outcome_of_a_job_that_was_never_published_is_no_evidence_where_nothing_is_signed() {
    let fleet = Fleet::new(quick()).await;
    let mut stranger = Stranger::connect(Broker::shared().await.address()).await;
    let id = fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    fleet.publish().await.assert_code(0);
    let event =
        job_of("RUN-2", &id, Lane::Fresh).ended(Outcome::Watermarked { version: 2 }, jiff::Timestamp::now());
    let queue = format!("{}.results", fleet.prefix);
    stranger.publish("", queue.as_bytes(), b"\0\0", &encode_event(&event).unwrap()).await;
    fleet.publish().await.assert_code(0);
    until_rejected(&fleet, &mut stranger, 1).await;
    assert_eq!(fleet.bench.outcomes(&id).await, []);
    // The asset's own job is done all the same, and its outcome is.
    let _worker = fleet.worker();
    fleet.sync_until_recorded().await;
    assert_eq!(fleet.bench.outcomes(&id).await.len(), 1);
    fleet.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_with_a_wrong_key_among_right_ones_lose_no_job() {
    let (fleet, mut stranger) = signed_fleet().await;
    for seed in 0..12 {
        fleet.bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap();
    }
    let _right = fleet.worker();
    // The first process declares the fleet's key: without this wait a wrong one could be first.
    until(|| fleet.worker_logs().contains("at work")).await;
    let running = fleet.producer(&["sync", "--full", "--wait", "--json", "--quiet"]);
    for _ in 0..3 {
        ended(fleet.worker_with(&[(VARIABLE, OTHER.to_owned())])).await.assert_code(3);
    }
    assert_eq!(ended(running).await.assert_code(0).summary()["watermarked"], 12);
    until_rejected(&fleet, &mut stranger, 0).await;
    fleet.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_outcome_of_a_published_job_does_not_keep_the_true_one_out() {
    let (fleet, mut stranger) = signed_fleet().await;
    let id = fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    fleet.publish().await.assert_code(0);
    let (_, body) = stranger.first_of(&format!("{}.submit.backlog", fleet.prefix)).await;
    let job = Job::decode(&body).unwrap();
    let forged =
        encode_event(&job.ended(Outcome::Watermarked { version: 9 }, jiff::Timestamp::now())).unwrap();
    stranger.publish("", format!("{}.results", fleet.prefix).as_bytes(), b"\0\0", &forged).await;
    fleet.publish().await.assert_code(0);
    until_rejected(&fleet, &mut stranger, 1).await;
    assert_eq!(fleet.bench.outcomes(&id).await, []);
    let _worker = fleet.worker();
    fleet.sync_until_recorded().await;
    assert_eq!(fleet.bench.outcomes(&id).await, [Outcome::Watermarked { version: 2 }]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_of_a_stranger_is_neither_shown_nor_replayed() {
    let (fleet, mut stranger) = signed_fleet().await;
    let id = fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    fleet.connection().await;
    let job = job_of("RUN-2", &id, Lane::Fresh);
    let failed = Failed::unreadable(b"{}", Some(&job.job_id.0), &MessageError::Newer(9));
    let mut failed: serde_json::Value = serde_json::from_slice(&failed.encode().unwrap()).unwrap();
    failed["job"] = serde_json::to_value(&job).unwrap();
    let queue = format!("{}.failed", fleet.prefix);
    stranger.publish("", queue.as_bytes(), b"\0\0", failed.to_string().as_bytes()).await;
    assert_eq!(fleet.failed().await.len(), 0);
    fleet.bench.run(&["failed", "replay", "--yes"]).await.assert_code(0);
    assert_eq!(stranger.ready(&format!("{}.submit.fresh", fleet.prefix)).await, 0);
    assert_eq!(stranger.ready(&queue).await, 1, "it stays for a person to look at");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_job_that_no_worker_has_begun_is_sent_back_without_a_signature() {
    let (fleet, mut stranger) = signed_fleet().await;
    let id = fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    let _worker = fleet.worker();
    until(|| fleet.worker_logs().contains("at work")).await;
    // An idle worker has a consumer in the queue, which gets the job; while it is paused, no step takes it.
    fleet.bench.run(&["pause"]).await.assert_code(0);
    until(|| fleet.worker_logs().contains("paused by a person")).await;
    let queue = format!("{}.submit.backlog", fleet.prefix);
    let job = job_of("RUN-2", &id, Lane::Backlog).encode().unwrap();
    stranger.publish("", queue.as_bytes(), b"\0\0", &job).await;
    until_ready(&mut stranger, &queue, 1).await;
    let (properties, _) = stranger.first_of(&queue).await;
    let signature = SIGNATURE_HEADER.as_bytes();
    assert!(!properties.windows(signature.len()).any(|bytes| bytes == signature));
    fleet.bench.run(&["resume"]).await.assert_code(0);
    until_rejected(&fleet, &mut stranger, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_names_another_assets_medium_uploads_nothing_where_nothing_is_signed() {
    let fleet = Fleet::new(quick()).await;
    let mut stranger = Stranger::connect(Broker::shared().await.address()).await;
    let [open, secret] = [1, 2].map(|seed| fleet.bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap());
    let _worker = fleet.worker();
    fleet.sync().await.assert_code(0);
    let job = job_with_medium_of(&fleet, &open, &secret).await;
    let queue = format!("{}.transfer", fleet.prefix);
    stranger.publish("", queue.as_bytes(), b"\0\0", &job.encode().unwrap()).await;
    until_async(async || !fleet.failed().await.is_empty()).await;
    let failed = fleet.failed().await;
    let said = format!("{:?}", failed[0].event.outcome);
    assert!(said.contains("is of another asset or another file"), "{said}");
    assert_clean(&fleet.bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_what_this_release_records_is_downloaded_anew_and_not_trusted() {
    let fleet = Fleet::new(quick()).await;
    fleet.bench.set_request_timeout(5);
    let mut stranger = Stranger::connect(Broker::shared().await.address()).await;
    let [open, secret] = [1, 2].map(|seed| fleet.bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap());
    let _worker = fleet.worker();
    fleet.sync().await.assert_code(0);
    let versions = fleet.bench.asset(&open).versions.len();
    let own = job_with_medium_of(&fleet, &open, &open).await;
    let others = job_with_medium_of(&fleet, &open, &secret).await;
    let mut saving = Job { step: Step::Save, ..others.clone() };
    saving.effects.watermarked = saving.effects.original.clone();
    saving.effects.import_id = Some("9F0A9C2E-77B1-4D3C-9E5512AB34CD56EF".to_owned().try_into().unwrap());
    let downloads = || fleet.bench.sandbox.stats().requests["bynder.download"];
    for (step, mut job) in [("transfer", own), ("transfer", others), ("save", saving)] {
        if let Some(original) = &mut job.effects.original {
            original.content = None;
        }
        let (before, ended) = (downloads(), fleet.worker_logs().matches(" done ").count());
        let queue = format!("{}.{step}", fleet.prefix);
        stranger.publish("", queue.as_bytes(), b"\0\0", &job.encode().unwrap()).await;
        until(|| fleet.worker_logs().matches(" done ").count() > ended).await;
        assert!(downloads() > before, "the original was not looked at");
    }
    let asset = fleet.bench.asset(&open);
    assert_eq!((asset.versions.len(), asset.media), (versions, 1), "{asset:#?}");
    assert!(fleet.failed().await.is_empty());
    assert_clean(&fleet.bench.sandbox.audit());
}
