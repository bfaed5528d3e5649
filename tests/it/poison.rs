//! No message ends a process, or keeps another message waiting.

use std::time::Duration;

use common::job::{Lane, MessageError};
use common::outcome::Outcome;
use common::queue::rabbitmq::{Failed, encode_event};

use crate::harness::amqp::{Stranger, headers, nested_tables, short};
use crate::harness::broker::Broker;
use crate::harness::fleet::Fleet;
use crate::harness::{assert_clean, is_protected, job_of, picture, quick, until};

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
        let fleet = Fleet::on(&broker.url(), quick()).await;
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
            while stranger.ready(&queue).await > 0 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
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

/// Real messages with one thing wrong, with the queue that such messages are read from.
fn mutated() -> Vec<(&'static str, Vec<u8>)> {
    // Nobody has this asset: what still is a job ends without an effect.
    let mut job = job_of("RUN-1", "1F0A9C2E-77B1-4D3C-9E5512AB34CD56EF", Lane::Backlog);
    job.marker_text = Some("x".to_owned());
    let event = encode_event(&job.ended(Outcome::Gone, job.created_at)).unwrap();
    let failed = Failed::unreadable(b"{}", Some("m"), &MessageError::Newer(9)).encode().unwrap();
    let pause = br#"{"since":"2026-01-01T00:00:00Z","reason":"r"}"#.to_vec();
    let card = br#"{"host":"h","process":1,"since":"2026-01-01T00:00:00Z"}"#.to_vec();
    let raw = [b"".to_vec(), b"{}".to_vec(), vec![0xFF; 300], vec![b'['; 60_000], vec![b' '; 1 << 20]];
    let job = job.encode().unwrap();
    let kinds = [
        ("submit.fresh", &job),
        ("submit.backlog", &job),
        ("transfer", &job),
        ("save", &job),
        ("dead", &job),
        ("results", &event),
        ("failed", &failed),
        ("pause.operator", &pause),
        ("producer.card", &card),
    ];
    let of = |(place, (queue, message)): (usize, (&'static str, &Vec<u8>))| {
        // Which of many is wrong differs from queue to queue.
        let all = laws::mutations(message).into_iter().skip(place % 5).step_by(5).chain(raw.clone());
        all.map(|body| (queue, body)).collect::<Vec<_>>()
    };
    kinds.into_iter().enumerate().flat_map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_in_any_queue_ends_a_process_or_keeps_real_jobs_waiting() {
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
    for (queue, body) in mutated() {
        let queue = format!("{}.{queue}", scene.fleet.prefix);
        assert!(queues.contains(&queue), "{queue} is not in {queues:?}");
        stranger.publish("", queue.as_bytes(), b"\0\0", &body).await;
    }
    for command in [&["status"][..], &["failed", "list"]] {
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
    let rejected = stranger.ready(&format!("{}.rejected", scene.fleet.prefix)).await;
    assert!(rejected > 20, "{rejected} messages were set aside");
}
