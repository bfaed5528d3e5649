//! The state of the sandbox, behind one lock.

mod asset;
mod file_type;
mod files;
mod limit;
mod line;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch;

pub(crate) use asset::{
    Additional, Asset, Baseline, COLLECTIONS, Change, Made, TEXTS, Version, option_id, whole_second,
};
pub use asset::{Attached, Maker, Planted, Restricted};
pub(crate) use file_type::{extension_of, kind_of, written_extension};
pub(crate) use files::{StoredFile, hash_file};
pub(crate) use limit::{Limiter, Ruling};
use line::Line;

use crate::faults::Saboteur;
use crate::options::Options;
use crate::violation::{Violation, ViolationKind};

/// Name of the metaproperty for the marker.
pub(crate) const MARKER_NAME: &str = "imatag_hash";
pub(crate) const MARKER_ID: &str = "7C0D5A1E-0001-4B2C-9D8E7F6A5B4C3D2E";
/// Name of the metaproperty for the status; clients may write any text into it.
pub(crate) const STATUS_NAME: &str = "imatag_status";
pub(crate) const STATUS_ID: &str = "7C0D5A1E-0006-4B2C-9D8E7F6A5B4C3D2E";

/// Name of the metaproperty that links an asset to another.
pub(crate) const LINK_NAME: &str = "Imatag_Link";
pub(crate) const LINK_ID: &str = "7C0D5A1E-0007-4B2C-9D8E7F6A5B4C3D2E";

/// The sandbox, shared by all requests.
#[derive(Clone)]
pub(crate) struct SandboxState {
    pub(crate) options: Arc<Options>,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) folder: Arc<tempfile::TempDir>,
    pub(crate) line: Arc<Line>,
    world: Arc<Mutex<World>>,
}

/// Contained in every secret that the sandbox issues, so that tests can find a leaked secret in any output.
pub const SECRET_MARK: &str = "s3cr3t";

/// The credentials of both services.
pub(crate) struct Credentials {
    pub(crate) token: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: String,
    pub(crate) api_key: String,
    pub(crate) homedir: String,
}

/// The state of both services.
pub(crate) struct World {
    pub(crate) assets: BTreeMap<String, Asset>,
    /// Assets on whose files Imatag fails.
    pub(crate) breaks_imatag: HashSet<String>,
    pub(crate) uploads: HashMap<String, Upload>,
    pub(crate) imports: HashMap<String, Import>,
    pub(crate) links: HashMap<String, Link>,
    pub(crate) issued_tokens: HashSet<String>,
    pub(crate) media: BTreeMap<String, Medium>,
    /// Watermarked files from Imatag, by hash.
    pub(crate) outputs: HashMap<String, Output>,
    /// When the last byte of a file was first sent to a client.
    pub(crate) sent: HashMap<PathBuf, Instant>,
    /// Number of parts of uploads that storage has received.
    pub(crate) parts: watch::Sender<u32>,
    pub(crate) limiter: Limiter,
    pub(crate) requests: BTreeMap<&'static str, u64>,
    pub(crate) carried_out: BTreeMap<&'static str, u64>,
    /// Number of requests being carried out, including those of clients that have disconnected.
    pub(crate) under_way: u64,
    /// Uploads to Imatag.
    pub(crate) submits: Crowd,
    pub(crate) saboteur: Saboteur,
    pub(crate) violations: Vec<Violation>,
    pub(crate) notes: Vec<String>,
    pub(crate) random: StdRng,
}

/// The current number of something, and its maximum so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Crowd {
    pub(crate) now: u64,
    pub(crate) most: u64,
}

/// An upload to the portal.
pub(crate) struct Upload {
    pub(crate) target: String,
    pub(crate) key: String,
    pub(crate) parts: BTreeMap<u32, PathBuf>,
    pub(crate) registered: HashSet<u32>,
    pub(crate) refusals: u32,
}

/// A finalised upload.
pub(crate) struct Import {
    pub(crate) ready_at: Instant,
    pub(crate) file: Option<StoredFile>,
    pub(crate) name: String,
    pub(crate) failed: bool,
    pub(crate) saves: u32,
}

/// A signed link.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) file: PathBuf,
    pub(crate) media_type: &'static str,
    /// The file name for the header `Content-Disposition`.
    pub(crate) file_name: Option<String>,
    pub(crate) expires: Instant,
}

/// A medium at Imatag.
pub(crate) struct Medium {
    pub(crate) id: String,
    /// Position in the order of submission.
    pub(crate) number: usize,
    pub(crate) directory: String,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) original: StoredFile,
    pub(crate) state: MediumState,
}

/// The progress of a medium.
pub(crate) enum MediumState {
    Working { ready_at: Instant, result: StoredFile },
    AlreadyProtected,
}

/// A watermarked file from Imatag.
#[derive(Clone)]
pub(crate) struct Output {
    pub(crate) original: String,
    pub(crate) asset: String,
    /// Its file at Imatag; `None` for one from before the start.
    pub(crate) result: Option<PathBuf>,
}

impl SandboxState {
    pub(crate) fn new(options: Options) -> std::io::Result<Self> {
        let mut random = StdRng::seed_from_u64(options.seed);
        let mut secret =
            |prefix: &str| format!("{prefix}-{:016x}{:016x}", random.random::<u64>(), random.random::<u64>());
        let credentials = Credentials {
            token: format!("{SECRET_MARK}-{}", secret("token")),
            client_id: secret("client"),
            client_secret: format!("{SECRET_MARK}-{}", secret("secret")),
            api_key: format!("{SECRET_MARK}-{}", secret("key")),
            homedir: "sandbox".to_owned(),
        };
        let world = World {
            assets: BTreeMap::new(),
            breaks_imatag: HashSet::new(),
            uploads: HashMap::new(),
            imports: HashMap::new(),
            links: HashMap::new(),
            issued_tokens: HashSet::new(),
            media: BTreeMap::new(),
            outputs: HashMap::new(),
            sent: HashMap::new(),
            parts: watch::Sender::new(0),
            limiter: Limiter::new(options.rate_limit),
            requests: BTreeMap::new(),
            carried_out: BTreeMap::new(),
            under_way: 0,
            submits: Crowd::default(),
            saboteur: Saboteur::new(options.faults.clone()),
            violations: Vec::new(),
            notes: Vec::new(),
            random,
        };
        Ok(Self {
            line: Arc::new(Line::new(options.line_rate)),
            options: Arc::new(options),
            credentials: Arc::new(credentials),
            folder: Arc::new(tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir()?),
            world: Arc::new(Mutex::new(world)),
        })
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An unused path for a file.
    pub(crate) fn new_path(&self) -> PathBuf {
        self.folder.path().join(uuid::Uuid::new_v4().to_string())
    }
}

impl World {
    /// An id as Bynder writes them: 8-4-4-16, upper-case.
    pub(crate) fn new_id(&mut self) -> String {
        let digits = format!("{:016X}{:016X}", self.random.random::<u64>(), self.random.random::<u64>());
        format!("{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..])
    }

    /// A new secret.
    pub(crate) fn secret(&mut self) -> String {
        format!("{SECRET_MARK}-{}", self.unguessable())
    }

    /// A random id that is not secret.
    pub(crate) fn unguessable(&mut self) -> String {
        format!("{:016x}{:016x}", self.random.random::<u64>(), self.random.random::<u64>())
    }

    pub(crate) fn violate(&mut self, kind: ViolationKind, asset: &str, detail: impl Into<String>) {
        let violation = Violation { kind, asset_id: asset.to_owned(), detail: detail.into() };
        tracing::warn!(?violation, "violation");
        self.violations.push(violation);
    }

    /// The asset, after applying the changes that are due; `None` if it is deleted or awaits approval.
    pub(crate) fn asset(&mut self, id: &str) -> Option<&mut Asset> {
        let asset = self.assets.get_mut(id).filter(|asset| !asset.deleted && !asset.is_hidden())?;
        asset.settle();
        Some(asset)
    }
}
