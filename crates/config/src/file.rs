//! The keys of the configuration, with their types and defaults.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Table;
use url::Url;

use super::{
    ChecksSection, Filters, NotifySection, PageSection, QuietHours, ReaderSection, SecretValue, Span,
    TracesSection, WorkerSection, Zone,
};
use common::address;
use common::job::{Directory, OutputMode};
use common::marker::LegacyMeaning;

/// The whole configuration.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whether runs cover what changed since the last run; false for the whole library.
    #[serde(default = "yes")]
    pub delta: bool,
    /// The portal.
    pub bynder: BynderSection,
    /// The watermarking service.
    pub imatag: ImatagSection,
    /// The assets to protect.
    #[serde(default)]
    pub filters: Filters,
    /// Where the watermarked file is saved.
    #[serde(default)]
    pub output: OutputSection,
    /// The checks of a watermarked file.
    #[serde(default)]
    pub checks: ChecksSection,
    /// How jobs are processed.
    #[serde(default)]
    pub worker: WorkerSection,
    /// How files are read.
    #[serde(default)]
    pub reader: ReaderSection,
    /// How jobs wait.
    #[serde(default)]
    pub queue: QueueSection,
    /// Limits of the number of jobs.
    #[serde(default)]
    pub limits: Limits,
    /// The times of day with a smaller budget.
    #[serde(default)]
    pub quiet_hours: Vec<QuietHours>,
    /// The history of the hash metaproperty.
    #[serde(default)]
    pub marker: MarkerSection,
    /// When and how runs are made.
    #[serde(default)]
    pub producer: ProducerSection,
    /// The message broker of a fleet.
    #[serde(default)]
    pub broker: Option<BrokerSection>,
    /// The endpoint for health and metrics.
    #[serde(default)]
    pub http: HttpSection,
    /// The operator's page.
    #[serde(default)]
    pub page: PageSection,
    /// Where traces of jobs go.
    #[serde(default)]
    pub traces: TracesSection,
    /// The people to notify.
    #[serde(default)]
    pub notify: NotifySection,
}

/// `[bynder]`
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BynderSection {
    /// The portal's host name or URL.
    pub domain: String,
    /// Whether plain http to another machine is allowed: for a sandbox on a network of its own.
    #[serde(default)]
    pub allow_http: bool,
    /// The hosts that files may come from and go to, besides the portal's own: names, or `*.` and the end of a
    /// name. Without it, any host; one that is unusual for Bynder is logged as a warning.
    #[serde(default)]
    pub storage_hosts: Option<Vec<String>>,
    /// A permanent token.
    #[serde(default)]
    pub api_token: Option<SecretValue>,
    /// An OAuth2 application, instead of a token; the portal itself issues its tokens.
    #[serde(default)]
    pub oauth: Option<BynderOAuth>,
    /// Name of the text metaproperty that holds the marker.
    pub hash_metaproperty: String,
    /// Name of a text metaproperty that shows people the asset's status.
    #[serde(default)]
    pub status_metaproperty: Option<String>,
    /// Portal calls that this address may make in five minutes.
    #[serde(default = "requests")]
    pub requests_per_5_minutes: std::num::NonZeroU32,
    /// Length of the parts that files are uploaded in; each costs a portal call.
    #[serde(default = "part_size")]
    #[schemars(with = "String")]
    pub part_size: ByteSize,
    /// The most parts of one file that are uploaded at once.
    #[serde(default = "parts_at_once")]
    pub parts_at_once: usize,
    /// How far the listing may lag behind.
    #[serde(default = "index_lag")]
    pub index_lag: Span,
    /// Name of the group of processes that share a source address, and so a budget.
    #[serde(default = "egress_group")]
    pub egress_group: String,
}

/// `[bynder.oauth]`
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BynderOAuth {
    /// The application's id.
    pub client_id: String,
    /// The application's secret.
    pub client_secret: SecretValue,
}

/// `[imatag.oauth]`
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImatagOAuth {
    /// The application's id.
    pub client_id: String,
    /// The application's secret.
    pub client_secret: SecretValue,
    /// The address that issues tokens.
    #[serde(default, deserialize_with = "address::read_some")]
    pub token_url: Option<Url>,
}

/// `[imatag]`
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImatagSection {
    /// The account's API key.
    #[serde(default)]
    pub api_key: Option<SecretValue>,
    /// An OAuth2 application, instead of a key.
    #[serde(default)]
    pub oauth: Option<ImatagOAuth>,
    /// The directory that media are saved in; starts with the homedir.
    pub directory: Directory,
    /// Other directories for the media of some assets; the first that matches an asset applies.
    #[serde(default)]
    pub directories: Vec<DirectoryOf>,
    /// Directories that media were saved in before: they are searched as well, so that no file is paid for twice.
    #[serde(default)]
    pub former_directories: Vec<Directory>,
    /// The metadata key for the Bynder id.
    #[serde(default = "media_id_metadata")]
    pub media_id_metadata: String,
    /// Overrides the profile's base URL.
    #[serde(default, deserialize_with = "address::read_some")]
    pub base_url: Option<Url>,
    /// Whether plain http to another machine is allowed: for a sandbox on a network of its own.
    #[serde(default)]
    pub allow_http: bool,
    /// The wire profile: the name of a built-in one, or a file.
    #[serde(default = "profile")]
    pub profile: String,
    /// Overrides of single keys of the profile.
    #[serde(default)]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub profile_overrides: Table,
    /// Whether to submit again if Imatag may have the file and cannot be searched.
    #[serde(default)]
    pub resubmit_unknown: bool,
    /// The most files that each process uploads to Imatag at once.
    #[serde(default = "uploads_in_flight")]
    pub uploads_in_flight: usize,
}

/// `[[imatag.directories]]`: all given conditions must match.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DirectoryOf {
    /// Brands by name or id.
    #[serde(default)]
    pub brands: Vec<String>,
    /// Metaproperties by name, each with values of which one must match.
    #[serde(default)]
    pub metaproperties: BTreeMap<String, Vec<String>>,
    /// The directory that the media of these assets are saved in.
    pub directory: Directory,
}

/// `[output]`
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputSection {
    /// Where the watermarked file is saved.
    #[serde(default)]
    pub mode: OutputMode,
    /// Name of a text metaproperty that links copy and original to each other.
    #[serde(default)]
    pub link_metaproperty: Option<String>,
}

/// `[broker]`
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BrokerSection {
    /// amqps://, or amqp:// on this machine, with credentials.
    pub url: SecretValue,
    /// The key that signs the fleet's messages: the same for every process. Several, separated by commas, are
    /// accepted; the first one signs.
    #[serde(default)]
    pub message_key: Option<SecretValue>,
    /// Whether amqp:// to another machine is allowed: for a broker on a network of its own.
    #[serde(default)]
    pub allow_plain: bool,
    /// A PEM file of certificates to trust instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// `[queue]`
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueueSection {
    /// The prefix of names on the broker.
    pub prefix: String,
    /// The delays that a waiting job can get.
    pub rungs: Vec<Span>,
    /// How long one delivery is held before it is exchanged for a new one; shorter than the broker's consumer
    /// timeout.
    pub longest_hold: Span,
}

/// `[limits]`
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The most jobs that one run may publish.
    #[serde(default)]
    pub assets_per_run: Option<u64>,
    /// The most jobs that may be published in one day (UTC).
    #[serde(default)]
    pub assets_per_day: Option<u64>,
}

/// `[marker]`
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkerSection {
    /// The meaning of another tool's hash.
    #[serde(default)]
    pub legacy: LegacyMeaning,
}

/// `[producer]`
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProducerSection {
    /// The interval between runs.
    pub every: Option<Span>,
    /// The times of runs, as a cron expression.
    pub cron: Option<String>,
    /// The time zone of the cron expression.
    pub time_zone: Zone,
    /// The folder of the ledger, the cursor and the embedded queue.
    pub state_dir: PathBuf,
    /// How long after a run over everything that was requested the next one is due, instead of a delta run.
    pub full_every: Span,
    /// How far a delta run reaches back before the start of the last run, since the index lags.
    pub overlap: Span,
    /// A job without an outcome that was in no queue and with no worker for this long is given up; its asset
    /// is taken up again.
    pub lost_after: Span,
}

/// `[http]`
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSection {
    /// The address to listen on.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
}

impl Default for QueueSection {
    fn default() -> Self {
        let rungs = [1, 2, 5, 10, 20, 60, 120, 600, 3600].map(|seconds| Span(Duration::from_secs(seconds)));
        Self {
            prefix: "connector".to_owned(),
            rungs: rungs.to_vec(),
            longest_hold: Span(Duration::from_mins(8)),
        }
    }
}

impl Default for ProducerSection {
    fn default() -> Self {
        Self {
            every: None,
            cron: None,
            time_zone: Zone::default(),
            full_every: Span(Duration::from_hours(7 * 24)),
            state_dir: PathBuf::from("state"),
            overlap: Span(Duration::from_mins(15)),
            lost_after: Span(Duration::from_mins(15)),
        }
    }
}

impl Default for HttpSection {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9090)) }
    }
}

fn yes() -> bool {
    true
}

fn requests() -> std::num::NonZeroU32 {
    const { std::num::NonZeroU32::new(4000).unwrap() }
}

fn part_size() -> ByteSize {
    ByteSize::mib(32)
}

/// As measured in docs/performance.md: more are not faster, and each needs a connection and some memory.
fn parts_at_once() -> usize {
    2
}

fn index_lag() -> Span {
    Span(Duration::from_mins(1))
}

fn egress_group() -> String {
    "default".to_owned()
}

fn media_id_metadata() -> String {
    "bynder_media_id".to_owned()
}

fn uploads_in_flight() -> usize {
    4
}

fn profile() -> String {
    "imatag".to_owned()
}
