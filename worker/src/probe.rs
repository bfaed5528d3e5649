//! Calls that concern no asset of a job: by them a service that is out is told from a job that fails by itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bynder::BynderError;
use common::hash::ContentHash;
use common::service::Service;
use files::spool::Spool;
use imatag::{Directory, ImatagError};
use tokio::sync::Mutex;

use crate::services::{Portal, Watermarker};

/// How long an answer counts for further failures: many jobs fail at once in an outage.
const FRESH: Duration = Duration::from_secs(5);
/// Other assets that are tried before every asset counts as unreadable.
const ASSETS_TRIED: usize = 5;
/// Rows that they are chosen from.
const ROWS: u32 = 50;

/// How a service answered a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Probed {
    /// It is at work.
    Up,
    /// It is out, and why.
    Down(String),
}

/// What is known of the services by calls that concern no asset of a job.
pub(crate) trait Evidence {
    /// How the service is right now.
    async fn of(&self, service: Service) -> Probed;
    /// Whether the file of any other asset may be read.
    async fn may_read_any(&self) -> Result<bool, BynderError>;
}

/// Asks for the places of some files, spread over the newest assets of the library.
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

/// The latest answers, one a service; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Probes {
    latest: Arc<[Mutex<Latest>; Service::ALL.len()]>,
}

/// The latest answer, and when it came.
type Latest = Option<(Instant, Probed)>;

impl Probes {
    /// How the service is right now, by this probe of it. Those who ask at the same time share a call.
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

/// Asks for the account.
pub(crate) async fn bynder(bynder: &dyn Portal) -> Probed {
    match bynder.account().await {
        Err(error @ (BynderError::Unavailable { .. } | BynderError::Unexpected { .. })) => {
            Probed::Down(error.to_string())
        }
        // Any other refusal is an answer; a job meets it itself, and by that the right breaker opens.
        Ok(_) | Err(_) => Probed::Up,
    }
}

/// Looks for a medium that there cannot be. A profile without `find` has no call without effect, so its service counts
/// as being at work; the slowdown bounds what an outage costs then.
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

/// Writes to the disk of the spool.
pub(crate) async fn machine(spool: &Spool) -> Probed {
    match spool.try_writing().await {
        Ok(()) => Probed::Up,
        Err(error) => Probed::Down(error.to_string()),
    }
}
