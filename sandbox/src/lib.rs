//! A fake Bynder portal with its S3, and a fake Imatag. They are as strict as the real ones, take the harsher reading where
//! the real behaviour is unknown, and audit what was done to each asset against the outcome that was planted.

#![expect(
    clippy::result_large_err,
    reason = "an HTTP answer is the refusal itself; a sandbox need not be fast"
)]

mod audit;
mod call;
mod control;
mod delivery;
mod endpoint;
pub mod faults;
mod imatag;
mod library;
mod options;
mod page;
mod person;
mod portal;
mod server;
mod stats;
mod storage;
mod violation;
mod world;

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::redirect::Policy;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use audit::{Audit, AuditedAsset, AuditedVersion};
pub use library::{NewAsset, NewFile};
pub use options::{FileNames, Forgets, NextLink, Options, RateLimit, Search, VersionFlags};
pub use person::{Edit, NewVersion, NoSuchThing};
pub use portal::archived_id;
pub use stats::Stats;
pub use violation::{Violation, ViolationKind};
pub use world::{Attached, Maker, Planted, Restricted, SECRET_MARK};

use world::SandboxState;

/// A running sandbox; stops when dropped.
pub struct Sandbox {
    shared: SandboxState,
    address: SocketAddr,
    _stop: DropGuard,
}

/// How to reach a sandbox; its program prints this as a line of JSON.
#[derive(Debug, Clone, Serialize)]
pub struct Announcement {
    /// The portal's URL.
    pub bynder: String,
    /// The portal's token.
    pub token: String,
    /// Imatag's base URL on the assumed wire.
    pub imatag: String,
    pub api_key: String,
    /// A directory below the homedir.
    pub directory: String,
    /// Name of the hash metaproperty.
    pub hash_metaproperty: String,
    /// OAuth2 client of both services.
    pub client_id: String,
    pub client_secret: String,
}

/// A client for requests to a sandbox on this machine, without proxy and redirects.
///
/// # Errors
/// TLS cannot be set up.
pub fn client(timeout: Duration) -> reqwest::Result<reqwest::Client> {
    // Fails if a provider is installed already, which is then used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().redirect(Policy::none()).timeout(timeout).build()
}

/// Starts a sandbox with a seeded library.
///
/// # Errors
/// The address is in use, or the temporary folder cannot be written.
pub async fn start(options: Options) -> anyhow::Result<Sandbox> {
    let listener = TcpListener::bind(options.listen).await?;
    let address = listener.local_addr()?;
    let shared = SandboxState::new(options)?;
    let seeding = shared.clone();
    tokio::task::spawn_blocking(move || library::seed(&seeding)).await??;
    let stop = CancellationToken::new();
    let (router, stopped) = (server::router(shared.clone()), stop.clone());
    tasks::brief(async move {
        let serve = axum::serve(listener, router);
        // Open connections are dropped: a graceful shutdown would wait for them.
        let _ = stopped.run_until_cancelled(serve.into_future()).await;
    });
    Ok(Sandbox { shared, address, _stop: stop.drop_guard() })
}

impl Sandbox {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn announcement(&self) -> Announcement {
        let credentials = &self.shared.credentials;
        Announcement {
            bynder: format!("http://{}", self.address),
            token: credentials.token.clone(),
            imatag: format!("http://{}/api/v3", self.address),
            api_key: credentials.api_key.clone(),
            directory: format!("{}/bynder", credentials.homedir),
            hash_metaproperty: world::MARKER_NAME.to_owned(),
            client_id: credentials.client_id.clone(),
            client_secret: credentials.client_secret.clone(),
        }
    }

    /// Runs the audit now.
    pub fn audit(&self) -> Audit {
        audit::audit(&mut self.shared.world())
    }

    /// The requests so far.
    pub fn stats(&self) -> Stats {
        stats::stats(&self.shared.world())
    }

    /// Whether requests are being carried out, including those of clients that have disconnected.
    pub fn is_busy(&self) -> bool {
        self.shared.world().under_way > 0
    }

    /// Whether every accepted change has taken effect and shows in the listing.
    pub fn is_listed(&self) -> bool {
        portal::is_listed(&mut self.shared.world(), &self.shared)
    }

    /// Starts a block now, as if the limit had been exceeded.
    pub fn block(&self) {
        self.shared.world().limiter.block();
    }

    /// Replaces the faults.
    pub fn set_faults(&self, faults: faults::Faults) {
        self.shared.world().saboteur = faults::Saboteur::new(faults);
    }

    /// Adds an asset; returns its id.
    ///
    /// # Errors
    /// The temporary folder cannot be written.
    pub fn add_asset(&self, new: NewAsset) -> std::io::Result<String> {
        library::add(&self.shared, new, rand::random())
    }

    /// A person edits an asset's metadata.
    pub fn edit(&self, id: &str, edit: Edit) -> Result<(), NoSuchThing> {
        person::edit(&self.shared, id, edit)
    }

    /// A person uploads or restores a version; returns its number.
    ///
    /// # Errors
    /// The temporary folder cannot be written.
    pub fn new_version(&self, id: &str, version: &NewVersion) -> std::io::Result<Result<u32, NoSuchThing>> {
        person::version(&self.shared, id, version)
    }

    /// Rejects what awaits approval on an asset.
    ///
    /// # Errors
    /// There is no such asset.
    pub fn turn_down(&self, id: &str) -> Result<(), NoSuchThing> {
        person::turn_down(&self.shared, id)
    }

    /// Approves what awaits approval on an asset.
    ///
    /// # Errors
    /// There is no such asset.
    pub fn approve(&self, id: &str) -> Result<(), NoSuchThing> {
        person::approve(&self.shared, id)
    }

    /// A person deletes an asset.
    pub fn delete(&self, id: &str) -> Result<(), NoSuchThing> {
        person::delete(&self.shared, id)
    }
}
