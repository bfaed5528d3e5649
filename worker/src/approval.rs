//! Whether what is saved shows: a user who may only upload for approval saves into the waiting room, and Bynder answers
//! as if nothing were different.
//!
//! Rights seldom change while a process works, so one look answers it for an hour of saves.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

/// How long a save that was seen speaks for those that follow.
const LOOK_AGAIN_AFTER: Duration = Duration::from_hours(1);

/// What this process knows about its saves; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Approval {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    seen: std::sync::Mutex<Option<Instant>>,
    looking: Mutex<()>,
}

impl Approval {
    /// Whether a save of this process was seen lately.
    pub(crate) fn is_known_to_show(&self) -> bool {
        let seen = *self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.is_some_and(|at| at.elapsed() < LOOK_AGAIN_AFTER)
    }

    /// A save of this process was seen.
    pub(crate) fn shows(&self) {
        *self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// One look at a time: it may spare the others theirs.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.shared.looking.lock().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_seen_counts_for_an_hour_for_all_clones() {
        let approval = Approval::default();
        let clone = approval.clone();
        assert!(!clone.is_known_to_show());
        approval.shows();
        tokio::time::advance(Duration::from_mins(59)).await;
        assert!(clone.is_known_to_show());
        tokio::time::advance(Duration::from_mins(1)).await;
        assert!(!clone.is_known_to_show(), "the rights may have changed");
        clone.shows();
        assert!(approval.is_known_to_show());
    }
}
