//! A new copy: the step searches for an existing one before it makes another, and makes it complete from the start.

use bynder::Template;
use common::asset::{Asset, AssetId};
use common::job::Job;
use common::marker::{Kin, Records, Status};
use common::outcome::FailureClass;
use jiff::{SignedDuration, Timestamp};

use super::super::save::done;
use super::{Files, StepContext, StepEnd, StepError, Stop, Work, finish, or_gone};
use decide::{CannotCopy, copy_fields, is_copy};

/// How far this machine's clock (when the job began) may be ahead of the portal's (when a copy was created).
/// Searching further back only costs rows: the copy is recognised by its marker.
const CLOCKS_APART: SignedDuration = SignedDuration::from_mins(30);

/// Finds the copy that an earlier save of this job made without a known response: among the assets created since
/// the job began, the one whose marker names this asset and has this file as its first version. A later version is
/// a record that this job wrote ahead of a renewal, in a copy that another job had made shortly before.
pub(super) async fn find(
    context: &StepContext,
    job: &Job,
    files: &Files,
) -> Result<Option<AssetId>, StepError> {
    let name = &context.settings.fields.hash.name;
    let sent_at = job.effects.save_sent_at.unwrap_or(job.created_at);
    let since = sent_at.checked_sub(CLOCKS_APART).unwrap_or(Timestamp::MIN);
    let made = files.saved_as(1);
    let is_ours = |asset: &Asset| {
        let marker = asset.marker(name);
        asset.id != job.asset_id
            && is_copy(&marker, &job.asset_id, made.watermarked)
            && marker.record_of(made.version, made.bytes) == Some(made)
    };
    let made = context.bynder.find_created_since(since, &is_ours).await?;
    Ok(made.map(|asset| asset.id))
}

/// Stops the step if the asset cannot be copied; called before its watermark is paid for.
pub(in super::super) async fn can_be_made(context: &StepContext, job: &Job) -> Result<(), Stop> {
    let original = or_gone(context.bynder.template(&job.asset_id).await)?;
    fields(context, job, &original).await.map(drop)
}

/// The fields that the copy is saved with, except the connector's own texts; or why it cannot be made.
async fn fields(
    context: &StepContext,
    job: &Job,
    original: &Template,
) -> Result<Vec<(String, String)>, Stop> {
    let settings = &context.settings;
    let (own, now) = (settings.fields.ids(), Timestamp::now());
    let mut fields = copy_fields(original, &settings.definitions, &own, now);
    if let Err(CannotCopy::Unknown(_)) = fields {
        // A person may have added it since this process last asked.
        let definitions = context.bynder.metaproperties().await?;
        fields = copy_fields(original, &definitions, &own, now);
    }
    fields.map_err(|reason| {
        let (name, id) = (job.display_name(), &job.asset_id);
        let reason = format!(
            "{name} (asset {id}) cannot be copied: {reason}; change it, or leave the asset out by a filter"
        );
        StepEnd::failed(FailureClass::Unsupported, reason).into()
    })
}

impl Work<'_> {
    pub(super) async fn create(self, context: &StepContext, job: &mut Job) -> Result<StepEnd, Stop> {
        let mut fields = fields(context, job, &self.original).await?;
        let records =
            Records::default().with(self.files.saved_as(1)).with_kin(Kin::CopyOf(job.asset_id.clone()));
        let texts = context.settings.fields.texts(&records, Status::Protected);
        fields.extend(texts.into_iter().map(|(id, text)| (format!("metaproperty.{id}"), text)));
        context.may_change()?;
        // The copy misses what a person changes at the original from here on, as if it had been changed right after
        // the save; the next run picks up a newer file.
        job.effects.save_sent_at.get_or_insert_with(Timestamp::now);
        let answer = self.bynder.save_asset(self.import, &fields).await;
        let copy = done(job, answer)?;
        job.effects.copy = Some(copy.clone());
        job.effects.saved = Some(job.wait_mark());
        finish::finish(context, job, self.files, &copy, Some(self.original)).await
    }
}
