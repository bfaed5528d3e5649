//! The steps against a portal and an Imatag in memory.

mod additional;
mod answers;
mod copy;
mod renew;
mod save;
mod submit;
mod transfer;

use common::outcome::FailureClass;

use super::*;
use crate::fakes::{job, record};
use crate::settings::samples::default_settings;

/// The class and the reason of a failed job.
fn failed(end: StepEnd) -> (FailureClass, String) {
    match end {
        StepEnd::Ended(Outcome::Failed(failure)) => (failure.class, failure.reason.to_string()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_medium_that_no_search_finds_and_a_copy_keep_their_asset_for_the_job_that_knows_of_them() {
    let (settings, mut job) = (default_settings(), job());
    let own = |job: &Job, mode, can_find| own_time(&settings, job, mode, can_find);
    assert_eq!(own(&job, OutputMode::Version, false), None);
    job.effects.media_id = Some("M".to_owned().try_into().unwrap());
    job.step = Step::Transfer;
    assert_eq!(own(&job, OutputMode::Version, false), Some(reservation(&settings)));
    assert_eq!(own(&job, OutputMode::Version, true), None);
    job.step = Step::Save;
    assert!(own(&job, OutputMode::Copy, true).is_some());
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
