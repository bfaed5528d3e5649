//! The broker restarts, dies, stays away, fills up and forgets; connections are cut, black-holed and deaf. It costs
//! time and nothing else.

use std::time::{Duration, Instant};

use common::job::{Job, Lane, RunId};
use jiff::Timestamp;
use lapin::options::{BasicGetOptions, BasicPublishOptions};
use lapin::{Connection, ConnectionProperties};
use ledger::Ledger;
use ledger::state::State;
use nix::sys::signal::Signal;
use queue::{JobConsumer, JobPublisher, StepSet};
use rabbitmq::{MessageKeys, SIGNATURE_HEADER};
use sandbox::faults::Faults;
use tokio::process::Child;
use tokio::task::JoinHandle;

use crate::harness::amqp::{Stranger, header};
use crate::harness::broker::{Broker, url};
use crate::harness::fleet::{Fleet, ended, signal};
use crate::harness::proxy::Proxy;
use crate::harness::scene::{slow, slow_once};
use crate::harness::{Ran, is_protected, picture, quick, until, until_async};
use crate::poison::job as everything;

const WHOLE: [&str; 5] = ["sync", "--full", "--wait", "--json", "--quiet"];
/// After whatever was broken is whole again, work goes on within this time.
const RECOVERY: Duration = Duration::from_mins(2);

/// So few at once that there is work left whenever something heals.
fn few() -> [(&'static str, String); 1] {
    [("CONNECTOR_WORKER__CONCURRENCY", "2".to_owned())]
}

async fn pictures(url: &str, count: u64) -> Fleet {
    let fleet = Fleet::on(url, quick()).await;
    for seed in 0..count {
        fleet.bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap();
    }
    fleet
}

fn producing(fleet: &Fleet) -> JoinHandle<Ran> {
    tokio::spawn(ended(fleet.producer(&WHOLE)))
}

/// Fails unless further files are submitted within two minutes.
async fn assert_goes_on(fleet: &Fleet) {
    let before = fleet.requests("imatag.submit");
    let healed = Instant::now();
    until(|| fleet.requests("imatag.submit") > before).await;
    assert!(healed.elapsed() < RECOVERY, "it took {:?}", healed.elapsed());
}

fn assert_alive(workers: &mut [Child]) {
    assert!(workers.iter_mut().all(|worker| worker.try_wait().unwrap().is_none()), "a worker ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_restarts_dies_stays_away_and_drops_everybody_costs_time_alone() {
    let broker = Broker::start().await;
    let fleet = pictures(&broker.url(), 250).await;
    fleet.bench.sandbox.set_faults(slow("imatag.submit", Duration::from_millis(700)));
    let mut workers: Vec<_> = (0..3).map(|_| fleet.worker_with(&few())).collect();
    let producer = producing(&fleet);
    until(|| fleet.requests("imatag.submit") > 5).await;
    broker.stop().await;
    broker.restart().await;
    assert_goes_on(&fleet).await;
    broker.kill();
    broker.restart().await;
    assert_goes_on(&fleet).await;
    // Longer than anybody waits for a connection before giving a message up.
    broker.kill();
    tokio::time::sleep(Duration::from_secs(40)).await;
    broker.restart().await;
    assert_goes_on(&fleet).await;
    broker.control(&["close_all_connections", "for a test"]).await;
    assert_goes_on(&fleet).await;
    assert_alive(&mut workers);
    fleet.bench.sandbox.set_faults(Faults::default());
    producer.await.unwrap().assert_code(0);
    fleet.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_again_and_again_cost_time_alone() {
    let proxy = Proxy::start(Broker::shared().await.address()).await;
    let fleet = pictures(&url(proxy.address()), 120).await;
    let mut workers: Vec<_> = (0..3).map(|_| fleet.worker()).collect();
    let producer = producing(&fleet);
    for round in 1..=8 {
        until(|| producer.is_finished() || fleet.requests("bynder.save") > round * 8).await;
        proxy.cut();
    }
    producer.await.unwrap().assert_code(0);
    assert_alive(&mut workers);
    fleet.assert_all_is_well().await;
}

/// A worker whose way to the broker is broken for longer than the broker has patience, and one that takes over.
async fn zombie(broken: impl AsyncFn(&Proxy, &Child, bool)) {
    let shared = Broker::shared().await;
    let proxy = Proxy::start(shared.address()).await;
    let fleet = pictures(&shared.url(), 40).await;
    fleet.bench.sandbox.set_faults(slow("imatag.submit", Duration::from_millis(400)));
    let zombie = fleet.worker_with(&[("CONNECTOR_BROKER__URL", url(proxy.address()))]);
    let producer = producing(&fleet);
    until(|| fleet.requests("imatag.submit") > 4).await;
    broken(&proxy, &zombie, true).await;
    let _other = fleet.worker();
    // What the zombie holds is done by the other only once the broker has given the silent connection up.
    until(|| fleet.bench.sandbox.audit().assets.iter().all(is_protected)).await;
    broken(&proxy, &zombie, false).await;
    producer.await.unwrap().assert_code(0);
    fleet.assert_all_is_well().await;
    for asset in fleet.bench.sandbox.audit().assets {
        assert_eq!(asset.media, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_in_a_black_hole_does_nothing_that_another_does() {
    zombie(async |proxy, _, on| proxy.black_hole(on)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stands_still_does_nothing_that_another_does() {
    zombie(async |_, worker, on| signal(worker, if on { Signal::SIGSTOP } else { Signal::SIGCONT })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_longer_than_the_brokers_patience_keeps_its_delivery() {
    let broker = Broker::start_with("consumer_timeout = 12000").await;
    let fleet = pictures(&broker.url(), 3).await;
    fleet.bench.set_request_timeout(50);
    fleet.bench.reconfigure("'51s']", "'51s']\nlongest_hold = '1s'");
    fleet.bench.sandbox.set_faults(slow("imatag.submit", Duration::from_secs(30)));
    let _worker = fleet.worker();
    fleet.sync().await.assert_code(0);
    assert!(!fleet.worker_logs().contains("delivery is lost"), "{}", fleet.worker_logs());
    fleet.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_step_continues_while_a_broker_without_memory_renews_no_delivery() {
    let broker = Broker::start().await;
    let fleet = pictures(&broker.url(), 1).await;
    fleet.bench.set_request_timeout(50);
    fleet.bench.reconfigure("'51s']", "'51s']\nlongest_hold = '1s'");
    fleet.bench.sandbox.set_faults(slow_once("imatag.submit", Duration::from_secs(30)));
    let _worker = fleet.worker();
    fleet.publish().await.assert_code(0);
    until(|| fleet.requests("imatag.submit") == 1).await;
    broker.control(&["set_vm_memory_high_watermark", "absolute", "1"]).await;
    // The step ends at Imatag while the broker takes nothing.
    until(|| fleet.bench.sandbox.audit().assets[0].media == 1).await;
    assert!(fleet.worker_logs().contains("its step continues"), "{}", fleet.worker_logs());
    broker.control(&["set_vm_memory_high_watermark", "0.6"]).await;
    fleet.sync_until_recorded().await;
    fleet.assert_all_is_well().await;
    assert!(!fleet.worker_logs().contains("its step is abandoned"), "{}", fleet.worker_logs());
    assert_eq!((fleet.requests("imatag.submit"), fleet.bench.sandbox.audit().assets[0].media), (1, 1));
}

/// A worker whose only place is taken by a step that takes so long that its delivery is renewed, and its hold queue.
async fn under_renewal(fleet: &Fleet) -> (Child, String) {
    fleet.bench.set_request_timeout(25);
    fleet.bench.reconfigure("'26s']", "'26s']\nlongest_hold = '1s'");
    fleet.bench.sandbox.set_faults(slow_once("imatag.submit", Duration::from_secs(20)));
    let worker = fleet.worker_with(&[("CONNECTOR_WORKER__CONCURRENCY", "1".to_owned())]);
    fleet.publish().await.assert_code(0);
    let holds = format!("{}.hold.", fleet.prefix);
    let deadline = Instant::now() + RECOVERY;
    loop {
        // The first renewal makes it, which the broker does not announce.
        let listed = Broker::shared().await.control(&["list_queues", "name"]).await;
        if let Some(hold) = listed.lines().find(|name| name.starts_with(&holds)) {
            return (worker, hold.to_owned());
        }
        assert!(Instant::now() < deadline, "no delivery is renewed: {listed}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_renewed_by_its_own_message_and_no_other_job_that_lies_in_the_hold_is_lost() {
    let fleet = pictures(&Broker::shared().await.url(), 2).await;
    let (_worker, hold) = under_renewal(&fleet).await;
    // As a renewal leaves it that the broker kept waiting for too long.
    let url = Broker::shared().await.url();
    let connection = Connection::connect(&url, ConnectionProperties::default());
    let channel = connection.await.unwrap().create_channel().await.unwrap();
    let queues = ["backlog", "fresh"].map(|lane| format!("{}.submit.{lane}", fleet.prefix));
    // The worker has no place for it, and sends it back.
    until_async(async || {
        for queue in &queues {
            let options = BasicGetOptions { no_ack: true };
            let taken = channel.basic_get(queue.as_str().into(), options).await.unwrap();
            let Some(message) = taken.map(|taken| taken.delivery) else { continue };
            let (options, properties) = (BasicPublishOptions::default(), message.properties);
            let (hold, queue) = (hold.as_str().into(), queue.as_str().into());
            channel
                .basic_publish(hold, queue, options, &message.data, properties)
                .await
                .unwrap()
                .await
                .unwrap();
            return true;
        }
        false
    })
    .await;
    // The next renewal meets it, and gives it back to its step.
    let queue = fleet.queue().await;
    until_async(async || {
        let depth = queue.connection.depth().await.unwrap();
        depth.submit_backlog + depth.submit_fresh == 1
    })
    .await;
    let media = fleet.bench.sandbox.audit().assets.iter().map(|asset| asset.media).sum::<usize>();
    assert_eq!(media, 0, "the step was over; this proves nothing");
    until(|| fleet.bench.sandbox.audit().assets.iter().all(is_protected)).await;
    fleet.sync_until_recorded().await;
    fleet.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_in_a_hold_however_rightly_signed_ends_a_worker_or_its_step() {
    let mut fleet = pictures(&Broker::shared().await.url(), 1).await;
    fleet.configure("message_key = 'the-key-that-this-fleet-signs-its-messages-by'\n");
    fleet.keys = MessageKeys::read(&"the-key-that-this-fleet-signs-its-messages-by".into()).unwrap();
    let (worker, hold) = under_renewal(&fleet).await;
    let mut workers = [worker];
    let mut stranger = Stranger::connect(Broker::shared().await.address()).await;
    let (queue, portal) = (format!("{}.save", fleet.prefix), &fleet.bench.sandbox.announcement().bynder);
    let real = everything(portal).to_string().into_bytes();
    let raw = [Vec::new(), b"{}".to_vec(), vec![0xFF; 300], vec![b'['; 60_000]];
    // Every seventh: more of them than a renewal takes from the queue to find its own message.
    for body in laws::mutations(&real).into_iter().step_by(7).chain(raw) {
        let signature = fleet.keys.signature(&fleet.prefix, portal, &queue, &body).unwrap();
        let signature = header(SIGNATURE_HEADER, signature.as_bytes());
        stranger.send(&hold, queue.as_bytes(), &signature, &body).await;
    }
    stranger.confirmed().await;
    assert_eq!(fleet.bench.sandbox.audit().assets[0].media, 0, "the step was over; this proves nothing");
    until(|| fleet.bench.sandbox.audit().assets.iter().all(is_protected)).await;
    assert_alive(&mut workers);
    assert!(!fleet.worker_logs().contains("panicked"), "{}", fleet.worker_logs());
    fleet.sync_until_recorded().await;
    fleet.assert_all_is_well().await;
    let failed = stranger.ready(&format!("{}.failed", fleet.prefix)).await;
    assert!(failed > 100, "{failed} of them came to the step that they were for, and failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_worker_died_while_its_delivery_was_renewed_goes_back_to_its_step() {
    let fleet = pictures(&Broker::shared().await.url(), 1).await;
    let (mut worker, _) = under_renewal(&fleet).await;
    worker.kill().await.unwrap();
    assert_eq!(fleet.bench.sandbox.audit().assets[0].media, 0, "the step was over; this proves nothing");
    let _heir = fleet.worker();
    until(|| fleet.bench.sandbox.audit().assets.iter().all(is_protected)).await;
    fleet.sync_until_recorded().await;
    fleet.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_the_broker_closes_is_made_again() {
    let broker = Broker::start_with("consumer_timeout = 2000").await;
    let fleet = pictures(&broker.url(), 6).await;
    fleet.bench.set_request_timeout(6);
    fleet.bench.sandbox.set_faults(slow_once("imatag.submit", Duration::from_secs(5)));
    let _worker = fleet.worker();
    fleet.sync().await.assert_code(0);
    fleet.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_that_somebody_deleted_are_made_again() {
    let broker = Broker::start().await;
    let fleet = pictures(&broker.url(), 10).await;
    let _worker = fleet.worker();
    fleet.sync().await.assert_code(0);
    for queue in ["save", "transfer", "submit.backlog", "wait.400ms", "results"] {
        broker.control(&["delete_queue", &format!("{}.{queue}", fleet.prefix)]).await;
    }
    for seed in 20..30 {
        fleet.bench.sandbox.add_asset(picture("two.jpg", seed)).unwrap();
    }
    fleet.bench.until_listed().await;
    fleet.sync().await.assert_code(0);
    fleet.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_without_disk_takes_nothing_and_loses_nothing() {
    let broker = Broker::start().await;
    let fleet = pictures(&broker.url(), 150).await;
    fleet.bench.sandbox.set_faults(slow("imatag.submit", Duration::from_millis(700)));
    let mut workers: Vec<_> = (0..2).map(|_| fleet.worker_with(&few())).collect();
    let producer = producing(&fleet);
    until(|| fleet.requests("imatag.submit") > 5).await;
    broker.control(&["set_disk_free_limit", "900GB"]).await;
    // Longer than a publish waits for its confirmation.
    tokio::time::sleep(Duration::from_secs(15)).await;
    broker.control(&["set_disk_free_limit", "50MB"]).await;
    assert_goes_on(&fleet).await;
    assert_alive(&mut workers);
    fleet.bench.sandbox.set_faults(Faults::default());
    producer.await.unwrap().assert_code(0);
    fleet.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_holds_the_producer_back_and_loses_nothing() {
    let broker = Broker::start().await;
    let fleet = pictures(&broker.url(), 60).await;
    let pattern = format!("^{}\\.submit\\.backlog$", fleet.prefix);
    broker.control(&["set_policy", "--apply-to", "queues", "short", &pattern, r#"{"max-length": 10}"#]).await;
    let producer = producing(&fleet);
    let queue = fleet.queue().await;
    until_async(async || queue.connection.depth().await.unwrap().submit_backlog >= 10).await;
    let _worker = fleet.worker();
    producer.await.unwrap().assert_code(0);
    fleet.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn confirmations_that_are_lost_double_a_message_and_no_effect() {
    let shared = Broker::shared().await;
    let proxy = Proxy::start(shared.address()).await;
    let fleet = pictures(&shared.url(), 30).await;
    let through = [("CONNECTOR_BROKER__URL", url(proxy.address()))];
    let producer = tokio::spawn(ended(fleet.producer_with(&WHOLE, &through)));
    let queue = fleet.queue().await;
    until_async(async || queue.connection.depth().await.unwrap().submit_backlog >= 3).await;
    proxy.silence_server(true);
    // Longer than a publish waits for its confirmation.
    tokio::time::sleep(Duration::from_secs(12)).await;
    proxy.cut();
    proxy.silence_server(false);
    let _workers: Vec<_> = (0..2).map(|_| fleet.worker()).collect();
    producer.await.unwrap().assert_code(0);
    fleet.assert_all_is_well().await;
    for asset in fleet.bench.sandbox.audit().assets {
        assert_eq!(asset.media, 1);
    }
}

/// A queue with a ledger of its own publishes the same job a second time.
pub(crate) async fn publish_once_more(fleet: &Fleet, job: &Job) {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(State::open(directory.path()).unwrap());
    fleet.connection().await.publisher(ledger).publish(job).await.unwrap();
}

/// A job for an asset that nobody protects yet.
pub(crate) fn job(id: &str) -> Job {
    let run = RunId("by hand".to_owned());
    Job::new(run, id.parse().unwrap(), "one.jpg", Lane::Backlog, 1, None, Timestamp::now())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_no_queue_takes_never_counts_as_published() {
    let broker = Broker::start().await;
    let fleet = Fleet::on(&broker.url(), quick()).await;
    let queue = fleet.queue().await;
    for round in 0..3 {
        broker.control(&["delete_queue", &format!("{}.submit.backlog", fleet.prefix)]).await;
        publish_once_more(&fleet, &job(&format!("A{round}"))).await;
        let taken =
            tokio::time::timeout(Duration::from_secs(10), queue.consumer.next(StepSet::ALL)).await.unwrap();
        assert_eq!(taken.unwrap().job.asset_id.as_str(), format!("A{round}"));
    }
}
