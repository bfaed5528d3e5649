//! Notices that nothing is protected although there is something to protect.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use notify::{Kind, Notice};

use crate::runner::Runner;

/// How often the record is asked.
const CHECK_EVERY: Duration = Duration::from_mins(10);
/// How long may pass without a protected asset.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

/// Notifies people when nothing has been protected for a day, unless a person paused the work; for as long as it is polled.
pub async fn watch(runner: &impl Runner, is_paused: impl Fn() -> bool) {
    loop {
        match runner.ledger().stands_still_since(Timestamp::now() - LONGEST).await {
            Ok(true) if !is_paused() => runner.notices().send(Notice::new(Kind::NothingProtected)),
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "cannot read whether anything was protected"),
        }
        tokio::time::sleep(CHECK_EVERY).await;
    }
}
