//! The keys, their types and their defaults.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::Table;
use url::Url;

use super::{ChecksSection, Filters, QuietHours, ReaderSection, SecretValue, Span};
use common::address;
use common::job::{Directory, OutputMode};
use common::marker::LegacyMeaning;

/// The whole configuration.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whether runs go over what changed since the last one; false for the whole library.
    #[serde(default = "yes")]
    pub delta: bool,
    /// The portal.
    pub bynder: BynderSection,
    /// The watermarking service.
    pub imatag: ImatagSection,
    /// Which assets are protected.
    #[serde(default)]
    pub filters: Filters,
    /// What becomes of the watermarked file.
    #[serde(default)]
    pub output: OutputSection,
    /// What a watermarked file must be like.
    #[serde(default)]
    pub checks: ChecksSection,
    /// Doing jobs.
    #[serde(default)]
    pub worker: WorkerSection,
    /// How files are read.
    #[serde(default)]
    pub reader: ReaderSection,
    /// Waiting.
    #[serde(default)]
    pub queue: QueueSection,
    /// How much may be done.
    #[serde(default)]
    pub limits: Limits,
    /// When less is done.
    #[serde(default)]
    pub quiet_hours: Vec<QuietHours>,
    /// The hash metaproperty's history.
    #[serde(default)]
    pub marker: MarkerSection,
    /// Finding jobs.
    #[serde(default)]
    pub producer: ProducerSection,
    /// The message broker of a fleet.
    #[serde(default)]
    pub broker: Option<BrokerSection>,
    /// The endpoint for health and metrics.
    #[serde(default)]
    pub http: HttpSection,
}

/// `[bynder]`
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BynderSection {
    /// The portal's host name or URL.
    pub domain: String,
    /// Whether plain http is allowed to another machine: for a sandbox on a network of its own.
    #[serde(default)]
    pub allow_http: bool,
    /// The hosts that files may come from and go to, besides the portal's own: names, or `*.` and what a name ends with.
    /// Absent: any, and one that is unusual at Bynder is warned about.
    #[serde(default)]
    pub storage_hosts: Option<Vec<String>>,
    /// A permanent token.
    #[serde(default)]
    pub api_token: Option<SecretValue>,
    /// An OAuth2 application instead.
    #[serde(default)]
    pub oauth: Option<OAuth>,
    /// Name of the text metaproperty that holds the marker.
    pub hash_metaproperty: String,
    /// Name of a text metaproperty that shows people the asset's status.
    #[serde(default)]
    pub status_metaproperty: Option<String>,
    /// Portal calls allowed in five minutes from this address.
    #[serde(default = "requests")]
    pub requests_per_5_minutes: std::num::NonZeroU32,
    /// Length of the parts that files are uploaded in; each costs a portal call.
    #[serde(default = "part_size")]
    #[schemars(with = "String")]
    pub part_size: ByteSize,
    /// Parts of one file that are on their way to storage at once.
    #[serde(default = "parts_at_once")]
    pub parts_at_once: usize,
    /// How long the listing may lag behind.
    #[serde(default = "index_lag")]
    pub index_lag: Span,
    /// Which processes share an address.
    #[serde(default = "egress_group")]
    pub egress_group: String,
}

/// `[bynder.oauth]` and `[imatag.oauth]`
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OAuth {
    /// The application's id.
    pub client_id: String,
    /// The application's secret.
    pub client_secret: SecretValue,
    /// Where tokens come from; Bynder's is known.
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
    /// An OAuth2 application instead.
    #[serde(default)]
    pub oauth: Option<OAuth>,
    /// Where media are saved; starts with the homedir.
    pub directory: Directory,
    /// Where the media of some assets are saved instead; the first that an asset suits.
    #[serde(default)]
    pub directories: Vec<DirectoryOf>,
    /// Where media were saved before: looked through as well, so that nothing is paid for twice.
    #[serde(default)]
    pub former_directories: Vec<Directory>,
    /// The metadata key that holds the Bynder id.
    #[serde(default = "media_id_metadata")]
    pub media_id_metadata: String,
    /// Overrides the profile's base URL.
    #[serde(default, deserialize_with = "address::read_some")]
    pub base_url: Option<Url>,
    /// Whether plain http is allowed to another machine: for a sandbox on a network of its own.
    #[serde(default)]
    pub allow_http: bool,
    /// The wire profile: built in, or a file.
    #[serde(default = "profile")]
    pub profile: String,
    /// Single keys of the profile.
    #[serde(default)]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub profile_overrides: Table,
    /// Whether to submit again when Imatag may have the file and cannot be asked.
    #[serde(default)]
    pub resubmit_unknown: bool,
    /// Files on their way to Imatag at once, in each process.
    #[serde(default = "uploads_in_flight")]
    pub uploads_in_flight: usize,
}

/// `[[imatag.directories]]`: all that is given must match.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DirectoryOf {
    /// Brands by name or id.
    #[serde(default)]
    pub brands: Vec<String>,
    /// Metaproperties by name, each with the values any of which matches.
    #[serde(default)]
    pub metaproperties: BTreeMap<String, Vec<String>>,
    /// Where the media of these assets are saved.
    pub directory: Directory,
}

/// `[output]`
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputSection {
    /// What becomes of the watermarked file.
    #[serde(default)]
    pub mode: OutputMode,
    /// Name of a text metaproperty that links copy and original, each way.
    #[serde(default)]
    pub link_metaproperty: Option<String>,
}

/// `[broker]`
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BrokerSection {
    /// amqps://, or amqp:// on this machine, with credentials.
    pub url: SecretValue,
    /// What the fleet's messages are signed by: the same for every process. Several with commas between them are accepted, and the first signs.
    #[serde(default)]
    pub message_key: Option<SecretValue>,
    /// Whether amqp:// is allowed to another machine: for a broker on a network of its own.
    #[serde(default)]
    pub allow_plain: bool,
    /// A file of certificates in PEM to trust instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// `[worker]`
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WorkerSection {
    /// Jobs in flight at once.
    pub concurrency: usize,
    /// Where files rest between the services.
    pub spool_dir: PathBuf,
    /// The most that rests there at once.
    #[schemars(with = "String")]
    pub spool_max: ByteSize,
    /// The longest a request may take, and a transfer stand still.
    pub request_timeout: Span,
    /// Attempts after which a job fails.
    pub max_attempts: u32,
    /// How long a step may take as a whole, a transfer of the largest file included.
    pub step_deadline: Span,
    /// How long a job may wait in all before it fails; pauses do not count.
    pub longest_wait: Span,
    /// How long steps in flight have to end after a request to stop.
    pub grace: Span,
}

/// `[queue]`
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QueueSection {
    /// What names on the broker start with.
    pub prefix: String,
    /// The waits a job can be sent to.
    pub rungs: Vec<Span>,
    /// How long one delivery is worked on before it is exchanged for a new one; below the broker's consumer timeout.
    pub longest_hold: Span,
}

/// `[limits]`
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Jobs one run may publish.
    #[serde(default)]
    pub assets_per_run: Option<u64>,
    /// Jobs one day (UTC) may bring.
    #[serde(default)]
    pub assets_per_day: Option<u64>,
}

/// `[marker]`
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkerSection {
    /// What another tool's hash means.
    #[serde(default)]
    pub legacy: LegacyMeaning,
}

/// `[producer]`
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProducerSection {
    /// How often to run.
    pub every: Option<Span>,
    /// When to run, as a cron expression.
    pub cron: Option<String>,
    /// Where run history, cursor and the embedded queue are.
    pub state_dir: PathBuf,
    /// How long after a run over what was asked for of the library the next one is due, in a delta run's place.
    pub full_every: Span,
    /// How far a delta run reaches back before the last run's start: the index lags.
    pub overlap: Span,
    /// Jobs without an outcome are given up that were in no queue and in no worker's hands for this long; their assets
    /// are taken up again.
    pub lost_after: Span,
}

/// `[http]`
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSection {
    /// Where to listen.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
}

impl Default for WorkerSection {
    fn default() -> Self {
        Self {
            concurrency: 16,
            spool_dir: PathBuf::from("/var/tmp/connector"),
            spool_max: ByteSize::gib(20),
            request_timeout: Span(Duration::from_mins(1)),
            max_attempts: 12,
            step_deadline: Span(Duration::from_hours(6)),
            longest_wait: Span(Duration::from_hours(24)),
            grace: Span(Duration::from_secs(25)),
        }
    }
}

impl Default for QueueSection {
    fn default() -> Self {
        let rungs = [5, 30, 120, 600, 3600].map(|seconds| Span(Duration::from_secs(seconds)));
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

/// As measured in docs/performance.md: more are no faster, and each holds a connection and some memory.
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
