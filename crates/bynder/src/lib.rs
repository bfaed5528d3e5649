//! The Bynder portal's API: listing, one asset, download, upload, save, modify.
//!
//! Every portal call goes through `call`, which asks the request budget first, never follows a redirect and
//! tells by the answer what the caller can do. Transfers to and from storage go through `download` and `upload` and carry no
//! credential: S3 refuses a request that has one, and it would leave the portal's origin.

mod account;
#[cfg(feature = "answers")]
pub mod answers;
mod asset;
mod batching;
mod call;
mod credential;
mod decode;
mod download;
mod error;
mod list;
mod listing;
mod metaproperty;
pub mod patience;
mod poll;
mod reserved;
mod save;
mod template;
mod upload;

#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{OnceCell, Semaphore};
use url::Url;

pub use account::{Account, Named};
pub use common::job::{ImportId, Parcel};
pub use credential::Credential;
pub use download::Download;
pub use error::{BynderError, Right};
pub use list::{DateField, ListQuery, Order, Page};
pub use metaproperty::{Metaproperty, PropertyOption};
pub use poll::ImportState;
pub use save::{NewAsset, Saved};
pub use template::{Restriction, Template, Words};
pub use upload::part_count;

use batching::Batcher;
pub use batching::MOST_IDS;
use common::job::Lane;
use common::permission::Permission;
use http_client::{Link, LinkHosts, RequestObserver, Services, Tokens, Transport, TransportError};
use reserved::ReservedCalls;

use common::asset::{Asset, AssetId};

/// Permission to make portal calls: the request budget. Storage is not the portal and does not pass it.
#[async_trait]
pub trait Gate: Send + Sync + std::fmt::Debug {
    /// Waits for so many free places at once, or says that every call is stopped. Returns how many there are: as many as
    /// wanted, or one where more may not go.
    async fn admit(&self, lane: Lane, places: u32) -> Result<u32, Paused>;
    /// Whether a place that was given before may be used still, or every call is stopped.
    fn check(&self) -> Result<(), Paused>;
    /// So many places were given and are not used.
    fn unused(&self, places: u32);
    /// How far apart places are at the full rate.
    fn interval(&self) -> Duration;
    /// The portal answered 429: nothing may be sent for a while.
    fn refused(&self);
    /// The portal answered anything else.
    fn answered(&self);
}

/// No portal call may be made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paused {
    /// How long this lasts at least.
    pub remaining: Duration,
}

/// Where the portal is and how to sign in.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The portal's origin, such as `https://acme.bynder.com/`.
    pub portal: Url,
    /// Whether plain http is allowed to another machine.
    pub allow_http: bool,
    /// Hosts of storage that the portal may link to.
    pub storage_hosts: LinkHosts,
    /// Permanent token or OAuth2 client.
    pub credential: Credential,
    /// The longest a plain request may take, and a transfer stand still.
    pub request_timeout: Duration,
    /// Bytes in a part of an upload, 5 MiB at least.
    pub part_size: u64,
    /// Parts of one file that are on their way at once.
    pub parts_at_once: usize,
    /// Where requests are counted.
    pub observer: Arc<dyn RequestObserver>,
}

/// The client; clones share connections, token and endpoint.
#[derive(Debug, Clone)]
pub struct Bynder {
    inner: Arc<Inner>,
    places: Option<Arc<ReservedCalls>>,
    permission: Option<Permission<String>>,
    lane: Lane,
}

#[derive(Debug)]
struct Inner {
    portal: Url,
    transport: Transport,
    credential: Credential,
    tokens: Tokens,
    gate: Arc<dyn Gate>,
    part_size: u64,
    parts_at_once: usize,
    parts_under_way: Semaphore,
    polls: Batcher<ImportId, ImportState>,
    rows: Batcher<AssetId, Asset>,
    /// Set once the process has made a single GET.
    looked: OnceCell<()>,
    /// Whether the latest single GET said which version is active.
    says_active: AtomicBool,
    /// The same for all files, so it is asked for once.
    upload_endpoint: OnceCell<Link>,
}

impl Bynder {
    /// Builds the client; nothing is sent yet.
    ///
    /// # Errors
    /// The system's certificates cannot be read.
    pub fn new(settings: Settings, gate: Arc<dyn Gate>) -> Result<Self, TransportError> {
        let services = Services {
            urls: vec![settings.portal.clone()],
            token_url: None,
            allow_http: settings.allow_http,
            link_hosts: settings.storage_hosts,
        };
        let inner = Inner {
            portal: settings.portal,
            transport: Transport::new(&services, settings.request_timeout, settings.observer)?,
            tokens: Tokens::new(settings.credential.can_refresh()),
            credential: settings.credential,
            gate,
            part_size: settings.part_size,
            parts_at_once: settings.parts_at_once,
            parts_under_way: Semaphore::new(upload::MOST_PARTS_UNDER_WAY),
            polls: Batcher::default(),
            rows: Batcher::default(),
            looked: OnceCell::new(),
            says_active: AtomicBool::new(false),
            upload_endpoint: OnceCell::new(),
        };
        Ok(Self { inner: Arc::new(inner), places: None, permission: None, lane: Lane::Fresh })
    }

    /// The same client, which sends nothing that changes an asset without this permission.
    #[must_use]
    pub fn under<E: Display + 'static>(&self, permission: Permission<E>) -> Self {
        Self { permission: Some(permission.in_words()), ..self.clone() }
    }

    /// The same client, whose calls wait with those of this lane; what belongs to no job, such as listing, goes with the
    /// fresh one.
    #[must_use]
    pub fn in_lane(&self, lane: Lane) -> Self {
        Self { lane, ..self.clone() }
    }
}
