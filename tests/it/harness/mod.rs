//! A sandbox, a configuration for it, and the program to run.

pub(crate) mod amqp;
pub(crate) mod broker;
pub(crate) mod browser;
pub(crate) mod capture;
pub(crate) mod collector;
pub(crate) mod dashboards;
pub(crate) mod fleet;
pub(crate) mod npm;
pub(crate) mod openapi;
pub(crate) mod page;
pub(crate) mod prometheus;
pub(crate) mod proxy;
pub(crate) mod queue_laws;
pub(crate) mod receivers;
pub(crate) mod scene;
pub(crate) mod scrape;
pub(crate) mod serving;
pub(crate) mod tally;
mod watchdog;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use common::job::{Job, Lane, RunId};
use common::outcome::Outcome;
use jiff::Timestamp;
use ledger::Ledger;
use ledger::state::State;
use queue::{EmbeddedQueue, JobPublisher};
use sandbox::{Audit, AuditedAsset, NewAsset, Options, Sandbox};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use watchdog::Watchdog;

/// No run of the program takes longer.
pub(super) const PATIENCE: Duration = Duration::from_mins(5);

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_connector-under-test");

/// A sandbox with a folder for the program's state and configuration.
pub(crate) struct Bench {
    pub(crate) sandbox: Sandbox,
    pub(crate) folder: tempfile::TempDir,
    _turn: Option<Turn>,
}

/// Files of gigabytes slow the disk down for everybody, and a second without an answer counts as an outage here: the
/// test that moves them has the machine for itself.
static MACHINE: RwLock<()> = RwLock::const_new(());

/// Tests whose turn it is, by their names.
static AT_WORK: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Held as long as a bench stands.
struct Turn {
    test: Option<String>,
    _guard: Guard,
    _watchdog: Watchdog,
}

#[expect(dead_code, reason = "the guards are held, not read")]
enum Guard {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

impl Turn {
    async fn take(alone: bool) -> Self {
        // Threads that run a test are named by it; benches of spawned tasks cannot be told apart and are not counted.
        let test = std::thread::current().name().filter(|name| name.contains("::")).map(ToOwned::to_owned);
        if let Some(test) = &test {
            // The second would be waited for behind a test that waits for the first to be over.
            let is_first = AT_WORK.lock().unwrap().insert(test.clone());
            assert!(is_first, "{test} holds a bench already; use `second` for another library");
        }
        let guard =
            if alone { Guard::Alone(MACHINE.write().await) } else { Guard::Shared(MACHINE.read().await) };
        let watchdog = Watchdog::start(test.clone().unwrap_or_else(|| "a spawned part of a test".to_owned()));
        Self { test, _guard: guard, _watchdog: watchdog }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(test) = &self.test {
            AT_WORK.lock().unwrap().remove(test);
        }
    }
}

/// A client for this machine, without proxy and redirects.
pub(crate) fn client() -> reqwest::Client {
    http_client::local_client(Duration::from_mins(1)).unwrap()
}

/// A sandbox that is quick and has no request limit.
pub(crate) fn quick() -> Options {
    Options {
        rate_limit: None,
        index_lag: Duration::from_millis(50),
        modify_lag: Duration::from_millis(50),
        conversion_time: Duration::from_millis(50),
        watermark_time: Duration::from_millis(50),
        ..Options::default()
    }
}

impl Bench {
    pub(crate) async fn new(options: Options) -> Self {
        Self::in_turn(options, Some(Turn::take(false).await)).await
    }

    /// A bench that runs while no other one does.
    pub(crate) async fn alone(options: Options) -> Self {
        Self::in_turn(options, Some(Turn::take(true).await)).await
    }

    /// Another library, which stands as long as this one.
    pub(crate) async fn second(&self, options: Options) -> Self {
        Self::in_turn(options, None).await
    }

    async fn in_turn(options: Options, turn: Option<Turn>) -> Self {
        let sandbox = sandbox::start(options).await.unwrap();
        let bench = Self { sandbox, folder: tempfile::tempdir().unwrap(), _turn: turn };
        bench.configure("");
        bench
    }

    /// Sets what becomes of the watermarked file.
    pub(crate) fn set_mode(&self, mode: &str) {
        self.configure(&format!("[output]\nmode = '{mode}'\n"));
    }

    /// A library with this one asset, and a mode.
    pub(crate) async fn with_asset_in(mode: &str, asset: NewAsset) -> (Self, String) {
        let (bench, id) = Self::with_asset(asset).await;
        bench.set_mode(mode);
        (bench, id)
    }

    /// A library with this one asset.
    pub(crate) async fn with_asset(asset: NewAsset) -> (Self, String) {
        let bench = Self::new(quick()).await;
        let id = bench.sandbox.add_asset(asset).unwrap();
        (bench, id)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the configuration: waits are short, and a suspect job still waits out the request timeout.
    pub(crate) fn configure(&self, more: &str) {
        let announcement = self.sandbox.announcement();
        let imatag = format!(
            // Known to be so: a suspect submit need not wait for as long as a watermark may take.
            "api_key = '{}'\ndirectory = '{}'\nbase_url = '{}'\n[imatag.profile_overrides]\nmode = 'async'",
            announcement.api_key, announcement.directory, announcement.imatag
        );
        self.configure_imatag(&imatag, more);
    }

    pub(crate) fn configure_imatag(&self, imatag: &str, more: &str) {
        let announcement = self.sandbox.announcement();
        let text = format!(
            "[bynder]\ndomain = '{}'\napi_token = '{}'\nhash_metaproperty = '{}'\nrequests_per_5_minutes = 1000000\nindex_lag = '50ms'\n\
             [imatag]\n{imatag}\n\
             [worker]\nspool_dir = '{}'\nrequest_timeout = '1s'\n\
             [queue]\nrungs = ['100ms', '400ms', '1500ms', '2s']\n\
             [producer]\nstate_dir = '{}'\n{more}",
            announcement.bynder,
            announcement.token,
            announcement.hash_metaproperty,
            self.path("spool").display(),
            self.path("state").display(),
        );
        std::fs::write(self.path("connector.toml"), text).unwrap();
    }

    /// Changes the configuration that was written.
    pub(crate) fn reconfigure(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path("connector.toml")).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        std::fs::write(self.path("connector.toml"), text.replace(from, to)).unwrap();
    }

    /// Lets requests take this long, where one that times out on a busy machine would change what comes of it.
    pub(crate) fn set_request_timeout(&self, seconds: u64) {
        let text = std::fs::read_to_string(self.path("connector.toml")).unwrap();
        let changed = text.lines().map(|line| match line.split_once(" = ") {
            Some(("request_timeout", _)) => format!("request_timeout = '{seconds}s'\n"),
            Some(("polling.deadline", _)) => format!("polling.deadline = '{seconds}s'\n"),
            // A suspect job waits it out.
            Some(("rungs", _)) => format!("rungs = ['100ms', '400ms', '1500ms', '{}s']\n", seconds + 1),
            Some(_) | None => format!("{line}\n"),
        });
        std::fs::write(self.path("connector.toml"), changed.collect::<String>()).unwrap();
    }

    /// Takes in one more job for this asset, as another run would have published it. The program must not run meanwhile.
    pub(crate) async fn take_in_again(&self, id: &str, run: &str) {
        // The one before is closed by a thread of its own.
        let state = State::open_when_free(&self.path("state")).await.unwrap();
        let queue = EmbeddedQueue::open(state).await.unwrap();
        queue.publish(&job_of(run, id, Lane::Fresh)).await.unwrap();
    }

    /// Waits until the listing shows what was done.
    pub(crate) async fn until_listed(&self) {
        until(|| self.sandbox.is_listed()).await;
    }

    /// Waits until the program takes a row for newer than its last save, ten of its lags later: its own clock tells, and
    /// nothing else.
    pub(crate) async fn until_settled(&self) {
        tokio::time::sleep(Duration::from_millis(600)).await;
    }

    /// The program with this configuration.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).arg("--config").arg(self.path("connector.toml"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command.env("CONNECTOR_LOG", "warn");
        command
    }

    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).spawn().unwrap()
    }

    /// Runs to the end, with further variables in the environment.
    pub(crate) async fn run_with(&self, arguments: &[&str], variables: &[(&str, String)]) -> Ran {
        let mut command = self.command(arguments);
        command.envs(variables.iter().map(|(name, value)| (*name, value)));
        let output = tokio::time::timeout(PATIENCE, command.output()).await;
        Ran::new(output.expect("the program does not end").unwrap())
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, &[]).await
    }

    /// A whole run over the library.
    pub(crate) async fn sync(&self) -> Ran {
        self.run(&["sync", "--full", "--json", "--quiet"]).await
    }

    pub(crate) fn asset(&self, id: &str) -> AuditedAsset {
        self.sandbox.audit().assets.into_iter().find(|asset| asset.id == id).unwrap()
    }

    /// The outcomes of an asset in the ledger, oldest first.
    pub(crate) async fn outcomes(&self, id: &str) -> Vec<Outcome> {
        let Some(state) = State::open_to_read(&self.path("state")).unwrap() else { return Vec::new() };
        let events = Ledger::new(state).outcomes_of(&id.parse().unwrap()).await.unwrap();
        events.into_iter().map(|event| event.outcome).collect()
    }

    /// The last outcome of an asset.
    pub(crate) async fn outcome(&self, id: &str) -> Option<Outcome> {
        self.outcomes(id).await.pop()
    }

    /// Fails unless every asset ended as planted.
    pub(crate) async fn assert_ended_as_planted(&self) {
        let surprises = self.surprises().await;
        assert!(surprises.is_empty(), "{surprises:#?}");
    }

    /// Assets that did not end as planted, as far as the ledger shows.
    pub(crate) async fn surprises(&self) -> Vec<String> {
        let mut surprises = Vec::new();
        for asset in self.sandbox.audit().assets {
            let outcomes = self.outcomes(&asset.id).await;
            if !asset.planted.is_met_by(outcomes.last().map(Outcome::name_and_class)) {
                surprises.push(format!("{} planted {:?}, got {outcomes:?}", asset.id, asset.planted));
            }
        }
        surprises
    }
}

/// Fails if the audit found anything that a right client never does.
pub(crate) fn assert_clean(audit: &Audit) {
    assert!(audit.violations.is_empty(), "{:#?}", audit.violations);
}

/// What the program saved of an asset: versions, versions of copies, additional files.
pub(crate) fn saved_versions(asset: &AuditedAsset) -> usize {
    asset.made
}

/// Whether the active version is a watermarked file, or one made from it is where the mode puts it.
pub(crate) fn is_protected(asset: &AuditedAsset) -> bool {
    asset.protected
}

/// What may become of a watermarked file.
pub(crate) const MODES: [&str; 3] = ["version", "copy", "additional"];

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit code; `None` where a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) talk: String,
}

impl Ran {
    pub(crate) fn new(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            talk: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The summary: the last line of standard output.
    pub(crate) fn summary(&self) -> Value {
        let line = self.out.lines().last().unwrap_or_else(|| panic!("no summary: {self:?}"));
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Fails unless it ended with this code.
    pub(crate) fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }
}

/// A job of this run for an asset that nothing protects yet.
pub(crate) fn job_of(run: &str, id: &str, lane: Lane) -> Job {
    Job::new(RunId(run.to_owned()), id.parse().unwrap(), "one.jpg", lane, 1, None, Timestamp::now())
}

/// A small unprotected picture.
pub(crate) fn picture(name: &str, seed: u64) -> NewAsset {
    NewAsset::new(name, sample_files::file(sample_files::Format::Jpeg, seed, 64, 48))
}

/// Reads a text file of the tests' folder.
pub(crate) fn profile(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles").join(name)
}

/// Waits until something is so; fails when it never is. It polls, because other processes bring it about. An audit keeps
/// the sandbox from answering, so it does not look more often than every ten milliseconds.
pub(crate) async fn until(so: impl Fn() -> bool) {
    let waiting = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it never comes to that");
}

/// As [`until`], for what has to be asked for.
pub(crate) async fn until_async(so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it never comes to that");
}
