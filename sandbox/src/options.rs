//! How the sandbox behaves.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;

use crate::faults::Faults;

/// How the sandbox behaves. Where the real services are unknown, the default is the harsher reading.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Assets in the seeded library.
    pub assets: usize,
    /// Decides everything random.
    pub seed: u64,
    /// The portal's request limit.
    pub rate_limit: Option<RateLimit>,
    /// How far the listing lags behind.
    pub index_lag: Duration,
    /// How long an accepted change takes to show in a single GET.
    pub modify_lag: Duration,
    /// How long an import takes to be converted.
    pub conversion_time: Duration,
    /// How long a watermark takes.
    pub watermark_time: Duration,
    /// How long a signed link lives.
    pub link_lifetime: Duration,
    /// How often a part is "not ready" before it can be registered.
    pub unready_registrations: u32,
    /// Whether the token's user may only upload for approval: what is saved shows once somebody approves it.
    pub for_approval: bool,
    /// Fields that the portal takes with a new asset and does not keep.
    pub forgets: Vec<Forgets>,
    /// Protected assets besides, which the listing shows and which cost no memory.
    pub archive: u64,
    /// Where the portal shows the name of a version's file.
    pub file_names: FileNames,
    /// How the versions of an asset are flagged where it is looked at by itself.
    pub version_flags: VersionFlags,
    /// Whether that look names the active version besides, if asked for its number.
    pub names_active_version: bool,
    /// How Imatag answers a search.
    pub search: Search,
    /// Whether a search shows a medium only once it is done, as a service does that registers it then.
    pub shown_when_done: bool,
    /// Whether downloads have the asset's metadata embedded as of the download, which makes other bytes of the file.
    pub embeds_metadata: bool,
    /// Whether storage sends files without their length.
    pub announces_no_length: bool,
    /// Whether Imatag answers a refused credential with 403, as frameworks without a challenge do.
    pub refuses_credentials_with_403: bool,
    /// Faults from the start.
    pub faults: Faults,
}

/// Where the name of a version's file can be learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileNames {
    /// In listings, in version lists and with the download.
    Listed,
    /// With the download alone, as in portals that have no `fileName`.
    WithDownload,
    /// Nowhere.
    Hidden,
}

/// How Imatag answers a search.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Search {
    /// Whether it ignores filters that it does not know, and takes the one by metadata for such a one.
    pub ignores_filters: bool,
    /// The most media of a page, whatever is asked for.
    pub page_size: Option<usize>,
    /// Where the link to the next page leads.
    pub next: NextLink,
}

/// Where the link to the next page leads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NextLink {
    /// To where the page before came from.
    #[default]
    AsAsked,
    /// To the same host by another scheme, as behind a proxy that nobody declared.
    OtherScheme,
    /// To another host.
    OtherHost,
    /// To one more page, after the last one as well.
    Endless,
}

/// What a portal may take with a new asset and not keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgets {
    /// The copyright notice.
    Copyright,
    /// The hash metaproperty.
    Marker,
}

/// How a list of versions says which one is active.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VersionFlags {
    /// The active one is flagged, the others are flagged as not active.
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
            announces_no_length: false,
            refuses_credentials_with_403: false,
            faults: Faults::default(),
        }
    }
}

/// So many requests in any window, then a block until one window passes without any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests allowed.
    pub requests: usize,
    /// The window.
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
