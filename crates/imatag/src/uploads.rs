//! Limits how many files are uploaded to Imatag at once.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::Imatag;

/// The right to upload one file; free again when dropped.
#[derive(Debug)]
pub struct UploadSlot {
    _permit: Option<OwnedSemaphorePermit>,
}

impl From<OwnedSemaphorePermit> for UploadSlot {
    fn from(permit: OwnedSemaphorePermit) -> Self {
        Self { _permit: Some(permit) }
    }
}

impl Imatag {
    /// Waits for a free slot. Cancel-safe.
    pub async fn upload_slot(&self) -> UploadSlot {
        // The semaphore is never closed, so acquiring it does not fail.
        UploadSlot { _permit: Arc::clone(&self.inner.uploads).acquire_owned().await.ok() }
    }
}
