//! What an operator of the broker sees of a fleet: RabbitMQ's own dashboard, the alerts of its cluster operator, and the
//! names and series that are there.

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::process::Child;

use crate::harness::broker::Broker;
use crate::harness::fleet::{Fleet, ended, signal};
use crate::harness::scene::slow_once;
use crate::harness::scrape::Scrape;
use crate::harness::{is_protected, picture, quick, until};

/// Fetches that found nothing: a minter proves once that neither a silence nor a try is recorded, and never again.
const EMPTY_FETCHES: (&str, i64) = ("rabbitmq_global_messages_get_empty_total", 2);
/// Red on RabbitMQ's dashboard "Overview" from the first one on.
const NEVER: [&str; 4] = [
    "rabbitmq_global_messages_delivered_get_auto_ack_total",
    "rabbitmq_global_messages_delivered_get_manual_ack_total",
    "rabbitmq_global_messages_unroutable_dropped_total",
    "rabbitmq_global_messages_unroutable_returned_total",
];

/// Orange there from two a second on, red from ten.
const SELDOM: [&str; 7] = [
    "rabbitmq_connections_opened_total",
    "rabbitmq_connections_closed_total",
    "rabbitmq_channels_opened_total",
    "rabbitmq_channels_closed_total",
    "rabbitmq_queues_declared_total",
    "rabbitmq_queues_created_total",
    "rabbitmq_queues_deleted_total",
];

/// Orange there from twenty a second on, red from a hundred. A token that is not needed is given back.
const REDELIVERED: &str = "rabbitmq_global_messages_redelivered_total";

/// What is there, with its first number of messages that is not green.
const GAUGES: [(&str, i64); 2] =
    [("rabbitmq_queue_messages_ready", 10_000), ("rabbitmq_queue_messages_unacked", 100)];

/// The most for each asset: its messages and those of its waits, and its share of the tokens. 9.0, 7.9 and 6.1 were counted.
const OPERATIONS: [(&str, f64); 3] = [
    ("rabbitmq_global_messages_received_total", 12.0),
    ("rabbitmq_global_messages_delivered_total", 11.0),
    ("rabbitmq_global_messages_acknowledged_total", 9.0),
];

const PROCESSES: usize = 3;
const ASSETS: u32 = 60;
/// Less than would come of something that happens for each asset.
const FEW: i64 = 10;

/// Two workers and a producer that looks at the library each second.
struct Scene {
    broker: Broker,
    exporter: u16,
    fleet: Fleet,
    processes: [Child; PROCESSES],
    published: u64,
}

impl Scene {
    async fn start() -> Self {
        let (broker, exporter) = Broker::start_watched().await;
        let fleet = Fleet::on(&broker.url(), sandbox::Options { assets: 0, ..quick() }).await;
        fleet.bench.reconfigure("[producer]\n", "[producer]\nevery = '1s'\n");
        // One step takes so long that its delivery is renewed.
        fleet.bench.set_request_timeout(10);
        fleet.bench.reconfigure("'11s']", "'11s']\nlongest_hold = '1s'");
        fleet.bench.sandbox.set_faults(slow_once("imatag.submit", Duration::from_secs(4)));
        let processes = [fleet.worker(), fleet.worker(), fleet.producer(&["sync", "--full", "--quiet"])];
        let scene = Self { broker, exporter, fleet, processes, published: 0 };
        scene.idle(5).await;
        scene
    }

    /// Waits for runs of the producer that find nothing.
    async fn idle(&self, runs: u64) {
        let lists = self.fleet.requests("bynder.list");
        until(|| self.fleet.requests("bynder.list") > lists + runs).await;
    }

    /// Has so many assets more protected.
    async fn work(&mut self) {
        for _ in 0..ASSETS {
            self.published += 1;
            self.fleet.bench.sandbox.add_asset(picture("one.jpg", self.published)).unwrap();
        }
        until(|| self.fleet.bench.sandbox.audit().assets.iter().all(is_protected)).await;
        self.idle(10).await;
    }

    async fn scrape(&self) -> Scrape {
        let scrape = Scrape::of(self.exporter).await;
        for (gauge, much) in GAUGES {
            assert!(scrape.total(gauge) < much, "{gauge}");
        }
        scrape
    }

    async fn stop(self) -> Scrape {
        for process in self.processes {
            signal(&process, Signal::SIGTERM);
            ended(process).await;
        }
        Scrape::of(self.exporter).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmqs_overview_stays_green_while_a_fleet_works_idles_and_stops() {
    let mut scene = Scene::start().await;
    scene.work().await;
    let worked = scene.scrape().await;
    // Each process measures the queues every 15 s.
    scene.idle(40).await;
    let idled = scene.scrape().await;
    for name in SELDOM {
        assert_eq!(idled.total(name), worked.total(name), "{name} while nothing was to be done");
    }
    assert!(idled.total(REDELIVERED) - worked.total(REDELIVERED) <= FEW);
    let stopped = scene.stop().await;
    for name in NEVER {
        assert_eq!(stopped.total(name), 0, "{name}");
    }
    let (name, most) = EMPTY_FETCHES;
    assert!(worked.total(name) <= most && stopped.total(name) <= most, "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_queue_channel_or_connection_is_made_for_an_asset_and_none_is_named_after_one() {
    let mut scene = Scene::start().await;
    // Fills the pools of channels.
    scene.work().await;
    let warm = scene.scrape().await;
    scene.work().await;
    let worked = scene.scrape().await;
    let more = |name: &str| worked.total(name) - warm.total(name);
    for (name, most) in OPERATIONS {
        let each = more(name) as f64 / f64::from(ASSETS);
        assert!(each <= most, "{name}: {each:.1} an asset");
    }
    let created = more("rabbitmq_queues_created_total");
    assert_eq!(more("rabbitmq_queues_deleted_total"), 0);
    assert_eq!(more("rabbitmq_connections_opened_total"), 0);
    // A queue of locks is made when it is first needed, which costs a channel, and declared once by each process. There is a
    // fixed number of them.
    assert!(more("rabbitmq_queues_declared_total") <= created + i64::from(ASSETS) + FEW);
    assert!(more("rabbitmq_channels_opened_total") <= created + FEW);
    assert!(more(REDELIVERED) <= FEW);
    // None was deleted, so these are all that there were.
    let names = scene.broker.control(&["list_queues", "name"]).await;
    for asset in scene.fleet.bench.sandbox.audit().assets {
        assert!(!names.contains(&asset.id), "{names}");
    }
}
