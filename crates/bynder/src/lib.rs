//! The client of the Bynder portal's API: lists the library, reads, downloads, uploads, saves and modifies assets.
//!
//! The main type is [`Bynder`]. Each portal call waits for the request budget, a [`Gate`], follows no redirect, and
//! fails with a [`BynderError`] that says what the caller can do. Transfers to and from storage do not count against
//! the budget and carry no credential: S3 refuses a request with one, and it would leave the portal's origin.
//!
//! The listing is a search index that lags. A save has no idempotency key: read the asset before you repeat one.
//! `examples/newest.rs` builds a client.
//!
//! ```no_run
//! use bynder::{Bynder, BynderError, DateField, ListQuery, Order};
//!
//! async fn print_newest(bynder: &Bynder) -> Result<(), BynderError> {
//!     let order = Some((DateField::Created, Order::Descending));
//!     for asset in bynder.list(&ListQuery { limit: 20, order, ..ListQuery::default() }).await?.assets {
//!         let detail = bynder.asset(&asset.id).await?;
//!         println!("{}: {} versions, active: {:?}", asset.id, detail.versions.len(), detail.active());
//!     }
//!     Ok(())
//! }
//! ```

mod account;
#[cfg(feature = "answers")]
pub mod answers;
mod asset;
mod batching;
mod call;
mod clock;
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
mod thumbnail;
mod upload;

#[cfg(test)]
mod tests;

use clock::PortalClock;
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
pub use save::Saved;
pub use template::{Restriction, Template, Words};
pub use thumbnail::Picture;
pub use upload::part_count;

use batching::Batcher;
pub use batching::MOST_IDS;
use common::job::Lane;
use common::permission::Permission;
use http_client::{Link, LinkHosts, RequestObserver, Services, Tokens, Transport, TransportError};
use reserved::ReservedCalls;

use common::asset::{Asset, AssetId};

/// The request budget, which admits portal calls. Transfers to and from storage do not pass it.
#[async_trait]
pub trait Gate: Send + Sync + std::fmt::Debug {
    /// Waits until the budget admits this many calls at once, or fails if every call is paused. Returns how many it
    /// admits: all, or one if the budget is smaller.
    async fn admit(&self, lane: Lane, calls: u32) -> Result<u32, Paused>;
    /// Fails if every call is paused; otherwise an admitted call may still be sent.
    fn check(&self) -> Result<(), Paused>;
    /// Returns calls that were admitted and not sent.
    fn refund(&self, calls: u32);
    /// The time between two calls at the full rate.
    fn interval(&self) -> Duration;
    /// The portal responded with 429: nothing may be sent for a while.
    fn refused(&self);
    /// The portal responded with any other status.
    fn answered(&self);
}

/// No portal call may be made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paused {
    /// The shortest time that this lasts.
    pub remaining: Duration,
}

#[derive(Debug, Clone)]
pub struct Settings {
    /// The portal's origin, such as `https://acme.bynder.com/`.
    pub portal: Url,
    /// Whether plain http to another machine is allowed.
    pub allow_http: bool,
    /// The storage hosts that the portal may link to.
    pub storage_hosts: LinkHosts,
    pub credential: Credential,
    /// The limit of a plain request, and of the time that a transfer may stall.
    pub request_timeout: Duration,
    /// Bytes in a part of an upload, at least 5 MiB.
    pub part_size: u64,
    /// The most parts of one file that are sent at once.
    pub parts_at_once: usize,
    /// Counts the requests.
    pub observer: Arc<dyn RequestObserver>,
}

/// The client; clones share connections, token and the upload address.
#[derive(Debug, Clone)]
pub struct Bynder {
    inner: Arc<Inner>,
    reserved: Option<Arc<ReservedCalls>>,
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
    clock: PortalClock,
    part_size: u64,
    parts_at_once: usize,
    parts_under_way: Semaphore,
    /// By lane, as the rows: a call that jobs share waits for its turn in the lane of the first of them.
    polls: [Batcher<ImportId, ImportState>; 2],
    rows: [Batcher<AssetId, Asset>; 2],
    /// Set once the process has made a single GET.
    has_read_one: OnceCell<()>,
    /// Whether the latest single GET showed the active version.
    says_active: AtomicBool,
    /// The same for all files, so it is requested once.
    upload_endpoint: OnceCell<Link>,
}

impl Bynder {
    /// The time by the portal's clock, as its latest answer states it; by this machine's before there is one.
    pub fn portal_now(&self) -> jiff::Timestamp {
        self.inner.clock.now()
    }

    /// Builds the client; sends nothing yet.
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
        http_client::remember(settings.credential.secret());
        let inner = Inner {
            portal: settings.portal,
            transport: Transport::new(&services, settings.request_timeout, settings.observer)?,
            tokens: Tokens::new(settings.credential.can_refresh()),
            credential: settings.credential,
            gate,
            clock: PortalClock::default(),
            part_size: settings.part_size,
            parts_at_once: settings.parts_at_once,
            parts_under_way: Semaphore::new(upload::MOST_PARTS_UNDER_WAY),
            polls: Default::default(),
            rows: Default::default(),
            has_read_one: OnceCell::new(),
            says_active: AtomicBool::new(false),
            upload_endpoint: OnceCell::new(),
        };
        Ok(Self { inner: Arc::new(inner), reserved: None, permission: None, lane: Lane::Fresh })
    }

    /// The same client, which sends nothing that changes an asset without this permission.
    #[must_use]
    pub fn under<E: Display + 'static>(&self, permission: Permission<E>) -> Self {
        Self { permission: Some(permission.in_words()), ..self.clone() }
    }

    /// The same client, whose calls wait in this lane of the budget. Calls that belong to no job, such as listing,
    /// use the fresh lane.
    #[must_use]
    pub fn in_lane(&self, lane: Lane) -> Self {
        Self { lane, ..self.clone() }
    }
}
