//! Undo: makes the recorded originals versions of their assets again, and opts the assets out.
//!
//! The main type is [`RestoreContext`]: the services, the record and the settings. [`survey`] checks each [`Target`] and
//! changes nothing; [`restore()`] restores those that need it, and records each step, so that a later call can continue.
//! `decision` decides from a view of one asset; `asset` and `work` carry it out.
//!
//! ```no_run
//! use common::failure::Failure;
//! use restore::{RestoreContext, Target};
//!
//! async fn undo(context: &RestoreContext, targets: Vec<Target>) -> Result<u64, Failure> {
//!     let (targets, mut totals) = restore::survey(context, targets).await?;
//!     restore::restore(context, targets, &mut totals, |target, result| println!("{}: {result}", target.id)).await?;
//!     Ok(totals.restored)
//! }
//! ```

mod asset;
mod context;
mod decision;
mod error;
mod target;
mod work;

use std::cell::Cell;
use std::collections::BTreeMap;

use common::failure::Failure;
use futures::StreamExt;
use ledger::RestorationProgress;
use serde::Serialize;

pub use context::RestoreContext;
use decision::{AssetResult, Decision};
pub use target::Target;

/// What a call would do, or did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Assets selected.
    pub chosen: u64,
    /// Assets whose original is to be restored, including interrupted restorations and those that wait for approval.
    pub to_restore: u64,
    /// Assets whose original was restored.
    pub restored: u64,
    /// Assets left as they are, by reason.
    pub skipped: BTreeMap<&'static str, u64>,
    /// Assets whose original could not be restored; the command can be run again.
    pub failed: u64,
}

/// Checks every target and counts; returns those to restore. Changes nothing.
pub async fn survey(
    context: &RestoreContext,
    targets: Vec<Target>,
) -> Result<(Vec<Target>, Totals), Failure> {
    let mut sum = Totals { chosen: targets.len() as u64, ..Totals::default() };
    let mut to_restore = Vec::new();
    let checked = targets.into_iter().map(|target| async {
        let view = asset::check(context, &target).await;
        (target, view.map(|view| view.decision))
    });
    let mut checked = futures::stream::iter(checked).buffer_unordered(context.concurrency);
    while let Some((target, decision)) = checked.next().await {
        match decision? {
            Decision::Restore(_) | Decision::MaybeRestored(_) | Decision::Waiting => to_restore.push(target),
            Decision::Skip(skip) => *sum.skipped.entry(skip.name()).or_default() += 1,
        }
    }
    sum.to_restore = to_restore.len() as u64;
    Ok((to_restore, sum))
}

/// Restores the targets. An error that concerns all of them stops it, after those under way; everything done is
/// recorded.
pub async fn restore(
    context: &RestoreContext,
    targets: Vec<Target>,
    sum: &mut Totals,
    report: impl Fn(&Target, &str),
) -> Result<(), Failure> {
    outwait_interrupted(context, &targets).await?;
    let halted = Cell::new(false);
    let works = targets.into_iter().map(|target| async {
        if halted.get() || context.patience.is_over() {
            return (target, None);
        }
        let ended = asset::restore(context, &target).await;
        (target, Some(ended))
    });
    let mut works = futures::stream::iter(works).buffer_unordered(context.concurrency);
    let mut failure = None;
    while let Some((target, ended)) = works.next().await {
        match ended {
            None => {}
            Some(Ok(AssetResult::Restored)) => {
                sum.restored += 1;
                report(&target, "restored");
            }
            Some(Ok(AssetResult::Skipped(skip))) => {
                *sum.skipped.entry(skip.name()).or_default() += 1;
                report(&target, skip.name());
            }
            Some(Err(error)) => {
                sum.failed += 1;
                report(&target, &format!("failed: {error}"));
                if error.concerns_all() {
                    halted.set(true);
                    failure.get_or_insert(Failure::from(error));
                }
            }
        }
    }
    match failure {
        Some(failure) => Err(failure),
        None if context.patience.is_over() => Err(Failure::Temporary(
            "stopped before every original was restored; run it again to continue".to_owned(),
        )),
        None => Ok(()),
    }
}

/// Waits until the requests of an interrupted call can no longer take effect, before anything is checked.
async fn outwait_interrupted(context: &RestoreContext, targets: &[Target]) -> Result<(), Failure> {
    for target in targets {
        let last = context.ledger.last_restoration(&target.id).await?;
        if last.is_some_and(|last| last.progress == RestorationProgress::Begun) {
            tracing::warn!(
                seconds = context.suspect_wait.as_secs(),
                "an earlier call was interrupted; waiting for what it may have sent"
            );
            context.patience.wait(context.suspect_wait).await;
            return Ok(());
        }
    }
    Ok(())
}
