//! A fleet: a sandbox, a broker, and real `producer` and `worker` processes.

use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use queue::{Depth, FailedJob, FailedJobs};
use rabbitmq::{Broker as Connection, MessageKeys, RabbitConsumer, RabbitLocks, Settings};
use tokio::process::{Child, Command};

use super::{Bench, Ran, until_async};
use crate::harness::broker::Broker;

pub(crate) const WORKER: &str = env!("CARGO_BIN_EXE_worker-under-test");
pub(crate) const PRODUCER: &str = env!("CARGO_BIN_EXE_producer-under-test");

/// No fleet needs longer to get anywhere.
const PATIENCE: Duration = Duration::from_mins(8);

/// A sandbox, a configuration for a broker, and what to do with them.
pub(crate) struct Fleet {
    pub(crate) bench: Bench,
    pub(crate) prefix: String,
    pub(crate) url: String,
    /// What the test itself signs by.
    pub(crate) keys: MessageKeys,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Fleet {
    /// On the broker that all tests share, under names of its own.
    pub(crate) async fn new(options: sandbox::Options) -> Self {
        let url = Broker::shared().await.url();
        Self::on(&url, options).await
    }

    /// A fleet that runs while no other bench does.
    pub(crate) async fn alone(options: sandbox::Options) -> Self {
        let url = Broker::shared().await.url();
        Self::of(Bench::alone(options).await, &url)
    }

    /// On a broker at this URL.
    pub(crate) async fn on(url: &str, options: sandbox::Options) -> Self {
        Self::of(Bench::new(options).await, url)
    }

    fn of(bench: Bench, url: &str) -> Self {
        let prefix = format!("test{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let fleet = Self { bench, prefix, url: url.to_owned(), keys: MessageKeys::default() };
        fleet.configure("");
        fleet
    }

    /// Writes the configuration, with more of it at the end.
    pub(crate) fn configure(&self, more: &str) {
        self.bench.configure(&self.with_broker(more));
        self.name_it();
    }

    /// As [`Fleet::configure`], with another Imatag.
    pub(crate) fn configure_imatag(&self, imatag: &str) {
        self.bench.configure_imatag(imatag, &self.with_broker(""));
        self.name_it();
    }

    fn with_broker(&self, more: &str) -> String {
        format!("lost_after = '90s'\n[broker]\nurl = '{}'\n{more}", self.url)
    }

    fn name_it(&self) {
        self.bench.reconfigure("[queue]\n", &format!("[queue]\nprefix = '{}'\n", self.prefix));
        self.bench.reconfigure("[bynder]\n", &format!("[bynder]\negress_group = '{}'\n", self.prefix));
        self.bench.reconfigure("request_timeout = '1s'\n", "request_timeout = '1s'\ngrace = '8s'\n");
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).arg("--config").arg(self.bench.path("connector.toml"));
        command.env("CONNECTOR_HTTP__LISTEN", "127.0.0.1:0");
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// A worker of this fleet.
    pub(crate) fn worker(&self) -> Child {
        self.worker_with(&[])
    }

    /// A worker with further variables in its environment; its log goes to a file of the bench.
    pub(crate) fn worker_with(&self, variables: &[(&str, String)]) -> Child {
        self.start_worker(&[], variables)
    }

    /// A worker whose log is for programs to read.
    pub(crate) fn worker_for_programs(&self) -> Child {
        self.start_worker(&["--log-format", "json"], &[])
    }

    /// A worker with these arguments and further variables.
    pub(crate) fn start_worker(&self, arguments: &[&str], variables: &[(&str, String)]) -> Child {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let log = std::fs::File::create(self.bench.path(&format!("worker{number}.log"))).unwrap();
        let mut command = self.command(WORKER, arguments);
        // A spool is emptied at the start, so no two may share one.
        let spool = self.bench.path(&format!("spool{number}"));
        command.env("CONNECTOR_WORKER__SPOOL_DIR", spool).envs(variables.iter().cloned());
        command.stdout(Stdio::null()).stderr(log).spawn().unwrap()
    }

    /// The producer, started and not waited for.
    pub(crate) fn producer(&self, arguments: &[&str]) -> Child {
        self.producer_with(arguments, &[])
    }

    /// The producer with further variables in its environment.
    pub(crate) fn producer_with(&self, arguments: &[&str], variables: &[(&str, String)]) -> Child {
        let mut command = self.command(PRODUCER, arguments);
        command.envs(variables.iter().cloned());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// A whole run over the library, until every job has an outcome.
    pub(crate) async fn sync(&self) -> Ran {
        ended(self.producer(&["sync", "--full", "--wait", "--json", "--quiet"])).await
    }

    /// Whole runs until every outcome is recorded: a save shows at the portal before its outcome is on its way, and
    /// whichever producer runs next takes it in.
    pub(crate) async fn sync_until_recorded(&self) {
        until_async(async || {
            self.sync().await.assert_code(0);
            self.bench.surprises().await.is_empty()
        })
        .await;
    }

    /// Publishes and does not wait.
    pub(crate) async fn publish(&self) -> Ran {
        ended(self.producer(&["sync", "--full", "--json", "--quiet"])).await
    }

    /// This fleet's queue, to look at it and to meddle with it.
    pub(crate) async fn queue(&self) -> FleetQueue {
        let connection = self.connection().await;
        FleetQueue { consumer: connection.consumer(), locks: connection.locks(), connection }
    }

    /// A connection to this fleet's broker.
    pub(crate) async fn connection(&self) -> Connection {
        Connection::open(&self.settings(), PATIENCE).await.unwrap()
    }

    /// What a process of this fleet connects by.
    pub(crate) fn settings(&self) -> Settings {
        let rungs = [100, 400, 1500, 2000].map(Duration::from_millis).to_vec();
        Settings {
            url: self.url.clone().into(),
            allow_plain: false,
            authority: None,
            prefix: self.prefix.clone(),
            rungs,
            portal: self.bench.sandbox.announcement().bynder.clone(),
            program: "test".to_owned(),
            keys: self.keys.clone(),
            egress_group: self.prefix.clone(),
        }
    }

    /// Fails unless everything is as it should be at the end: outcomes as planted, an audit without a word, nothing
    /// left in the queues but the failed.
    pub(crate) async fn assert_all_is_well(&self) {
        // A message that was doubled may still be on its way to find the work done.
        let queue = self.queue().await;
        until_async(async || {
            let depth = queue.connection.depth().await.unwrap();
            Depth { failed: 0, ..depth } == Depth::default()
        })
        .await;
        super::assert_clean(&self.bench.sandbox.audit());
        self.bench.assert_ended_as_planted().await;
    }

    /// The failed jobs.
    pub(crate) async fn failed(&self) -> Vec<FailedJob> {
        self.connection().await.failed_jobs().list(&queue::FailedFilter::default()).await.unwrap()
    }

    /// How often the sandbox was asked for something.
    pub(crate) fn requests(&self, endpoint: &str) -> u64 {
        self.bench.sandbox.stats().requests.get(endpoint).copied().unwrap_or_default()
    }

    /// What all workers said so far.
    pub(crate) fn worker_logs(&self) -> String {
        let files = std::fs::read_dir(self.bench.folder.path()).unwrap().flatten().map(|entry| entry.path());
        let logs = files.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
        logs.map(|path| std::fs::read_to_string(path).unwrap()).collect()
    }
}

/// A fleet's queue, as one more process of it has it.
pub(crate) struct FleetQueue {
    pub(crate) connection: Connection,
    pub(crate) consumer: RabbitConsumer,
    pub(crate) locks: RabbitLocks,
}

/// Waits for a program to end.
pub(crate) async fn ended(child: Child) -> Ran {
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    Ran::new(output.expect("the program does not end").unwrap())
}

/// Sends a signal to a process.
pub(crate) fn signal(child: &Child, signal: Signal) {
    let id = child.id().expect("it ended already").cast_signed();
    kill(Pid::from_raw(id), signal).unwrap();
}
