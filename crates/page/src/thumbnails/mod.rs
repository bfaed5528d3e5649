//! Thumbnails of the assets on pages that were shown: one call to the portal looks up those of a whole page.

mod allowance;
mod known;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use budget::Budget;
use bynder::Picture;
use common::asset::AssetId;
use http_client::Link;
use tokio::sync::{Mutex as AsyncMutex, Semaphore};
use tokio::time::{Instant, timeout};

use crate::picture::Pictures;
use crate::state::Live;
use allowance::Allowance;
use known::{Known, Thumbnail};

/// How long a request for a thumbnail takes at most.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long one step of it takes at most: a call in a fleet waits a second or two for a token.
const STEP: Duration = Duration::from_secs(4);
/// Pictures that are downloaded at once.
const DOWNLOADS: usize = 4;

pub(crate) struct Thumbnails {
    known: Mutex<Known>,
    /// Held during a call to the portal.
    calls: AsyncMutex<Allowance>,
    downloads: Semaphore,
}

impl Default for Thumbnails {
    fn default() -> Self {
        let (known, calls) = (Mutex::default(), AsyncMutex::default());
        Self { known, calls, downloads: Semaphore::new(DOWNLOADS) }
    }
}

impl Thumbnails {
    /// Notes the assets of a page, whose thumbnails its reader's browser will request.
    pub(crate) fn show<'a>(&self, assets: impl IntoIterator<Item = &'a AssetId>) {
        self.known().show(assets);
    }

    /// An asset's thumbnail; `None` if the asset has none or it cannot be fetched now, which is not an error.
    pub(crate) async fn of(&self, live: &Live, asset: &AssetId) -> Option<Picture> {
        let finding = async {
            let known = self.known().of(asset, Instant::now());
            let link = match known {
                Thumbnail::Picture(picture) => return Some(picture),
                Thumbnail::Missing => return None,
                Thumbnail::At(link) => link,
                Thumbnail::Unknown(_) => match self.look_up(live, asset).await {
                    Thumbnail::At(link) => link,
                    Thumbnail::Picture(picture) => return Some(picture),
                    Thumbnail::Missing | Thumbnail::Unknown(_) => return None,
                },
            };
            self.download(&*live.pictures, asset, &link).await
        };
        timeout(PATIENCE, finding).await.ok().flatten()
    }

    /// What is known of an asset after the call for it, which may be that of another request.
    async fn look_up(&self, live: &Live, asset: &AssetId) -> Thumbnail {
        let mut calls = self.calls.lock().await;
        let known = self.known().of(asset, Instant::now());
        let Thumbnail::Unknown(page) = known else { return known };
        if is_held(&live.budget) || !calls.take(live.budget.requests(), Instant::now()) {
            return Thumbnail::Missing;
        }
        let found = timeout(STEP, live.pictures.links(&page)).await;
        let now = Instant::now();
        match found {
            Ok(Ok(links)) => self.known().looked_up(&page, links, now),
            Ok(Err(error)) => {
                tracing::debug!(%error, "thumbnails cannot be looked up");
                self.known().give_up(&page, now);
            }
            Err(_) => self.known().give_up(&page, now),
        }
        self.known().of(asset, now)
    }

    async fn download(&self, pictures: &dyn Pictures, asset: &AssetId, link: &Link) -> Option<Picture> {
        // The semaphore is never closed.
        let _turn = self.downloads.acquire().await.ok()?;
        match timeout(STEP, pictures.picture(link)).await {
            Ok(Ok(picture)) => {
                self.known().keep(asset, &picture);
                return Some(picture);
            }
            Ok(Err(error)) => tracing::debug!(%error, "a thumbnail cannot be downloaded"),
            Err(_) => {}
        }
        self.known().give_up(std::slice::from_ref(asset), Instant::now());
        None
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether no call may be made for a picture: Bynder refused calls, or a person paused the work.
fn is_held(budget: &Budget) -> bool {
    budget.paused().is_some() || budget.figures().operator_pause
}
