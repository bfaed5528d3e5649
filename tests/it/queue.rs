//! The queue on a real broker keeps the same laws as the embedded one.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use budget::Budget;
use bynder::Gate;
use common::asset::AssetId;
use common::job::{Job, JobId, Lane};
use common::outcome::Outcome;
use futures::FutureExt;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties};
use ledger::Ledger;
use ledger::state::State;
use queue::{Attempt, Election, EmbeddedQueue, Left, Lockout, Locks, QueueError, Settlement, StepSet};
use rabbitmq::{self, MessageKeys, Settings};

use crate::harness::broker::{Broker, free_ports};
use crate::harness::fleet::Fleet;
use crate::harness::proxy::Proxy;
use crate::harness::queue_laws::{Harness, Queue, check_all, is_free, lease};
use crate::harness::{is_protected, picture, quick, until, until_async};

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn settings(prefix: String) -> Settings {
    Settings {
        url: Broker::shared().await.url().into(),
        allow_plain: false,
        authority: None,
        egress_group: prefix.clone(),
        prefix,
        rungs: [5, 300].map(Duration::from_millis).to_vec(),
        portal: "https://portal.example".to_owned(),
        program: "test".to_owned(),
        keys: MessageKeys::default(),
    }
}

/// Opens queues under names of their own, each with a ledger as a producer has one.
#[derive(Default)]
struct OnBroker {
    number: AtomicU32,
    latest: Mutex<Option<(Settings, Ledger)>>,
}

async fn on_broker(settings: &Settings, ledger: &Ledger) -> Queue {
    let broker = rabbitmq::Broker::open(settings, PATIENCE).await.unwrap();
    Queue {
        publisher: Arc::new(broker.publisher(ledger.clone())),
        consumer: Arc::new(broker.consumer()),
        failed_jobs: Arc::new(broker.failed_jobs()),
        locks: Arc::new(broker.locks()),
    }
}

#[async_trait::async_trait]
impl Harness for OnBroker {
    async fn open(&self) -> Queue {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let settings = settings(format!("laws{number}")).await;
        let directory = tempfile::tempdir().unwrap().keep();
        let ledger = Ledger::new(State::open(&directory).unwrap());
        let queue = on_broker(&settings, &ledger).await;
        *self.latest.lock().unwrap() = Some((settings, ledger));
        queue
    }

    async fn crash_and_reopen(&self, queue: Queue) -> Queue {
        // What a dead process leaves is connections that end without a word.
        drop(queue);
        let (settings, ledger) = self.latest.lock().unwrap().clone().unwrap();
        on_broker(&settings, &ledger).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_on_a_broker_keeps_every_law() {
    check_all(&OnBroker::default()).await;
}

/// Embedded queues, each with its directory.
#[derive(Default)]
struct Embedded {
    latest: Mutex<Option<Arc<tempfile::TempDir>>>,
}

async fn embedded(directory: &std::path::Path) -> Queue {
    let queue = Arc::new(EmbeddedQueue::open(State::open(directory).unwrap()).await.unwrap());
    Queue { publisher: queue.clone(), consumer: queue.clone(), failed_jobs: queue.clone(), locks: queue }
}

#[async_trait::async_trait]
impl Harness for Embedded {
    async fn open(&self) -> Queue {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let queue = embedded(directory.path()).await;
        *self.latest.lock().unwrap() = Some(directory);
        queue
    }

    async fn crash_and_reopen(&self, queue: Queue) -> Queue {
        drop(queue);
        let directory = self.latest.lock().unwrap().clone().unwrap();
        // The forgotten delivery still holds the old state, so the new one is opened past the lock, as if its
        // holder had died.
        std::fs::remove_file(directory.path().join("lock")).unwrap();
        embedded(directory.path()).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_queue_keeps_every_law() {
    check_all(&Embedded::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_a_refusal_that_names_no_secret() {
    let url = Broker::shared().await.url().replace("guest:guest", "guest:wrong-secret");
    let wrong = Settings { url: url.into(), ..settings("refused".to_owned()).await };
    let Err(error) = rabbitmq::Broker::open(&wrong, PATIENCE).await else { panic!("it was let in") };
    assert!(matches!(error, queue::QueueError::Refused(_)), "{error:?}");
    assert!(!error.to_string().contains("wrong-secret"), "{error}");
}

/// The patterns of the documented rights: configure, write, read.
fn documented_rights() -> [String; 3] {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/queue.md");
    let text = std::fs::read_to_string(path).unwrap();
    let line = text.lines().find(|line| line.starts_with("rabbitmqctl set_permissions")).unwrap();
    let patterns: Vec<_> = line.split('\'').skip(1).step_by(2).map(ToOwned::to_owned).collect();
    patterns.try_into().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_rights_on_the_broker_are_enough_for_a_whole_fleet() {
    let broker = Broker::shared().await;
    broker.control(&["add_user", "limited", "word"]).await;
    let url = format!("amqp://limited:word@{}", broker.address());
    let fleet = Fleet::on(&url, quick()).await;
    fleet.bench.set_request_timeout(15);
    fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    let names = format!("({}|connector)", fleet.prefix);
    let [configure, write, read] = documented_rights().map(|rights| rights.replace("connector", &names));
    broker.control(&["set_permissions", "limited", &configure, &write, &read]).await;
    let _worker = fleet.worker();
    fleet.sync().await.assert_code(0);
    for command in
        [&["status"][..], &["doctor"], &["failed", "list"], &["plan", "--full"], &["pause"], &["resume"]]
    {
        fleet.bench.run(command).await.assert_code(0);
    }
    assert!(fleet.bench.sandbox.audit().assets.iter().all(is_protected));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployed_broker_knows_a_user_with_the_documented_rights_and_an_administrator_and_nobody_else() {
    let [management] = free_ports();
    let configuration = format!("management.tcp.port = {management}\nprometheus.tcp.port = 0");
    let broker = Broker::start_as_deployed(&configuration).await;
    let mut users: Vec<_> = broker.control(&["list_users"]).await.lines().map(str::to_owned).collect();
    users.sort();
    assert_eq!(users, ["admin\t[administrator]", "connector\t[]", "user\ttags"]);
    let rights = broker.control(&["list_user_permissions", "connector"]).await;
    let [configure, write, read] =
        documented_rights().map(|rights| rights.replace("connector", "(test[0-9]+|connector)"));
    assert_eq!(rights.lines().nth(1), Some(&*format!("/\t{configure}\t{write}\t{read}")), "{rights}");
    let fleet = Fleet::on(&broker.url(), quick()).await;
    fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    let _worker = fleet.worker();
    fleet.sync().await.assert_code(0);
    assert!(fleet.bench.sandbox.audit().assets.iter().all(is_protected));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_as_taking_ends_goes_back_to_its_queue_unmarked() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(State::open(directory.path()).unwrap());
    let settings = settings("unclaimed".to_owned()).await;
    let (queue, other) = (on_broker(&settings, &ledger).await, on_broker(&settings, &ledger).await);
    let job = Job { lane: Lane::Fresh, ..crate::broker_faults::job("A1") };
    queue.publisher.publish(&job).await.unwrap();
    until_async(async || other.publisher.depth().await.is_ok_and(|depth| depth.submit_fresh == 1)).await;
    // Cancelled while it asks, as by a pause; it does not ask again.
    assert!(queue.consumer.next(StepSet::SUBMIT).now_or_never().is_none());
    until_async(async || other.publisher.depth().await.is_ok_and(|depth| depth.submit_fresh == 0)).await;
    let again = tokio::time::timeout(PATIENCE, other.consumer.next(StepSet::ALL)).await.unwrap().unwrap();
    assert!(!again.redelivered, "it counts as lost by a worker");
    let event = again.job.ended(Outcome::Gone, jiff::Timestamp::now());
    other.consumer.settle(again, Settlement::Finish(Box::new(event))).await.unwrap();
}

/// The leases of two processes, one of which reaches the broker by a proxy.
async fn two_processes(name: &str) -> (Proxy, Settings, [rabbitmq::RabbitLocks; 2]) {
    let proxy = Proxy::start(Broker::shared().await.address()).await;
    let direct = settings(name.to_owned()).await;
    let through = Settings { url: crate::harness::broker::url(proxy.address()).into(), ..direct.clone() };
    let locks = async |settings| rabbitmq::Broker::open(settings, PATIENCE).await.unwrap().locks();
    let both = [locks(&through).await, locks(&direct).await];
    (proxy, direct, both)
}

fn asset(id: &str) -> AssetId {
    id.parse().unwrap()
}

/// An asset whose lease lies where that of another is.
async fn neighbour(locks: &dyn Locks) -> AssetId {
    for number in 0..10_000 {
        let other = asset(&format!("B{number}"));
        match locks.lease(&other, &JobId("j".to_owned()), Vec::new()).await.unwrap() {
            Attempt::Busy => return other,
            Attempt::Taken(lease) => lease.end(Left::Nothing),
            Attempt::Refused => panic!("{other} was never touched"),
        }
    }
    panic!("every asset has a queue of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_dies_with_its_process_and_leaves_its_own_asset_alone_in_doubt() {
    let (proxy, _, [doomed, heir]) = two_processes("doubt").await;
    let doubt = [Lockout::from_all(Duration::from_secs(6))];
    let held = lease(&doomed, &asset("A1"), "one", &doubt).await.unwrap();
    let neighbour = neighbour(&heir).await;
    // In the process that has the queue, a neighbour is not in the way.
    assert!(is_free(&doomed, &neighbour, "j").await);
    proxy.cut();
    until(|| held.check().is_err()).await;
    until_async(async || is_free(&heir, &neighbour, "j").await).await;
    let attempt = heir.lease(&asset("A1"), &JobId("one".to_owned()), Vec::new()).await.unwrap();
    assert!(matches!(attempt, Attempt::Refused), "{attempt:?}");
    // What it says when it is given back concerns nobody any more.
    held.end(Left::Nothing);
    assert!(is_free(&heir, &neighbour, "j").await);
    until_async(async || is_free(&heir, &asset("A1"), "two").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_lost_with_its_queue_and_taken_anew_in_the_next() {
    let (_proxy, settings, [locks, _]) = two_processes("deleted").await;
    let held = lease(&locks, &asset("A1"), "one", &[]).await.unwrap();
    let prefix = format!("{}.locks.", settings.prefix);
    let broker = Broker::shared().await;
    let listed = broker.control(&["list_queues", "name"]).await;
    for queue in listed.lines().filter(|queue| queue.starts_with(&prefix)) {
        broker.control(&["delete_queue", queue]).await;
    }
    until(|| held.check().is_err()).await;
    drop(held);
    until_async(async || is_free(&locks, &asset("A1"), "two").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_answers_without_a_majority_gives_no_right_to_change_anything() {
    let (_proxy, settings, [locks, _]) = two_processes("minority").await;
    let held = lease(&locks, &asset("A1"), "one", &[]).await.unwrap();
    until(|| held.check().is_ok()).await;
    let broker = Broker::shared().await;
    // Everything else answers as before, as on a node that is cut off from the others.
    let contact = format!("'%2F_{}.contact'", settings.prefix);
    broker.control(&["eval", &format!("sys:suspend({contact}).")]).await;
    until(|| held.check().is_err()).await;
    assert!(
        is_free(&locks, &asset("A2"), "two").await,
        "more than the majority is away; this proves nothing"
    );
    broker.control(&["eval", &format!("sys:resume({contact}).")]).await;
    until(|| held.check().is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_leases_that_may_not_keep_others_out_is_refused() {
    let settings = settings("other-locks".to_owned()).await;
    let url = Broker::shared().await.url();
    let connection = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let (name, options) = (format!("{}.locks.0", settings.prefix), QueueDeclareOptions::durable());
    let mut quorum = FieldTable::default();
    quorum.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    channel.queue_declare(name.into(), options, quorum).await.unwrap();
    let refused = rabbitmq::Broker::open(&settings, PATIENCE).await.map(drop).unwrap_err();
    assert!(matches!(refused, QueueError::Misconfigured(_)), "{refused}");
    let refused = rabbitmq::Inventory::take(&settings).await.map(drop).unwrap_err();
    assert!(matches!(&refused, QueueError::Misconfigured(told) if told.contains("exclusively")), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_that_are_given_back_to_a_silent_broker_are_free_once_it_answers() {
    let (proxy, _, [locks, other]) = two_processes("silent").await;
    let mut leases = Vec::new();
    for id in ["A1", "A2", "A3"] {
        leases.push(lease(&locks, &asset(id), "one", &[]).await.unwrap());
    }
    let kept = leases.remove(0);
    proxy.silence_server(true);
    // The broker is silent for longer than an answer is waited for, and for less than a connection lives.
    for lease in leases {
        lease.end(Left::Nothing);
    }
    tokio::time::sleep(Duration::from_secs(13)).await;
    proxy.silence_server(false);
    for id in ["A2", "A3"] {
        until_async(async || is_free(&other, &asset(id), "two").await).await;
    }
    until(|| kept.check().is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whose_broker_was_away_learns_of_a_silence_from_the_record_before_it_calls() {
    let broker = Broker::shared().await;
    let proxy = Proxy::start(broker.address()).await;
    let direct = settings("reconnecting".to_owned()).await;
    let url = broker.url().replace(&broker.address().to_string(), &proxy.address().to_string());
    let cut_off = Settings { url: url.into(), ..direct.clone() };
    let member = Budget::of_group(4000.try_into().unwrap());
    let connected = rabbitmq::Broker::open(&cut_off, PATIENCE).await.unwrap();
    let _membership = connected.egress_group().join(&member);
    member.admit(Lane::Fresh, 1).await.unwrap();
    proxy.black_hole(true);
    // Another one is refused, records that, and ends: no process is left to report it.
    let other = Budget::of_group(4000.try_into().unwrap());
    let group = rabbitmq::Broker::open(&direct, PATIENCE).await.unwrap().egress_group();
    let membership = group.join(&other);
    other.admit(Lane::Fresh, 1).await.unwrap();
    other.refused();
    until_async(async || group.pauses().await.unwrap().1).await;
    drop((membership, group));
    proxy.cut();
    proxy.black_hole(false);
    member.admit(Lane::Fresh, 1).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_outlasts_a_restart_of_the_broker() {
    let broker = Broker::start().await;
    let settings = Settings { url: broker.url().into(), ..settings("restarted".to_owned()).await };
    let member = || Budget::of_group(4000.try_into().unwrap());
    let refused = member();
    let group = rabbitmq::Broker::open(&settings, PATIENCE).await.unwrap().egress_group();
    let membership = group.join(&refused);
    refused.admit(Lane::Fresh, 1).await.unwrap();
    refused.refused();
    until_async(async || group.pauses().await.unwrap().1).await;
    // Whoever saw it is gone.
    drop((membership, group));
    broker.restart().await;
    let later = member();
    let group = rabbitmq::Broker::open(&settings, PATIENCE).await.unwrap().egress_group();
    let _membership = group.join(&later);
    later.admit(Lane::Fresh, 1).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_learns_that_its_place_is_lost_although_its_connections_are_back() {
    let proxy = Proxy::start(Broker::shared().await.address()).await;
    let direct = settings("places".to_owned()).await;
    let through = Settings { url: crate::harness::broker::url(proxy.address()).into(), ..direct.clone() };
    let first = rabbitmq::Broker::open(&through, PATIENCE).await.unwrap();
    let place = first.producer_election().win(None).await.unwrap();
    proxy.cut();
    // Once another has the place and the first is connected again, only the connection that is gone can show the loss.
    let second = rabbitmq::Broker::open(&direct, PATIENCE).await.unwrap();
    second.producer_election().win(Some(PATIENCE)).await.unwrap();
    until(|| first.trouble().is_none()).await;
    tokio::time::timeout(PATIENCE, place.lost()).await.unwrap();
}
