//! How many files are on their way to Imatag at once.

use tokio::sync::OwnedSemaphorePermit;

use super::Imatag;

/// The right to have one file on its way; given back when dropped.
#[derive(Debug)]
pub struct UploadPlace {
    _permit: Option<OwnedSemaphorePermit>,
}

impl From<OwnedSemaphorePermit> for UploadPlace {
    fn from(permit: OwnedSemaphorePermit) -> Self {
        Self { _permit: Some(permit) }
    }
}

impl Imatag {
    /// Waits until fewer files are on their way than may be. Cancel-safe.
    pub async fn upload_place(&self) -> UploadPlace {
        // The semaphore is never closed, so there always is a permit in the end.
        UploadPlace { _permit: std::sync::Arc::clone(&self.inner.uploads).acquire_owned().await.ok() }
    }
}
