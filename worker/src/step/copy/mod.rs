//! Save, if the watermarked file goes into a copy of the asset: a new one, or a new version of the existing one.

mod create;
mod finish;
mod renew;

use bynder::{ImportId, Template};
use common::job::Job;
use common::marker::{Kin, Marker};
use common::outcome::{FailureClass, Outcome};

use super::needs::Files;
use super::save::{converted, note_added, start_over};
use super::{StepEnd, Stop, Wait, complete, marking, or_gone};
use crate::context::StepContext;
use crate::error::StepError;
use crate::services::Portal;
use decide::{OriginalCheck, check_original};

pub(super) use create::can_be_made;
pub(super) use renew::withdraw;

/// The calls that have to follow each other closely: the check of the original, the check of its copy, the save.
const CALLS_TO_RENEW: u32 = 3;
/// The check of the original, and the save.
const CALLS_TO_CREATE: u32 = 2;

pub(super) async fn save(
    context: &StepContext,
    job: &mut Job,
    import: &ImportId,
    files: &Files,
) -> Result<StepEnd, Stop> {
    if job.effects.copy.is_none() {
        if job.suspect && !listing_has_caught_up(context, job) {
            return Ok(StepEnd::NotYet(Wait::Moment));
        }
        // A suspect job may have saved already: the import is then used up, and polling it would be misleading.
        if !job.suspect {
            converted(context, job, import).await?;
        }
    }
    let held = super::lease(context, job).await?;
    let result = under_lease(&context.under(&held), job, import, files).await;
    if matches!(result, Ok(StepEnd::Ended(Outcome::Watermarked { .. } | Outcome::AwaitingApproval))) {
        // The marker that ties the original to its copy was written, and may not show yet.
        held.end_after(context.settings.index_lag);
    } else {
        held.end(&result);
    }
    result
}

async fn under_lease(
    context: &StepContext,
    job: &mut Job,
    import: &ImportId,
    files: &Files,
) -> Result<StepEnd, Stop> {
    if job.effects.copy.is_none() && job.suspect {
        job.effects.copy = create::find(context, job, files).await?;
    }
    if let Some(copy) = job.effects.copy.clone() {
        return finish::finish(context, job, files, &copy, None).await;
    }
    let tied = copied_to(&Marker::parse(job.marker_text.as_deref())).is_some();
    if job.suspect && !tied {
        converted(context, job, import).await?;
    }
    // Neither the result of the checks nor the lease may grow old while the save waits for its tokens.
    let calls = if tied { CALLS_TO_RENEW } else { CALLS_TO_CREATE };
    let bynder = context.bynder.reserve_calls(calls).await?;
    let original = or_gone(bynder.template(&job.asset_id).await)?;
    note_added(job, &original.detail);
    check(context, job, files, &original).await?;
    let marker = context.marker(&original.detail.asset);
    let work = Work { bynder: &*bynder, files, import, original };
    match copied_to(&marker) {
        Some(copy) => work.renew(context, job, &copy).await,
        None => work.create(context, job).await,
    }
}

/// What a save needs.
struct Work<'a> {
    /// The portal, with tokens for the calls that follow.
    bynder: &'a dyn Portal,
    files: &'a Files,
    import: &'a ImportId,
    original: Template,
}

/// Whether the listing already shows everything that this suspect job may have done before.
fn listing_has_caught_up(context: &StepContext, job: &mut Job) -> bool {
    let mut since = job.effects.quiet.unwrap_or_else(|| job.wait_mark());
    let waited = job.waited_since(&mut since);
    job.effects.quiet = Some(since);
    waited >= context.settings.index_lag
}

/// Checks the original before anything is saved. Stops the step unless it is untouched.
async fn check(context: &StepContext, job: &mut Job, files: &Files, original: &Template) -> Result<(), Stop> {
    let detail = &original.detail;
    let marker = context.marker(&detail.asset);
    let end = match check_original(&files.on_original(), detail, &marker) {
        OriginalCheck::Untouched(_) => return Ok(()),
        OriginalCheck::Done => StepEnd::Ended(Outcome::AlreadyProtected),
        OriginalCheck::Restart { base, top, .. } => {
            withdraw(context, job).await?;
            start_over(context, job, base, top, detail)
        }
        OriginalCheck::OptedOut => {
            withdraw(context, job).await?;
            let theirs = detail.active().unwrap_or(job.base);
            StepEnd::Ended(Outcome::Superseded { ours: None, theirs })
        }
        OriginalCheck::Foreign(text) => complete::foreign_text(context, job, &text),
        OriginalCheck::VersionsUnknown => StepEnd::failed(
            FailureClass::Refused,
            format!(
                "Bynder does not say which version of asset {} is the active one; nothing was saved",
                job.asset_id
            ),
        ),
    };
    Err(end.into())
}

/// The copy that this marker names.
fn copied_to(marker: &Marker) -> Option<common::asset::AssetId> {
    match marker.kin() {
        Some(Kin::CopiedTo(copy)) => Some(copy.clone()),
        Some(Kin::CopyOf(_)) | None => None,
    }
}

/// The names of the connector's own metaproperties, which a copy does not take over.
fn own_names(context: &StepContext) -> Vec<&str> {
    let ids = context.settings.fields.ids();
    let own = context.settings.definitions.iter().filter(|known| ids.contains(&known.id.as_str()));
    own.map(|known| known.name.as_str()).collect()
}
