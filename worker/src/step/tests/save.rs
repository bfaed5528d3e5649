use std::time::Duration;

use bynder::ImportState;
use common::asset::MOST_CANDIDATES;
use common::job::{Job, Step};
use common::marker::{Record, Records};
use common::outcome::{FailureClass, Outcome};
use http_client::Sent;
use queue::Left;

use super::failed;
use crate::end::{StepEnd, Wait};
use crate::error::StepError;
use crate::fakes::portal::{not_found, unavailable};
use crate::fakes::{NOW, ORIGINAL, Scene, WATERMARKED, facts, logged, record, uploaded};

/// A job that is ready to be saved: its file is uploaded, and the marker shows.
fn ready(scene: &Scene) -> Job {
    let mut job = uploaded(scene);
    scene.portal.marks("A", &record(2).to_string());
    job.effects.marked = Some(record(2));
    job
}

fn waits(job: &mut Job, time: Duration) {
    job.waited_ms += u64::try_from(time.as_millis()).unwrap();
}

fn redo(reason: &str) -> StepEnd {
    StepEnd::Redo { step: Step::Transfer, reason: format!("the import I is lost: {reason}") }
}

#[tokio::test]
async fn a_save_is_the_look_and_the_call_in_places_taken_ahead_and_then_the_version_is_looked_for() {
    let scene = Scene::new();
    let mut job = ready(&scene);
    assert_eq!(scene.end(&mut job).await, StepEnd::NotYet(Wait::Moment));
    assert_eq!(scene.portal.lock().calls, ["poll I", "reserve 2", "asset A", "save A I"]);
    assert_eq!((job.effects.saved, job.added), (Some(job.wait_mark()), Some(NOW)));
    assert_eq!(scene.locks.left(), [Left::AsFound]);
    assert_eq!(scene.end(&mut job).await, StepEnd::Ended(Outcome::Watermarked { version: 2 }));
    assert_eq!(scene.portal.count("save"), 1);
    // A visible save counts as evidence for the following ones.
    scene.portal.has("A", &[ORIGINAL]);
    let mut next = ready(&scene);
    assert_eq!(scene.end(&mut next).await, StepEnd::Ended(Outcome::Watermarked { version: 2 }));
    let mut saved = ready(&scene);
    saved.effects.saved = Some(saved.wait_mark());
    let looks = scene.portal.count("asset");
    assert_eq!(scene.end(&mut saved).await, StepEnd::Ended(Outcome::Watermarked { version: 2 }));
    assert_eq!(scene.portal.count("asset"), looks);
}

#[tokio::test]
async fn a_saved_version_that_does_not_show_waits_for_approval_after_a_while() {
    let scene = Scene::new();
    scene.portal.lock().hides_saves = true;
    let mut job = ready(&scene);
    scene.end(&mut job).await;
    assert_eq!(scene.end(&mut job).await, StepEnd::NotYet(Wait::Moment));
    waits(&mut job, Duration::from_secs(119));
    assert_eq!(scene.end(&mut job).await, StepEnd::NotYet(Wait::Moment));
    waits(&mut job, Duration::from_secs(1));
    let (end, log) = logged(scene.end(&mut job)).await;
    assert_eq!(end, StepEnd::Ended(Outcome::AwaitingApproval));
    assert!(log.contains("waits for approval in Bynder"), "{log}");
    assert_eq!(scene.portal.count("save"), 1, "it is not saved again");
    scene.portal.lock().assets.clear();
    assert_eq!(scene.end(&mut job).await, StepEnd::Ended(Outcome::Gone));
}

#[tokio::test]
async fn a_version_that_shows_is_this_jobs_by_its_length_whatever_came_between() {
    let newer: &[u8] = b"newer";
    let superseded = Outcome::Superseded { ours: Some(3), theirs: 2 };
    for (files, hides_length, outcome) in [
        (vec![ORIGINAL, WATERMARKED], false, Some(Outcome::Watermarked { version: 2 })),
        (vec![ORIGINAL, newer, WATERMARKED], false, Some(superseded)),
        (vec![ORIGINAL, newer], true, Some(Outcome::Watermarked { version: 2 })),
        (vec![ORIGINAL, newer], false, None),
        (vec![WATERMARKED], false, None),
    ] {
        let scene = Scene::new();
        let mut job = ready(&scene);
        job.effects.saved = Some(job.wait_mark());
        scene.portal.has("A", &files);
        if hides_length {
            scene.portal.change("A", |asset| asset.detail.versions[1].bytes = None);
        }
        let end = outcome.map_or(StepEnd::NotYet(Wait::Moment), StepEnd::Ended);
        assert_eq!(scene.end(&mut job).await, end, "{files:?}");
    }
}

#[tokio::test]
async fn an_import_is_waited_for_half_an_hour_and_then_uploaded_again() {
    let scene = Scene::new();
    let mut job = ready(&scene);
    scene.portal.lock().import = Some(ImportState::Pending);
    assert_eq!(scene.end(&mut job).await, StepEnd::NotYet(Wait::Service));
    waits(&mut job, Duration::from_mins(30));
    assert_eq!(scene.end(&mut job).await, StepEnd::NotYet(Wait::Service));
    waits(&mut job, Duration::from_millis(1));
    assert_eq!(scene.end(&mut job).await, redo("it was not converted within 30 minutes"));
    assert_eq!((job.effects.import_id.as_ref(), job.effects.imported), (None, None));
    for (state, reason) in
        [(ImportState::Failed, "Bynder could not convert it"), (ImportState::Rejected, "Bynder rejected it")]
    {
        let mut job = ready(&scene);
        scene.portal.lock().import = Some(state);
        assert_eq!(scene.end(&mut job).await, redo(reason));
        assert_eq!(scene.end(&mut job).await, StepEnd::Next(Step::Transfer), "there is none");
    }
    assert_eq!(scene.portal.count("save"), 0);
}

#[tokio::test]
async fn each_answer_to_a_save_has_its_end() {
    let scene = Scene::new();
    let mut job = ready(&scene);
    scene.portal.lock().converts_late = true;
    assert_eq!(scene.end(&mut job).await, StepEnd::NotYet(Wait::Service));
    scene.portal.fails("save", not_found());
    assert_eq!(scene.end(&mut job).await, redo("404"));
    scene.locks.left();
    for (sent, left) in [(Sent::Maybe, Left::Doubt), (Sent::No, Left::AsFound)] {
        let mut job = ready(&scene);
        scene.portal.fails("save", unavailable(sent));
        let error = scene.run(&mut job).await.unwrap_err();
        assert_eq!(matches!(error, StepError::UnknownOutcome(_)), sent == Sent::Maybe, "{error}");
        assert_eq!((scene.locks.left(), job.effects.saved), (vec![left], None));
    }
    scene.portal.fails("reserve", unavailable(Sent::No));
    scene.run(&mut ready(&scene)).await.unwrap_err();
    assert_eq!(scene.portal.count("save"), 4);
}

#[tokio::test]
async fn nothing_is_saved_without_the_lease() {
    let scene = Scene::new();
    scene.locks.lost.store(true, std::sync::atomic::Ordering::Relaxed);
    let error = scene.run(&mut ready(&scene)).await.unwrap_err();
    assert!(matches!(error, StepError::Queue(_)), "{error}");
    scene.locks.answers(Err(queue::QueueError::Unavailable("away".to_owned())));
    assert!(matches!(scene.run(&mut ready(&scene)).await, Err(StepError::Queue(_))));
    assert_eq!(scene.portal.count("save"), 0);
}

#[tokio::test]
async fn a_suspect_job_looks_before_it_asks_for_its_import() {
    let scene = Scene::new();
    let mut job = ready(&scene);
    job.suspect = true;
    scene.end(&mut job.clone()).await;
    let calls = ["asset A", "poll I", "reserve 2", "asset A", "save A I"];
    assert_eq!(scene.portal.lock().calls, calls);
    // Its save happened: the import is used up.
    assert_eq!(scene.end(&mut job).await, StepEnd::Ended(Outcome::Watermarked { version: 2 }));
    assert_eq!((scene.portal.count("save"), scene.portal.count("poll"), job.bytes_downloaded), (1, 1, 11));
}

#[tokio::test]
async fn a_save_whose_answer_was_lost_is_told_by_its_file_and_recorded() {
    let newer: &[u8] = b"newer";
    let superseded = |ours, theirs| Outcome::Superseded { ours: Some(ours), theirs };
    for (files, active, marker, outcome, records) in [
        (vec![ORIGINAL, WATERMARKED], 2, "", Outcome::Watermarked { version: 2 }, Some(record(2))),
        (vec![ORIGINAL, WATERMARKED, newer], 3, "", superseded(2, 3), Some(record(2))),
        (vec![ORIGINAL, newer, WATERMARKED], 3, "", superseded(3, 2), Some(record(3))),
        (vec![ORIGINAL, newer, WATERMARKED], 3, "foretold", superseded(3, 2), None),
        (vec![ORIGINAL, WATERMARKED], 2, "hands off", Outcome::Watermarked { version: 2 }, None),
    ] {
        let scene = Scene::new();
        let mut job = Job { suspect: true, ..uploaded(&scene) };
        scene.portal.has("A", &files);
        scene.portal.activates("A", active);
        let foretold = record(2).to_string();
        scene.portal.marks("A", if marker == "foretold" { &foretold } else { marker });
        assert_eq!(scene.end(&mut job).await, StepEnd::Ended(outcome), "{files:?} {marker}");
        let written = records.map(|record| format!("write A i={record}"));
        assert_eq!(scene.portal.effects(), Vec::from_iter(written), "{files:?} {marker}");
    }
}

#[tokio::test]
async fn a_persons_version_as_long_as_ours_is_gone_by_its_hash() {
    let scene = Scene::new();
    let mut job = Job { suspect: true, ..uploaded(&scene) };
    scene.portal.has("A", &[ORIGINAL, b"eleven byte"]);
    assert_eq!(scene.end(&mut job).await, StepEnd::Next(Step::Submit));
    assert_eq!((job.base, job.top, job.bytes, job.restarts), (2, 2, Some(11), 1));
    assert_eq!(scene.portal.count("hash"), 1);
}

#[tokio::test]
async fn however_many_versions_may_hold_the_file_few_are_downloaded_and_nothing_is_saved_in_doubt() {
    let scene = Scene::new();
    let mut job = Job { suspect: true, ..uploaded(&scene) };
    job.effects.marked = Some(record(2));
    let mut files: Vec<&[u8]> = vec![b"eleven byte"; MOST_CANDIDATES + 3];
    files[0] = ORIGINAL;
    scene.portal.has("A", &files);
    scene.portal.marks("A", &record(2).to_string());
    let (class, reason) = failed(scene.end(&mut job).await);
    assert_eq!(class, FailureClass::Refused);
    let said = format!("{} new versions of asset A", MOST_CANDIDATES + 2);
    assert!(reason.contains(&said) && reason.contains("nothing was saved"), "{reason}");
    assert_eq!(scene.portal.count("hash"), MOST_CANDIDATES);
    // The record stays: a version that was not looked into may hold the file.
    let context = crate::context::StepContext::of(&scene.environment);
    crate::step::withdraw_marker(&context, &mut job, &Outcome::Gone).await.unwrap();
    assert_eq!(scene.portal.count("hash"), 2 * MOST_CANDIDATES);
    assert_eq!((scene.portal.marker_text("A"), job.effects.marked), (record(2).to_string(), Some(record(2))));
    // The job's own is the first of them.
    files[1] = WATERMARKED;
    scene.portal.has("A", &files);
    scene.portal.marks("A", &record(2).to_string());
    let found = Outcome::Superseded { ours: Some(2), theirs: u32::try_from(files.len()).unwrap() };
    assert_eq!(scene.end(&mut job).await, StepEnd::Ended(found));
    assert_eq!((scene.portal.count("hash"), scene.portal.count("save")), (2 * MOST_CANDIDATES + 1, 0));
}

#[tokio::test]
async fn a_persons_newer_version_takes_the_record_back_and_starts_the_job_over() {
    let scene = Scene::new();
    let mut job = ready(&scene);
    scene.portal.has("A", &[ORIGINAL, b"newer"]);
    scene.portal.marks("A", &record(2).to_string());
    assert_eq!(scene.end(&mut job).await, StepEnd::Next(Step::Submit));
    assert_eq!((job.base, scene.portal.marker_text("A")), (2, String::new()));
    assert_eq!(job.effects, common::job::Effects::default());
    assert_eq!(scene.portal.count("save"), 0);
}

#[tokio::test]
async fn only_the_record_of_the_version_that_will_not_be_saved_is_taken_back() {
    let other =
        Record { version: 7, original: facts(b"x").sha256, watermarked: facts(b"y").sha256, bytes: 1 };
    for (base, records, left) in [
        (1, Records::default().with(record(2)).with(other), Records::default().with(other)),
        (2, Records::default().with(record(2)), Records::default().with(record(2))),
    ] {
        let scene = Scene::new();
        let mut job = uploaded(&scene);
        (job.base, job.top) = (base, base);
        let files: Vec<&[u8]> = (0..base).map(|_| ORIGINAL).chain([b"newer" as &[u8]]).collect();
        scene.portal.has("A", &files);
        scene.portal.marks("A", &records.to_string());
        assert_eq!(scene.end(&mut job).await, StepEnd::Next(Step::Submit));
        assert_eq!((job.base, scene.portal.marker_text("A")), (base + 1, left.to_string()));
    }
}

#[tokio::test]
async fn a_record_of_the_active_version_is_believed_by_its_files_hash_alone() {
    for (second, end) in [
        (WATERMARKED, StepEnd::Ended(Outcome::AlreadyProtected)),
        (b"eleven byte", StepEnd::Next(Step::Submit)),
    ] {
        let scene = Scene::new();
        let mut job = ready(&scene);
        (job.base, job.top) = (1, 2);
        scene.portal.has("A", &[ORIGINAL, second]);
        scene.portal.marks("A", &record(2).to_string());
        assert_eq!(scene.end(&mut job).await, end);
        let left = if end == StepEnd::Next(Step::Submit) { String::new() } else { record(2).to_string() };
        assert_eq!(scene.portal.marker_text("A"), left);
        assert_eq!(scene.portal.count("save"), 0);
    }
}

#[tokio::test]
async fn a_look_that_shows_a_persons_wish_or_text_or_no_versions_saves_nothing() {
    let scene = Scene::new();
    scene.portal.marks("A", "opted-out; ");
    let superseded = Outcome::Superseded { ours: None, theirs: 1 };
    assert_eq!(scene.end(&mut uploaded(&scene)).await, StepEnd::Ended(superseded));
    scene.portal.marks("A", "hands off");
    assert_eq!(failed(scene.end(&mut uploaded(&scene)).await).0, FailureClass::Marker);
    scene.portal.marks("A", "");
    scene.portal.change("A", |asset| {
        asset.detail.versions.clear();
        asset.detail.asset.active_version = None;
    });
    let (class, reason) = failed(scene.end(&mut uploaded(&scene)).await);
    assert_eq!(class, FailureClass::Refused);
    assert!(reason.contains("a person's work could be overwritten"), "{reason}");
    scene.portal.lock().assets.clear();
    assert_eq!(scene.end(&mut uploaded(&scene)).await, StepEnd::Ended(Outcome::Gone));
    assert_eq!(scene.portal.effects(), [""; 0]);
}

#[tokio::test]
async fn a_marker_that_does_not_show_is_written_again_now_and_then_and_given_up_at_last() {
    let scene = Scene::new();
    scene.portal.lock().drops_texts = true;
    let mut job = uploaded(&scene);
    let mut writes = Vec::new();
    let reason = loop {
        match scene.end(&mut job).await {
            StepEnd::NotYet(Wait::Moment) => writes.push(scene.portal.count("write")),
            end => break failed(end),
        }
    };
    assert_eq!(writes, [1, 1, 1, 2, 2, 2, 3, 3, 3]);
    assert_eq!(reason.0, FailureClass::Marker);
    assert!(reason.1.contains("the metaproperty m of asset A but does not keep it"), "{}", reason.1);
    assert_eq!(scene.portal.count("save"), 0);
}

#[tokio::test]
async fn a_marker_for_another_number_is_written_anew_at_once() {
    let scene = Scene::new();
    let mut job = ready(&scene);
    // A person restored the original below a version of their own.
    scene.portal.has("A", &[ORIGINAL, b"newer"]);
    scene.portal.activates("A", 1);
    scene.portal.marks("A", &record(2).to_string());
    assert_eq!(scene.end(&mut job).await, StepEnd::NotYet(Wait::Moment));
    assert_eq!((job.top, job.effects.marked, job.unseen_marker_looks), (2, Some(record(3)), 0));
    scene.end(&mut job).await;
    assert_eq!(job.effects.saved, Some(job.wait_mark()));
    assert_eq!(scene.end(&mut job).await, StepEnd::Ended(Outcome::Watermarked { version: 3 }));
}
