//! The steps against a portal and an Imatag in memory.

mod additional;
mod ahead;
mod answers;
mod budget;
mod copy;
mod renew;
mod save;
mod submit;
mod transfer;

use common::job::Effects;
use common::outcome::FailureClass;

use super::needs::TransferJob;
use super::*;
use crate::fakes::{Scene, job, record, uploaded};
use crate::settings::samples::default_settings;

/// The class and the reason of a failed job.
fn failed(end: StepEnd) -> (FailureClass, String) {
    match end {
        StepEnd::Ended(Outcome::Failed(failure)) => (failure.class, failure.reason.to_string()),
        other => panic!("{other:?}"),
    }
}

/// How many watermarks count as paid.
fn paid(scene: &Scene) -> u32 {
    let page = scene.environment.metrics.render();
    let count = page.lines().find_map(|line| line.strip_prefix("connector_watermarks_paid_total "));
    count.unwrap().parse().unwrap()
}

#[test]
fn a_medium_that_no_search_finds_and_a_copy_keep_their_asset_for_the_job_that_knows_of_them() {
    let (settings, mut job) = (default_settings(), job());
    let own = |job: &Job, mode, can_find| own_time(&settings, job, mode, can_find);
    assert_eq!(own(&job, OutputMode::Version, false), None);
    job.effects.media_id = Some("M".to_owned().try_into().unwrap());
    job.step = Step::Transfer;
    assert_eq!(own(&job, OutputMode::Version, false), Some(reservation(&settings)));
    assert_eq!(reservation(&settings), Duration::from_mins(6 * 60 + 2 + 2));
    assert_eq!(own(&job, OutputMode::Version, true), None);
    job.step = Step::Save;
    // Until the listing has caught up, and no request of the save can take effect any more.
    assert_eq!(own(&job, OutputMode::Copy, true), Some(Duration::from_mins(1 + 2)));
    assert_eq!(own(&job, OutputMode::Version, true), None);
}

#[test]
fn a_record_of_a_save_that_was_answered_is_not_taken_back() {
    let mut job = job();
    assert!(!wrote_ahead(&job));
    job.effects.marked = Some(record(2));
    assert!(wrote_ahead(&job));
    job.effects.saved = Some(job.wait_mark());
    assert!(!wrote_ahead(&job));
}

#[test]
fn a_job_that_lacks_something_goes_back_to_the_step_that_provides_it() {
    let scene = Scene::new();
    let whole = uploaded(&scene);
    let lacking = |take: fn(&mut Effects)| {
        let mut job = whole.clone();
        take(&mut job.effects);
        job
    };
    let end = |job: &Job, mode| SaveJob::of(job, mode).err();
    for mode in [OutputMode::Version, OutputMode::Copy] {
        assert_eq!(end(&whole, mode), None);
        let no_import = lacking(|effects| (effects.import_id, effects.watermarked) = (None, None));
        assert_eq!(end(&no_import, mode), Some(StepEnd::Next(Step::Transfer)));
        for job in [lacking(|effects| effects.original = None), lacking(|effects| effects.watermarked = None)]
        {
            assert_eq!(end(&job, mode), Some(StepEnd::Next(Step::Submit)));
        }
    }
    assert_eq!(
        end(&whole, OutputMode::Additional),
        Some(StepEnd::Next(Step::Transfer)),
        "an import is no parcel"
    );
    // What was saved is only looked for, whatever else is missing.
    let mut saved = lacking(|effects| *effects = Effects::default());
    saved.effects.saved = Some(saved.wait_mark());
    assert!(matches!(SaveJob::of(&saved, OutputMode::Version), Ok(SaveJob::Saved { bytes: 0 })));
    assert!(matches!(TransferJob::of(&mut whole.clone()), Ok(TransferJob::Uploaded(_))));
    let mut submitted = lacking(|effects| effects.import_id = None);
    assert!(matches!(TransferJob::of(&mut submitted), Ok(TransferJob::Submitted { .. })));
    let nowhere = lacking(|effects| (effects.import_id, effects.media_id) = (None, None));
    for mut job in [lacking(|effects| effects.original = None), nowhere] {
        assert_eq!(TransferJob::of(&mut job).err(), Some(StepEnd::Next(Step::Submit)));
        assert!(job.suspect, "what was paid for may be there");
    }
}
