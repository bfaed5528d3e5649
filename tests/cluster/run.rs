//! A fleet whose processes are connected to different nodes, and what it may not do whatever becomes of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use queue::{Election, Locks};
use rabbitmq::{self, MessageKeys, Settings};
use sandbox::{Options, RateLimit};
use tokio::process::Child;
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use crate::harness::broker::free_ports;
use crate::harness::fleet::{Fleet, ended};
use crate::harness::scrape::Scrape;
use crate::harness::{Ran, assert_clean, is_protected, picture, quick, until};
use crate::nodes::Cluster;

/// The node on which the fleet's tokens are.
pub(crate) const HOME: usize = 0;
/// What a group may ask in five minutes here: 20 calls a second, which the fleet always wants.
const REQUESTS: u32 = 6000;
/// No more calls arrive in ten seconds while there is one minter: its tokens, those on the queue and those in hand before.
const WINDOW: RateLimit = RateLimit { requests: 100_000, window: Duration::from_secs(10) };
const MOST_IN_WINDOW: usize = 200 + 16 + 2 * 5 + 14;
/// Two may take each other for the producer as long as contact may be old, and a look takes.
const OVERLAP: Duration = Duration::from_secs(8);
/// Jobs that a worker does at once: with five consumers of each of four workers, and those of a dead node's workers again, no queue
/// has more than 32, of which RabbitMQ before 4.0 loses messages when a node dies.
pub(crate) const FEW: usize = 4;
/// How a producer ends that misses outcomes although every queue is empty.
const INCOMPLETE: i32 = 5;
/// The broker sends a message out of a wait again after three minutes, and may find so late that it has to.
const LOST_AFTER: Duration = Duration::from_mins(4);
/// How often is looked who the producer is.
const LOOK: Duration = Duration::from_millis(100);
/// Requests that change something.
const EFFECTS: [&str; 6] = ["submit", "upload_place", "upload_finish", "mark", "save", "send_part"];

/// A fleet at work on a cluster: a worker on each node, and one and the producer wherever there is a node.
pub(crate) struct Run {
    pub(crate) fleet: Fleet,
    producer: JoinHandle<Ran>,
    workers: Vec<(Child, u16)>,
    start: Instant,
    overlap: Arc<AtomicU64>,
    _candidates: AbortOnDropHandle<()>,
}

impl Run {
    /// Starts, and returns with some of the assets done.
    pub(crate) async fn start(cluster: &Cluster, assets: u64) -> Self {
        Self::start_with(cluster, assets, FEW).await
    }

    /// As [`Run::start`], with this many jobs of each worker at once.
    pub(crate) async fn start_with(cluster: &Cluster, assets: u64, concurrency: usize) -> Self {
        let options = Options { rate_limit: Some(WINDOW), ..quick() };
        let mut fleet = Fleet::on(&cluster.url(), options).await;
        // They are where they are declared first.
        let url = std::mem::replace(&mut fleet.url, cluster.node(HOME).url());
        drop(fleet.connection().await);
        fleet.url = url;
        for seed in 0..assets {
            fleet.bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap();
        }
        fleet
            .bench
            .reconfigure("requests_per_5_minutes = 1000000", &format!("requests_per_5_minutes = {REQUESTS}"));
        fleet.bench.set_request_timeout(4);
        fleet.bench.reconfigure("[worker]\n", &format!("[worker]\nconcurrency = {concurrency}\n"));
        // Longer than a message may be on its way out of a wait.
        fleet.bench.reconfigure("lost_after = '90s'", &format!("lost_after = '{}s'", LOST_AFTER.as_secs()));
        let whole = ["sync", "--full", "--wait", "--json", "--quiet"];
        let producer = tokio::spawn(ended(fleet.producer(&whole)));
        let overlap = Arc::new(AtomicU64::new(0));
        let candidates = tokio::spawn(stand_for_producer(settings(cluster), Arc::clone(&overlap)));
        let mut run = Self {
            fleet,
            producer,
            workers: Vec::new(),
            start: Instant::now(),
            overlap,
            _candidates: AbortOnDropHandle::new(candidates),
        };
        for url in [0, 1, 2].map(|node| cluster.node(node).url()).into_iter().chain([cluster.url()]) {
            run.add_worker(url);
        }
        until(|| run.protected() > 5).await;
        run
    }

    fn add_worker(&mut self, url: String) {
        let [port] = free_ports();
        let listen = format!("127.0.0.1:{port}");
        let variables = [("CONNECTOR_BROKER__URL", url), ("CONNECTOR_HTTP__LISTEN", listen)];
        self.workers.push((self.fleet.worker_with(&variables), port));
    }

    /// Assets that are done.
    pub(crate) fn protected(&self) -> usize {
        self.fleet.bench.sandbox.audit().assets.iter().filter(|asset| is_protected(asset)).count()
    }

    /// Waits until this many more assets are done.
    pub(crate) async fn more(&self, count: usize) {
        let wanted = self.protected() + count;
        let all = self.fleet.bench.sandbox.audit().assets.len();
        assert!(wanted <= all, "there is too little to do");
        let since = Instant::now();
        until(|| self.protected() >= wanted).await;
        self.say(&format!("{count} more assets, after {:.0} s", since.elapsed().as_secs_f64()));
    }

    /// Requests that change something, sent by the worker of this node so far.
    pub(crate) async fn effects_of(&self, node: usize) -> u64 {
        let scrape = Scrape::of(self.workers[node].1).await;
        let series = scrape.text.lines().filter(|line| line.starts_with("connector_requests_total{"));
        let effects = series.filter(|line| {
            EFFECTS.iter().any(|operation| line.contains(&format!("operation=\"{operation}\"")))
        });
        effects.map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap()).sum()
    }

    /// Says what happens, and when.
    pub(crate) fn say(&self, what: &str) {
        println!("{:>6.1} s: {what}; {} assets done", self.start.elapsed().as_secs_f64(), self.protected());
    }

    /// Waits until every job has an outcome; fails unless all is as it should be.
    pub(crate) async fn end(mut self, name: &str) {
        self.first_run().await.assert_code(0);
        self.fleet.assert_all_is_well().await;
        self.judge(name);
    }

    /// As [`Run::end`], where the broker may lose jobs: the next run publishes them again.
    pub(crate) async fn end_in_two_runs(mut self, name: &str) {
        let ran = self.first_run().await;
        if ran.code == Some(INCOMPLETE) {
            let count = |what: &str| ran.summary()[what].as_i64().unwrap();
            let lost = count("published") - count("watermarked");
            self.say(&format!("the broker lost {lost} jobs; the producer runs again"));
            self.fleet.sync().await.assert_code(0);
            assert_clean(&self.fleet.bench.sandbox.audit());
        } else {
            ran.assert_code(0);
            self.fleet.assert_all_is_well().await;
        }
        self.judge(name);
    }

    async fn first_run(&mut self) -> Ran {
        std::mem::replace(&mut self.producer, tokio::spawn(std::future::pending())).await.unwrap()
    }

    fn judge(mut self, name: &str) {
        for (worker, _) in &mut self.workers {
            assert!(worker.try_wait().unwrap().is_none(), "a worker ended");
        }
        let assets = self.fleet.bench.sandbox.audit().assets;
        let twice = assets.iter().filter(|asset| asset.media != 1 || !is_protected(asset)).count();
        assert_eq!(twice, 0, "{assets:#?}");
        let busiest = self.fleet.bench.sandbox.stats().busiest_window;
        assert!(busiest <= MOST_IN_WINDOW, "{busiest} calls in ten seconds: two minters");
        let overlap = Duration::from_millis(self.overlap.load(Ordering::Relaxed));
        assert!(overlap <= OVERLAP, "two producers for {overlap:?}");
        println!(
            "{name}: {} assets once each in {:.0} s, no violation; busiest ten seconds {busiest} calls of {MOST_IN_WINDOW}; \
             two that took themselves for the producer for {:.1} s",
            assets.len(),
            self.start.elapsed().as_secs_f64(),
            overlap.as_secs_f64(),
        );
    }
}

/// A second deployment, at each node.
fn settings(cluster: &Cluster) -> Vec<Settings> {
    let at = |node| Settings {
        url: cluster.node(node).url().into(),
        allow_plain: false,
        authority: None,
        prefix: "candidates".to_owned(),
        rungs: vec![Duration::from_secs(1)],
        portal: "https://portal.test".to_owned(),
        program: "candidate".to_owned(),
        keys: MessageKeys::default(),
        egress_group: "candidates".to_owned(),
    };
    (0..3).map(at).collect()
}

/// A candidate at each node tries to become producer as long as it is not; measures how long two in contact with the cluster had the
/// place at once.
async fn stand_for_producer(settings: Vec<Settings>, overlap: Arc<AtomicU64>) {
    let mut holders = Vec::new();
    let mut candidates = Vec::new();
    for settings in settings {
        let holds = Arc::new(AtomicBool::new(false));
        holders.push(Arc::clone(&holds));
        candidates.push(AbortOnDropHandle::new(tokio::spawn(async move {
            let broker = rabbitmq::Broker::start(&settings).unwrap();
            let (election, locks) = (broker.producer_election(), broker.locks());
            loop {
                if let Ok(place) = election.win(Some(Duration::ZERO)).await {
                    let holding = async {
                        loop {
                            holds.store(locks.contact().is_ok(), Ordering::Relaxed);
                            // Contact ends by the passing of time, which no event announces.
                            tokio::time::sleep(LOOK).await;
                        }
                    };
                    tokio::select! {
                        () = holding => {}
                        () = place.lost() => {}
                    }
                    holds.store(false, Ordering::Relaxed);
                }
                // An election that is lost says nothing when it can be won.
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        })));
    }
    loop {
        // The overlap is measured in samples.
        tokio::time::sleep(LOOK).await;
        if holders.iter().filter(|holds| holds.load(Ordering::Relaxed)).count() > 1 {
            overlap.fetch_add(u64::try_from(LOOK.as_millis()).unwrap(), Ordering::Relaxed);
        }
    }
}
