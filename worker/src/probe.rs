//! Calls that concern no asset of a job: they distinguish a service that is out from a job that fails by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bynder::BynderError;
use common::hash::ContentHash;
use common::service::Service;
use files::spool::Spool;
use imatag::{Directory, ImatagError};
use tokio::sync::Mutex;

use crate::services::{Portal, Watermarker};

/// How long an answer is reused for further failures: many jobs fail at once in an outage.
const FRESH: Duration = Duration::from_secs(5);
/// Other assets that are tried before all assets count as unreadable.
const ASSETS_TRIED: usize = 5;
/// The rows that they are chosen from.
const ROWS: u32 = 50;

/// The result of probing a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Probed {
    /// It works.
    Up,
    /// It is out, and why.
    Down(String),
}

/// What calls that concern no asset of a job show about the services.
pub(crate) trait ServiceHealth {
    /// Whether the service works right now.
    async fn of(&self, service: Service) -> Probed;
    /// Whether the file of any other asset may be read.
    async fn may_read_any(&self) -> Result<bool, BynderError>;
}

/// Asks for the download locations of a few files, spread over the newest assets of the library.
pub(crate) async fn may_read_any(bynder: &dyn Portal) -> Result<bool, BynderError> {
    let assets = bynder.newest(ROWS).await?;
    let assets: Vec<_> = assets.iter().filter(|asset| !asset.archived).collect();
    let apart = assets.len().div_ceil(ASSETS_TRIED).max(1);
    for asset in assets.into_iter().step_by(apart) {
        let version = asset.active_version.unwrap_or(1);
        match bynder.may_download(&asset.id, version).await {
            Ok(()) => return Ok(true),
            Err(
                BynderError::Forbidden { .. } | BynderError::NotFound { .. } | BynderError::Refused { .. },
            ) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// The latest answer of each service; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Probes {
    latest: Arc<[Mutex<Latest>; Service::ALL.len()]>,
}

/// The latest answer, and when it arrived.
type Latest = Option<(Instant, Probed)>;

impl Probes {
    /// Whether the service works right now, by this probe of it. Concurrent callers share one call.
    pub(crate) async fn ask(&self, service: Service, probe: impl Future<Output = Probed>) -> Probed {
        let mut latest = self.latest[service as usize].lock().await;
        if let Some((at, answer)) = &*latest
            && at.elapsed() < FRESH
        {
            return answer.clone();
        }
        let answer = probe.await;
        *latest = Some((Instant::now(), answer.clone()));
        answer
    }
}

/// Probes Bynder by asking for the account.
pub(crate) async fn bynder(bynder: &dyn Portal) -> Probed {
    match bynder.account().await {
        Err(error @ (BynderError::Unavailable { .. } | BynderError::Unexpected { .. })) => {
            Probed::Down(error.to_string())
        }
        // Any other refusal is an answer; a job will run into it itself, which opens the right breaker.
        Ok(_) | Err(_) => Probed::Up,
    }
}

/// Probes Imatag by searching for a medium that cannot exist. A profile without `find` has no call without effect,
/// so its service counts as working; the slowdown then bounds what an outage costs.
pub(crate) async fn imatag(imatag: &dyn Watermarker, directory: &Directory) -> Probed {
    let (true, Ok(nothing)) = (imatag.can_find(), "00000000-0000-0000-0000000000000000".parse()) else {
        return Probed::Up;
    };
    match imatag.find(&nothing, ContentHash::from_bytes([0; 32]), directory).await {
        Err(error @ (ImatagError::Unavailable { .. } | ImatagError::Unexpected { .. })) => {
            Probed::Down(error.to_string())
        }
        Ok(_) | Err(_) => Probed::Up,
    }
}

/// Probes the spool's disk by writing to it.
pub(crate) async fn machine(spool: &Spool) -> Probed {
    match spool.try_writing().await {
        Ok(()) => Probed::Up,
        Err(error) => Probed::Down(error.to_string()),
    }
}
