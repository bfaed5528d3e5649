//! Confirm: checks that a version that Bynder says it saved shows.

use std::time::Duration;

use common::job::Job;
use common::outcome::Outcome;

use super::{StepEnd, Stop, Wait, or_gone};
use crate::context::StepContext;

/// How the save ends, once Bynder has confirmed it.
pub(super) fn saved(context: &StepContext, job: &mut Job) -> StepEnd {
    if context.approval.is_known_to_show() {
        return StepEnd::Ended(Outcome::Watermarked { version: job.top.saturating_add(1) });
    }
    job.effects.saved = Some(job.wait_mark());
    StepEnd::NotYet(Wait::Moment)
}

/// Checks for the version, which has this length. One that does not show after a while waits for a person's approval, and is never saved
/// again.
pub(super) async fn confirm(context: &StepContext, job: &mut Job, bytes: u64) -> Result<StepEnd, Stop> {
    let approval = &context.approval;
    let _turn = approval.turn().await;
    let version = job.top.saturating_add(1);
    if approval.is_known_to_show() {
        return Ok(StepEnd::Ended(Outcome::Watermarked { version }));
    }
    let detail = or_gone(context.bynder.asset(&job.asset_id).await)?;
    // A person's version that came between the check and the save has the number that was meant for this one.
    if let Some(shown) = detail.may_hold(job.top, bytes).next() {
        approval.shows();
        return Ok(StepEnd::Ended(if shown.number > version {
            Outcome::Superseded { ours: Some(shown.number), theirs: shown.number.saturating_sub(1) }
        } else {
            Outcome::Watermarked { version }
        }));
    }
    if unseen_for(job) < context.settings.longest_unseen {
        return Ok(StepEnd::NotYet(Wait::Moment));
    }
    log_awaiting(job);
    Ok(StepEnd::Ended(Outcome::AwaitingApproval))
}

/// How long the saved version or file has not shown.
pub(super) fn unseen_for(job: &mut Job) -> Duration {
    let mut since = job.effects.saved.unwrap_or_else(|| job.wait_mark());
    let waited = job.waited_since(&mut since);
    job.effects.saved = Some(since);
    waited
}

/// Logs why the job ends although nothing shows.
pub(super) fn log_awaiting(job: &Job) {
    tracing::warn!(
        job_id = %job.job_id, asset_id = %job.asset_id,
        "what was saved does not show: it waits for approval in Bynder. Give the token's user the role MEDIAUPLOAD to do without"
    );
}
