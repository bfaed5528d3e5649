//! The client of Imatag's API: submits files, reads the state of media and downloads watermarked files.
//!
//! The main type is [`Imatag`]. Imatag publishes its API to customers only, so a [`Profile`] of configuration maps the
//! client's calls to HTTP. What must hold for every profile is code: a submit is never repeated blindly, the
//! credential goes to the configured origin only, and a path that does not exist is an error of the configuration, not
//! of the file. `examples/medium.rs` builds a client.
//!
//! ```no_run
//! use files::spool::SpooledFile;
//! use imatag::{Imatag, ImatagError, MediumState, Submit, Submitted};
//!
//! async fn watermark(imatag: &Imatag, file: &SpooledFile, submit: Submit<'_>) -> Result<(), ImatagError> {
//!     let slot = imatag.upload_slot().await;
//!     if let Submitted::Pending(medium) = imatag.submit(file, submit, slot).await?.submitted
//!         && let MediumState::Ready(result) = imatag.status(&medium).await?
//!     {
//!         let body = imatag.download(result).await?;
//!         println!("{medium} has {:?} bytes", body.bytes);
//!     }
//!     Ok(())
//! }
//! ```

mod answer;
#[cfg(feature = "answers")]
pub mod answers;
mod call;
mod credential;
mod download;
mod error;
mod find;
mod pause;
pub mod profile;
mod submit;
mod uploads;
mod words;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use url::Url;

pub use common::job::{Directory, MediumId};
pub use credential::Credential;
pub use download::Body;
pub use error::{Attempted, ImatagError};
pub use find::ORIGINAL_KEY;
pub use profile::Profile;
pub use submit::{Submit, SubmitAnswer, Submitted};
pub use uploads::UploadSlot;

use common::permission::Permission;
use http_client::{
    ExchangeLog, Link, LinkHosts, RequestObserver, Services, Tokens, Transport, TransportError,
};
use pause::Pause;

#[derive(Debug, Clone)]
pub struct Settings {
    pub profile: Profile,
    /// Overrides the profile's base URL.
    pub base_url: Option<Url>,
    /// Whether plain http to another machine is allowed.
    pub allow_http: bool,
    pub credential: Credential,
    /// Where media may be: each is searched before a file is submitted.
    pub directories: BTreeSet<Directory>,
    /// The metadata key for the Bynder id.
    pub media_id_metadata: String,
    /// The limit of a plain request, and of the time that a transfer may stall.
    pub request_timeout: Duration,
    /// Counts the requests.
    pub observer: Arc<dyn RequestObserver>,
    /// The most files that are uploaded at once.
    pub uploads_in_flight: usize,
    /// Receives each exchange.
    pub exchange_log: Option<ExchangeLog>,
}

/// The client; clones share connections and token.
#[derive(Debug, Clone)]
pub struct Imatag {
    inner: Arc<Inner>,
    permission: Option<Permission<String>>,
}

#[derive(Debug)]
struct Inner {
    base_url: Url,
    profile: Profile,
    transport: Transport,
    credential: Credential,
    tokens: Tokens,
    pause: Pause,
    uploads: Arc<Semaphore>,
    directories: BTreeSet<Directory>,
    media_id_metadata: String,
}

/// Where a watermarked file can be downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResultLocation {
    /// At the profile's download path.
    Medium(MediumId),
    /// At a signed link.
    Link(Link),
}

/// The state of a medium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediumState {
    Pending,
    /// The watermarked file can be downloaded.
    Ready(ResultLocation),
    /// The file carries one of Imatag's watermarks already.
    AlreadyProtected,
    /// It cannot be watermarked.
    Failed {
        reason: String,
    },
}

impl Imatag {
    /// Builds the client; sends nothing yet.
    ///
    /// # Errors
    /// The system's certificates cannot be read.
    pub fn new(settings: Settings) -> Result<Self, TransportError> {
        let mut base_url = settings.base_url.unwrap_or_else(|| settings.profile.base_url.clone());
        if !base_url.path().ends_with('/') {
            base_url.set_path(&format!("{}/", base_url.path()));
        }
        let token_url = settings.credential.token_url(&settings.profile).cloned();
        let services = Services {
            urls: vec![base_url.clone()],
            token_url,
            allow_http: settings.allow_http,
            link_hosts: LinkHosts::Any,
        };
        http_client::remember(settings.credential.secret());
        let inner = Inner {
            base_url,
            transport: Transport::new(&services, settings.request_timeout, settings.observer)?
                .with_exchange_log(settings.exchange_log),
            tokens: Tokens::new(settings.credential.can_refresh()),
            credential: settings.credential,
            pause: Pause::default(),
            uploads: Arc::new(Semaphore::new(settings.uploads_in_flight)),
            profile: settings.profile,
            directories: settings.directories,
            media_id_metadata: settings.media_id_metadata,
        };
        Ok(Self { inner: Arc::new(inner), permission: None })
    }

    /// The same client, which submits nothing without this permission.
    #[must_use]
    pub fn under<E: Display + 'static>(&self, permission: Permission<E>) -> Self {
        Self { permission: Some(permission.in_words()), ..self.clone() }
    }

    /// Whether the profile can find a medium by its asset.
    pub fn can_find(&self) -> bool {
        self.inner.profile.find.is_some()
    }

    /// The time until calls resume, if Imatag asked to wait.
    pub fn paused(&self) -> Option<Duration> {
        self.inner.pause.remaining()
    }
}
