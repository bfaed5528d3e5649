//! Options of the sandbox.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;

use crate::faults::Faults;

/// How the sandbox behaves. Where the real behaviour is unknown, the default is the harsher reading.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Options {
    /// Where to listen; port 0 chooses a free port.
    pub listen: SocketAddr,
    /// Number of assets in the seeded library.
    pub assets: usize,
    /// Seed of everything random.
    pub seed: u64,
    /// The portal's request limit.
    pub rate_limit: Option<RateLimit>,
    /// How far the listing lags behind.
    pub index_lag: Duration,
    /// How long an accepted change takes to be visible in a single GET.
    pub modify_lag: Duration,
    /// How long an import takes to be converted.
    pub conversion_time: Duration,
    /// How long a watermark takes.
    pub watermark_time: Duration,
    /// How long a signed link is valid.
    pub link_lifetime: Duration,
    /// How often a part is "not ready" before it can be registered.
    pub unready_registrations: u32,
    /// Whether the token's user may only upload for approval: a save is visible once a person approves it.
    pub for_approval: bool,
    /// Fields of a new asset that the portal accepts and drops.
    pub forgets: Vec<Forgets>,
    /// Number of additional protected assets, which the listing shows and which take no memory.
    pub archive: u64,
    /// Where the portal shows the file name of a version.
    pub file_names: FileNames,
    /// How a single GET flags the versions of an asset.
    pub version_flags: VersionFlags,
    /// Whether a single GET also names the active version if the number is requested.
    pub names_active_version: bool,
    /// How Imatag answers a search.
    pub search: Search,
    /// Whether a search shows a medium only once it is finished, as a service does that registers it only then.
    pub shown_when_done: bool,
    /// Whether downloads have the asset's current metadata embedded, so that their bytes differ from the upload's.
    pub embeds_metadata: bool,
    /// Bytes per second of the client's line to both storages, each way.
    pub line_rate: Option<u64>,
    /// Number of parts of uploads that storage has to receive before it sends the last bytes of a watermarked file.
    pub parts_before_results_end: u32,
    /// Whether both storages send files without `Content-Length`.
    pub announces_no_length: bool,
    /// Whether Imatag answers a refused credential with 403, as frameworks without a challenge do.
    pub refuses_credentials_with_403: bool,
    /// Faults from the start.
    pub faults: Faults,
}

/// Where the file name of a version is visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileNames {
    /// In listings, in lists of versions and with the download.
    Listed,
    /// Only with the download, as in portals without `fileName`.
    WithDownload,
    /// Nowhere.
    Hidden,
}

/// How Imatag answers a search.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Search {
    /// Whether it ignores unknown filters, and does not know the one by metadata.
    pub ignores_filters: bool,
    /// Maximum media per page, whatever is requested.
    pub page_size: Option<usize>,
    pub next: NextLink,
}

/// Where the link to the next page leads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NextLink {
    /// To the URL of the previous page.
    #[default]
    AsAsked,
    /// To the same host with another scheme, as behind a TLS proxy that the service does not know of.
    OtherScheme,
    /// To another host.
    OtherHost,
    /// To another page even after the last one.
    Endless,
}

/// A field of a new asset that a portal may accept and drop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgets {
    Copyright,
    Marker,
}

/// How a list of versions flags the active one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VersionFlags {
    /// The active one is flagged as active, the others as inactive.
    #[default]
    Active,
    /// No version has a flag.
    Missing,
    /// Every version is flagged as active.
    All,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            assets: 0,
            seed: 1,
            rate_limit: Some(RateLimit { requests: 4500, window: Duration::from_mins(5) }),
            index_lag: Duration::from_secs(2),
            modify_lag: Duration::from_millis(200),
            conversion_time: Duration::from_millis(500),
            watermark_time: Duration::from_millis(500),
            link_lifetime: Duration::from_mins(1),
            unready_registrations: 0,
            for_approval: false,
            forgets: Vec::new(),
            archive: 0,
            file_names: FileNames::Listed,
            version_flags: VersionFlags::default(),
            names_active_version: true,
            search: Search::default(),
            shown_when_done: false,
            embeds_metadata: false,
            line_rate: None,
            parts_before_results_end: 0,
            announces_no_length: false,
            refuses_credentials_with_403: false,
            faults: Faults::default(),
        }
    }
}

/// Maximum requests in any window; above it, a block until a window passes without a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    pub requests: usize,
    pub window: Duration,
}

impl FromStr for RateLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a rate limit; write for example 4500/300s");
        let (requests, window) = text.split_once('/').ok_or_else(wrong)?;
        let requests = requests.parse().map_err(|_| wrong())?;
        let window: SignedDuration = window.parse().map_err(|_| wrong())?;
        Ok(Self { requests, window: window.try_into().map_err(|_| wrong())? })
    }
}
