//! Whether what is saved shows: a user who may only upload for approval saves into the waiting room, and Bynder answers
//! as if nothing were different.
//!
//! The rights of a token do not change while it works, so one look after the first save of a process answers it for
//! all that follow.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Mutex, MutexGuard};

/// What this process knows about its saves; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Approval {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    shows: AtomicBool,
    looking: Mutex<()>,
}

impl Approval {
    /// Whether a save of this process was seen.
    pub(crate) fn is_known_to_show(&self) -> bool {
        self.shared.shows.load(Ordering::Relaxed)
    }

    /// A save of this process was seen.
    pub(crate) fn shows(&self) {
        self.shared.shows.store(true, Ordering::Relaxed);
    }

    /// One look at a time: it may spare the others theirs.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.shared.looking.lock().await
    }
}
