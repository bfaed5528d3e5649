//! No message ends a process, or keeps another message waiting.

use std::time::Duration;

use common::job::{Job, MessageError};
use common::outcome::Outcome;
use rabbitmq::{Failed, MessageKeys, SIGNATURE_HEADER, encode_event};

use crate::harness::amqp::{Stranger, header, headers, nested_tables, short};
use crate::harness::broker::Broker;
use crate::harness::fleet::Fleet;
use crate::harness::{assert_clean, is_protected, picture, quick, until};

const KEY: &str = "the-key-that-this-fleet-signs-its-messages-by";

/// What no message of this program's has: properties that break what reads them.
fn unreadable_properties() -> Vec<Vec<u8>> {
    let message_id = [&[0, 0x80][..], &short(b"\xC3\x28")].concat();
    vec![message_id, headers(b"\x02\xFF\xFES\0\0\0\x01a"), nested_tables(500), nested_tables(3_000)]
}

/// A fleet on a broker of its own, with a worker and a producer that runs again and again.
struct Scene {
    broker: Broker,
    fleet: Fleet,
    processes: Vec<tokio::process::Child>,
}

impl Scene {
    async fn start() -> Self {
        let broker = Broker::start().await;
        let mut fleet = Fleet::on(&broker.url(), quick()).await;
        fleet.configure(&format!("message_key = '{KEY}'\n"));
        fleet.keys = MessageKeys::read(&KEY.into()).unwrap();
        let worker = fleet.worker();
        // The library is asked for: what changes is protected by itself from now on.
        fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
        fleet.sync().await.assert_code(0);
        let every = [("CONNECTOR_PRODUCER__EVERY", "1s".to_owned())];
        let mut producer = fleet.producer_with(&[], &every);
        let mut said = producer.stderr.take().unwrap();
        let mut log = tokio::fs::File::create(fleet.bench.path("producer.log")).await.unwrap();
        tokio::spawn(async move { tokio::io::copy(&mut said, &mut log).await });
        Self { broker, fleet, processes: vec![worker, producer] }
    }

    /// Adds a picture, and waits until it is protected.
    async fn real_jobs_go_through(&self, seed: u64) {
        let sandbox = &self.fleet.bench.sandbox;
        let id = sandbox.add_asset(picture("one.jpg", seed)).unwrap();
        until(|| is_protected(&self.fleet.bench.asset(&id))).await;
    }

    /// Every queue on the broker, but those that a process has for itself or that hold nothing.
    async fn queues(&self) -> Vec<String> {
        let listed = self.broker.control(&["list_queues", "--no-table-headers", "name"]).await;
        let lines = listed.lines().map(str::trim).filter(|name| !name.is_empty());
        lines.map(str::to_owned).collect()
    }

    /// Waits until nothing is left of what a stranger published, where messages are taken.
    async fn until_taken(&self, stranger: &mut Stranger) {
        let prefix = &self.fleet.prefix;
        for queue in ["submit.fresh", "submit.backlog", "transfer", "save", "dead", "results"] {
            let queue = format!("{prefix}.{queue}");
            let taking = async {
                while stranger.ready(&queue).await > 0 {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            };
            tokio::time::timeout(Duration::from_mins(5), taking).await.expect("they are not taken");
        }
    }

    /// Messages that were set aside.
    async fn rejected(&self, stranger: &mut Stranger) -> u32 {
        stranger.ready(&format!("{}.rejected", self.fleet.prefix)).await
    }

    fn assert_that_nothing_ended(&mut self) {
        for process in &mut self.processes {
            assert_eq!(process.try_wait().unwrap(), None, "{}", self.fleet.worker_logs());
        }
        let logs = self.fleet.worker_logs();
        for word in ["panicked", "connection to the broker is lost"] {
            assert!(!logs.contains(word), "{word}: {logs}");
        }
    }
}

/// A job of an asset that nobody has, with everything that a job can carry: what still is a job ends without an effect.
pub(crate) fn job(portal: &str) -> serde_json::Value {
    let text = include_bytes!("../../common/src/job/fixtures/everything.json");
    let mut job: serde_json::Value = serde_json::from_slice(text).unwrap();
    (job["suspect"], job["outwait_ms"], job["lost_deliveries"]) = (false.into(), 0.into(), 0.into());
    job["portal"] = portal.into();
    job
}

/// Real messages with one thing wrong, with where such messages are read.
fn mutated(portal: &str) -> Vec<(&'static str, Vec<u8>)> {
    let job = job(portal);
    let body = job.to_string().into_bytes();
    let read = Job::decode(&body).unwrap();
    let event = encode_event(&read.ended(Outcome::Watermarked { version: 4 }, read.created_at)).unwrap();
    let unreadable = Failed::unreadable(b"{}", Some("m"), &MessageError::Newer(9)).encode().unwrap();
    let mut failed: serde_json::Value = serde_json::from_slice(&unreadable).unwrap();
    failed["job"] = job;
    failed["job"].as_object_mut().unwrap().remove("v");
    let failed = failed.to_string().into_bytes();
    let pause = br#"{"since":"2026-01-01T00:00:00Z","reason":"r"}"#.to_vec();
    let card = br#"{"host":"h","process":1,"since":"2026-01-01T00:00:00Z"}"#.to_vec();
    let beat = br#"{"v":2,"member":"m","used":1,"leaving":false,"program":"worker","deployment":"d","out":["s"],"in_hand":0}"#;
    let token = br#"{"calls":1,"canary":false}"#.to_vec();
    let raw = [b"".to_vec(), b"{}".to_vec(), vec![0xFF; 300], vec![b'['; 60_000], vec![b' '; 1 << 20]];
    let kinds = [
        ("submit.fresh", &body),
        ("submit.backlog", &body),
        ("transfer", &body),
        ("save", &body),
        ("dead", &body),
        (WAIT, &body),
        ("results", &event),
        ("failed", &failed),
        ("rejected", &body),
        ("pause.operator", &pause),
        ("producer.card", &card),
        (CONTROL, &beat.to_vec()),
        (TOKENS, &token),
        (WISHES, &Vec::new()),
    ];
    let of = |(place, (queue, message)): (usize, (&'static str, &Vec<u8>))| {
        // Each field in each queue, wrong in another way in each: all ways would take minutes.
        let of_many = if message.len() > 500 { 15 } else { 1 };
        let all = laws::mutations(message).into_iter().skip(place % of_many).step_by(of_many);
        all.chain(raw.clone()).map(|body| (queue, body)).collect::<Vec<_>>()
    };
    kinds.into_iter().enumerate().flat_map(of).collect()
}

/// Jobs that wait.
const WAIT: &str = "wait.100ms";
/// Announcements, which have an exchange.
const CONTROL: &str = "connector.control";
/// Tokens of the egress group.
const TOKENS: &str = "connector.tokens";
/// What wakes the group's minter.
const WISHES: &str = "connector.minter";

impl Scene {
    /// Publishes a message where it is read, signed as a process of the fleet would.
    async fn send_signed(&self, stranger: &mut Stranger, kind: &str, body: &[u8]) {
        let fleet = &self.fleet;
        let (prefix, portal) = (&fleet.prefix, &fleet.bench.sandbox.announcement().bynder);
        let own = |name: &str| format!("{prefix}.{name}");
        // Exchange, routing key, and what it is signed for.
        let (exchange, key, signed) = match kind {
            CONTROL => (CONTROL.to_owned(), prefix.clone(), ("", "", CONTROL.to_owned())),
            TOKENS | WISHES => (String::new(), format!("{kind}.{prefix}"), ("", "", kind.to_owned())),
            // It comes back to the step that it waited for.
            WAIT => (own(WAIT), own("save"), (prefix.as_str(), portal.as_str(), own("save"))),
            // The broker put it there, out of another queue.
            "dead" => (String::new(), own("dead"), (prefix.as_str(), portal.as_str(), own("save"))),
            queue => (String::new(), own(queue), (prefix.as_str(), portal.as_str(), own(queue))),
        };
        let (prefix, portal, queue) = signed;
        let signature = fleet.keys.signature(prefix, portal, &queue, body).unwrap();
        let signature = header(SIGNATURE_HEADER, signature.as_bytes());
        stranger.send(&exchange, key.as_bytes(), &signature, body).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_however_rightly_signed_ends_a_process_or_keeps_real_jobs_waiting() {
    let mut scene = Scene::start().await;
    let mut stranger = Stranger::connect(scene.broker.address()).await;
    let queues = scene.queues().await;
    for properties in unreadable_properties() {
        for queue in &queues {
            stranger.publish("", queue.as_bytes(), &properties, b"{}").await;
        }
        for key in [scene.fleet.prefix.as_bytes(), b"\xFF\xFE"] {
            stranger.publish("connector.control", key, &properties, b"{}").await;
        }
    }
    let unsigned = scene.rejected(&mut stranger).await;
    let mutated = mutated(&scene.fleet.bench.sandbox.announcement().bynder);
    let direct = mutated.iter().filter(|(kind, _)| *kind == "rejected").count();
    for (kind, body) in mutated {
        let queue = format!("{}.{kind}", scene.fleet.prefix);
        let is_elsewhere = [CONTROL, TOKENS, WISHES].contains(&kind);
        assert!(queues.contains(&queue) || is_elsewhere, "{queue} is not in {queues:?}");
        scene.send_signed(&mut stranger, kind, &body).await;
    }
    stranger.confirmed().await;
    for command in [&["status"][..], &["failed", "list"], &["failed", "replay", "--yes"]] {
        scene.fleet.bench.run(command).await.assert_code(0);
    }
    // A message there is what pauses the work.
    for queue in queues.iter().filter(|queue| queue.contains("pause.")) {
        stranger.purge(queue).await;
    }
    scene.until_taken(&mut stranger).await;
    scene.real_jobs_go_through(2).await;
    scene.assert_that_nothing_ended();
    assert_clean(&scene.fleet.bench.sandbox.audit());
    let rejected = scene.rejected(&mut stranger).await;
    let rejected = (rejected - unsigned) as usize;
    assert!(rejected > direct + 20, "{rejected} messages were set aside, and {direct} put there");
}
