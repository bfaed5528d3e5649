//! Jobs that carry less than this release records about a file. The record determines which checks apply, so
//! without it, the job's effects are not trusted.

use common::job::{Effects, Job, Step};
use common::marker::Marker;

use super::{StepEnd, Stop, submit};
use crate::context::StepContext;

/// What a job lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lack {
    Nothing,
    /// The watermarked file's content: it was uploaded without the checks of this release.
    Result,
    /// The original's content.
    Original,
}

fn lack(effects: &Effects) -> Lack {
    let is_read = |facts: &common::hash::FileFacts| facts.content.is_some();
    if !effects.original.as_ref().is_some_and(is_read) {
        return Lack::Original;
    }
    let is_uploaded = effects.import_id.is_some() || effects.parcel.is_some();
    let was_read = effects.watermarked.as_ref().is_some_and(is_read);
    if was_read || (effects.watermarked.is_none() && !is_uploaded) { Lack::Nothing } else { Lack::Result }
}

/// Downloads the original again if the job does not carry what this release records about it, and returns the job
/// to the step that needs it. Does nothing if the job carries everything or no longer needs it.
pub(super) async fn make_good(context: &StepContext, job: &mut Job) -> Result<(), Stop> {
    let lack = lack(&job.effects);
    if job.step == Step::Submit || job.effects.saved.is_some() || lack == Lack::Nothing {
        return Ok(());
    }
    tracing::warn!(job_id = %job.job_id, asset_id = %job.asset_id, ?lack, "a job lacks what this release records; reading its file again");
    if lack == Lack::Original {
        let marker = Marker::parse(job.marker_text.as_deref());
        let file = submit::download(context, job, &marker).await?;
        let facts = context.readers.facts(&file, &context.settings.checks).await?;
        let is_same = job.effects.original.as_ref().is_some_and(|claimed| claimed.sha256 == facts.sha256);
        if !is_same {
            // Its medium is of another file: everything is decided again, and nothing is paid for without a check.
            job.effects = Effects { marked: job.effects.marked, ..Effects::default() };
            job.suspect_now();
            return Err(StepEnd::Next(Step::Submit).into());
        }
        job.effects.original = Some(facts);
    }
    let effects = &mut job.effects;
    (effects.import_id, effects.imported, effects.parcel, effects.watermarked) = (None, None, None, None);
    Err(StepEnd::Next(Step::Transfer).into())
}

#[cfg(test)]
mod tests {
    use common::content::Content;
    use common::hash::{ContentHash, FileFacts};

    use super::*;

    #[test]
    fn a_job_lacks_what_no_release_like_this_one_read() {
        let facts = |is_read: bool| FileFacts {
            sha256: ContentHash::from_bytes([7; 32]),
            bytes: 9,
            media_type: None,
            pixels: None,
            content: is_read.then(|| Box::new(Content::Other)),
        };
        for (original, watermarked, is_imported, expected) in [
            (None, None, false, Lack::Original),
            (Some(false), Some(true), false, Lack::Original),
            (Some(true), None, false, Lack::Nothing),
            (Some(true), Some(true), true, Lack::Nothing),
            (Some(true), Some(false), true, Lack::Result),
            (Some(true), None, true, Lack::Result),
        ] {
            let effects = Effects {
                original: original.map(facts),
                watermarked: watermarked.map(facts),
                import_id: is_imported.then(|| "i".to_owned().try_into().unwrap()),
                ..Effects::default()
            };
            assert_eq!(lack(&effects), expected, "{effects:?}");
        }
    }
}
