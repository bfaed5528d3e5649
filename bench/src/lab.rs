//! A sandbox in its own process, a folder, a configuration, and the programs under measurement.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::usage::{self, Usage};

/// In a library with hostile files, one file in ten is hostile.
pub(crate) const HOSTILE_EVERY: u32 = 10;

/// Whether the file with this number is hostile, in such a library.
pub(crate) fn is_hostile(number: u32) -> bool {
    number.is_multiple_of(HOSTILE_EVERY)
}

/// The environment of one measurement.
pub(crate) struct Lab {
    sandbox: Child,
    /// Everything that the sandbox and the programs write; deleted with the lab.
    folder: tempfile::TempDir,
    pub(crate) announcement: Value,
    pub(crate) broker: String,
    prefix: String,
    person: reqwest::Client,
}

/// The options of the sandbox.
#[derive(Debug, Clone)]
pub(crate) struct Library {
    /// Number of pictures to protect.
    pub(crate) pictures: u32,
    /// The length to which each is padded; from 8 MiB on, a TIFF of that length.
    pub(crate) bytes: u64,
    /// Width in pixels; the height is three quarters of it.
    pub(crate) width: u32,
    /// Number of additional protected assets.
    pub(crate) archive: u64,
    /// How long a watermark takes.
    pub(crate) watermark_time: Duration,
    /// How long an import takes.
    pub(crate) import_time: Duration,
    /// How long each call takes.
    pub(crate) call_time: Duration,
    /// Bytes per second of the line to both services' storage, each way; `None` for no limit.
    pub(crate) line_rate: Option<u64>,
    /// Whether storage sends files without their length.
    pub(crate) hides_lengths: bool,
    /// How far the listing lags behind.
    pub(crate) index_lag: Duration,
    /// How many times faster the services' clock runs.
    pub(crate) faster: u32,
    /// Whether Bynder's request limit applies.
    pub(crate) limited: bool,
    /// The fraction of requests that are hit by a fault of any kind.
    pub(crate) faults: f64,
    /// Whether every tenth file is hostile.
    pub(crate) is_hostile: bool,
    /// For how long a person uploads a hostile file every five seconds.
    pub(crate) hostile_uploads: Duration,
}

impl Default for Library {
    fn default() -> Self {
        Self {
            pictures: 0,
            bytes: 0,
            width: 800,
            archive: 0,
            watermark_time: Duration::ZERO,
            import_time: Duration::ZERO,
            call_time: Duration::ZERO,
            line_rate: None,
            hides_lengths: false,
            index_lag: Duration::from_millis(100),
            faster: 1,
            limited: false,
            faults: 0.0,
            is_hostile: false,
            hostile_uploads: Duration::ZERO,
        }
    }
}

impl Lab {
    /// Starts the sandbox and fills its library.
    pub(crate) async fn new(library: &Library) -> anyhow::Result<Self> {
        let broker = std::env::var("BENCH_BROKER").context("start it by scripts/bench")?;
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.env("TMPDIR", folder.path());
        let milliseconds = |duration: Duration| duration.as_millis().to_string();
        command.args(["sandbox", "--pictures", &library.pictures.to_string()]);
        command.args(["--bytes", &library.bytes.to_string(), "--archive", &library.archive.to_string()]);
        command.args(["--width", &library.width.to_string()]);
        command.args(["--watermark-ms", &milliseconds(library.watermark_time)]);
        command.args(["--import-ms", &milliseconds(library.import_time)]);
        command.args(["--call-ms", &milliseconds(library.call_time)]);
        command.args(["--index-lag-ms", &milliseconds(library.index_lag)]);
        command.args(["--faults", &library.faults.to_string()]);
        if let Some(rate) = library.line_rate {
            command.args(["--line-rate", &rate.to_string()]);
        }
        if library.hides_lengths {
            command.arg("--hide-lengths");
        }
        if library.faster > 1 {
            command.envs(faster(library.faster));
        }
        if library.limited {
            command.arg("--limited");
        }
        if library.is_hostile {
            command.arg("--hostile");
        }
        command.args(["--hostile-uploads-ms", &milliseconds(library.hostile_uploads)]);
        let mut sandbox = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let output = sandbox.stdout.take().context("no output")?;
        let line = BufReader::new(output).lines().next_line().await?.context("the sandbox does not start")?;
        let announcement = serde_json::from_str(&line)?;
        let number = std::process::id();
        let stamp = jiff::Timestamp::now().as_millisecond();
        let (prefix, person) =
            (format!("bench{number}-{stamp}"), http_client::local_client(Duration::from_mins(1))?);
        let lab = Self { sandbox, folder, announcement, broker, prefix, person };
        lab.configure("", "")?;
        Ok(lab)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A queue prefix that no other measurement uses.
    pub(crate) fn queue_name(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.announcement[name].as_str().unwrap_or_default()
    }

    /// Writes the configuration with these additions to `[bynder]` and `[worker]`, and with short waits.
    pub(crate) fn configure(&self, bynder: &str, worker: &str) -> anyhow::Result<()> {
        let quick = "index_lag = '1s'\n";
        self.write(&format!("{quick}{bynder}"), worker, "rungs = ['200ms', '1s', '5s', '30s', '2m']\n")
    }

    /// Like [`Lab::configure`], with the connector's default waits.
    pub(crate) fn configure_with_default_waits(&self, bynder: &str, worker: &str) -> anyhow::Result<()> {
        self.write(bynder, worker, "")
    }

    fn write(&self, bynder: &str, worker: &str, queue: &str) -> anyhow::Result<()> {
        let budget = if bynder.contains("requests_per_5_minutes") {
            String::new()
        } else {
            "requests_per_5_minutes = 4000000000\n".to_owned()
        };
        // After a submit without a response, a job waits for as long as a submit may take: by default an hour, longer than any run.
        let text = format!(
            "[bynder]\ndomain = '{}'\napi_token = '{}'\nhash_metaproperty = 'imatag_hash'\n\
             egress_group = '{prefix}'\n{budget}{bynder}\n\
             [imatag]\napi_key = '{}'\ndirectory = '{}'\nbase_url = '{}'\n\
             profile_overrides = {{ polling = {{ deadline = '1m' }} }}\n\
             [worker]\nspool_dir = '{}'\n{worker}\n\
             [queue]\nprefix = '{prefix}'\n{queue}\
             [broker]\nurl = '{}'\n[producer]\nstate_dir = '{}'\n",
            self.text("bynder"),
            self.text("token"),
            self.text("api_key"),
            self.text("directory"),
            self.text("imatag"),
            self.path("spool").display(),
            self.broker,
            self.path("state").display(),
            prefix = self.prefix,
        );
        Ok(std::fs::write(self.path("connector.toml"), text)?)
    }

    /// A program from the same folder as this one; it logs errors to this program's stderr.
    pub(crate) fn program(&self, name: &str, arguments: &[&str]) -> anyhow::Result<Command> {
        let here = std::env::current_exe()?;
        let mut command = Command::new(here.parent().unwrap_or(Path::new(".")).join(name));
        command.args(arguments).arg("--config").arg(self.path("connector.toml"));
        command.env("CONNECTOR_LOG", "error").env("CONNECTOR_HTTP__LISTEN", "127.0.0.1:0");
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        Ok(command)
    }

    /// Starts this many workers, each with its own spool.
    pub(crate) fn workers(&self, count: usize) -> anyhow::Result<Vec<Child>> {
        let start = |number: usize| {
            let mut command = self.program("worker", &[])?;
            command.env("CONNECTOR_WORKER__SPOOL_DIR", self.path(&format!("spool{number}")));
            Ok(command.spawn()?)
        };
        (0..count).map(start).collect()
    }

    /// The sandbox's statistics so far.
    pub(crate) async fn stats(&self) -> anyhow::Result<Value> {
        let url = format!("{}/sandbox/stats", self.text("bynder"));
        Ok(serde_json::from_slice(&reqwest::get(url).await?.bytes().await?)?)
    }

    /// Number of calls so far that count against Bynder's limit.
    pub(crate) async fn portal_calls(&self) -> anyhow::Result<u64> {
        Ok(self.stats().await?["portal_calls"].as_u64().unwrap_or_default())
    }

    /// Number of requests to one endpoint so far.
    pub(crate) async fn requests(&self, endpoint: &str) -> anyhow::Result<u64> {
        Ok(self.stats().await?["requests"][endpoint].as_u64().unwrap_or_default())
    }

    /// Number of requests to all endpoints so far.
    pub(crate) async fn all_requests(&self) -> anyhow::Result<u64> {
        let stats = self.stats().await?;
        Ok(stats["requests"].as_object().into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum())
    }

    /// A person uploads a new version of an asset: a small one, or a TIFF of this length.
    pub(crate) async fn new_version(&self, asset: &str, large: Option<u64>) -> anyhow::Result<()> {
        let url = format!("{}/sandbox/assets/{asset}/version", self.text("bynder"));
        let version = large.map_or_else(|| json!({}), |bytes| json!({"large": bytes}));
        self.person.post(url).body(version.to_string()).send().await?.error_for_status()?;
        Ok(())
    }

    /// A person adds a picture; returns its id.
    pub(crate) async fn add_picture(&self, name: &str) -> anyhow::Result<String> {
        let url = format!("{}/sandbox/assets", self.text("bynder"));
        let request = self.person.post(url).body(json!({"name": name}).to_string());
        let answer: Value =
            serde_json::from_slice(&request.send().await?.error_for_status()?.bytes().await?)?;
        Ok(answer["id"].as_str().context("no id")?.to_owned())
    }

    /// The ids of the pictures.
    pub(crate) async fn pictures(&self) -> anyhow::Result<Vec<String>> {
        let audit = self.audited().await?;
        let assets = audit["assets"].as_array().into_iter().flatten();
        Ok(assets.filter_map(|asset| Some(asset["id"].as_str()?.to_owned())).collect())
    }

    pub(crate) async fn audited(&self) -> anyhow::Result<Value> {
        let url = format!("{}/sandbox/audit", self.text("bynder"));
        Ok(serde_json::from_slice(&reqwest::get(url).await?.bytes().await?)?)
    }

    /// Runs the audit; returns the number of protected assets and the violations.
    pub(crate) async fn audit(&self) -> anyhow::Result<(usize, Vec<Value>)> {
        let audit = self.audited().await?;
        let assets = audit["assets"].as_array().cloned().unwrap_or_default();
        let protected = assets.iter().filter(|asset| asset["protected"] == true).count();
        Ok((protected, audit["violations"].as_array().cloned().unwrap_or_default()))
    }

    /// Fails unless every picture is protected and there are no violations.
    pub(crate) async fn assert_protected(&self, pictures: u32) -> anyhow::Result<()> {
        let (protected, violations) = self.audit().await?;
        anyhow::ensure!(violations.is_empty(), "the audit is not clean: {violations:?}");
        anyhow::ensure!(protected == pictures as usize, "only {protected} of {pictures} are protected");
        Ok(())
    }

    /// Fails unless every picture that is not hostile is protected and there are no violations. Returns how many hostile ones
    /// are protected too.
    pub(crate) async fn assert_ordinary_protected(&self) -> anyhow::Result<usize> {
        let audit = self.audited().await?;
        let violations = audit["violations"].as_array().cloned().unwrap_or_default();
        anyhow::ensure!(violations.is_empty(), "the audit is not clean: {violations:?}");
        let mut hostile_protected = 0;
        for asset in audit["assets"].as_array().into_iter().flatten() {
            let name = asset["name"].as_str().unwrap_or_default();
            let number: u32 =
                name.split('.').next().and_then(|number| number.parse().ok()).context("a name")?;
            match (is_hostile(number), asset["protected"] == true) {
                (true, protected) => hostile_protected += usize::from(protected),
                (false, true) => {}
                (false, false) => anyhow::bail!("{name} is not protected"),
            }
        }
        Ok(hostile_protected)
    }

    pub(crate) fn sandbox_usage(&self) -> Usage {
        self.sandbox.id().and_then(usage::of).unwrap_or_default()
    }
}

/// Variables that make a program's clock run this many times faster.
pub(crate) fn faster(times: u32) -> [(&'static str, String); 2] {
    let library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";
    [("LD_PRELOAD", library.to_owned()), ("FAKETIME", format!("+0 x{times}"))]
}

/// Total CPU time of these processes.
pub(crate) fn cpu_of(children: &[Child]) -> Duration {
    children.iter().filter_map(|child| usage::of(child.id()?)).map(|usage| usage.cpu).sum()
}

/// Maximum peak memory of these processes, in bytes.
pub(crate) fn peak_of(children: &[Child]) -> u64 {
    children
        .iter()
        .filter_map(|child| usage::of(child.id()?))
        .map(|usage| usage.peak)
        .max()
        .unwrap_or_default()
}
