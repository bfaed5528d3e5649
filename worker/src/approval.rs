//! Whether saved versions show: the saves of a user who may only upload for approval go to the waiting room, and
//! Bynder answers as if nothing were different.
//!
//! Rights seldom change while a process runs, so one check covers an hour of saves.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

/// How long a visible save counts as evidence for the following ones.
const CHECK_AGAIN_AFTER: Duration = Duration::from_hours(1);

/// What this process knows about its saves; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Approval {
    shared: Arc<VisibleSave>,
}

#[derive(Debug, Default)]
struct VisibleSave {
    shown_at: std::sync::Mutex<Option<Instant>>,
    checking: Mutex<()>,
}

impl Approval {
    /// Whether a save of this process has shown recently.
    pub(crate) fn is_known_to_show(&self) -> bool {
        let shown_at = *self.shared.shown_at.lock().unwrap_or_else(PoisonError::into_inner);
        shown_at.is_some_and(|at| at.elapsed() < CHECK_AGAIN_AFTER)
    }

    /// Records that a save of this process shows.
    pub(crate) fn shows(&self) {
        *self.shared.shown_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Waits for the turn to check. One job checks at a time: its result may make the other checks unnecessary.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.shared.checking.lock().await
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
