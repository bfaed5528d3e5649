use common::job::{Job, Renewal, Step};
use common::marker::{Marker, Record, Records};
use common::outcome::{FailureClass, Outcome, Placed};
use http_client::Sent;
use std::time::Duration;

use super::copy::{DONE, copied_to, copy_of, marker, on_original, ready, waits};
use super::failed;
use crate::end::{StepEnd, Wait};
use crate::error::StepError;
use crate::fakes::portal::{not_found, unavailable};
use crate::fakes::{Scene, WATERMARKED, facts, record};

/// The same for an asset with a copy, which holds an older watermarked file.
fn copied(scene: &Scene) -> Job {
    let older = Record { bytes: 5, ..record_of_older() };
    scene.portal.has("COPY", &[b"older"]);
    scene.portal.marks("COPY", &Records::default().with(older).with_kin(copy_of()).to_string());
    let text = Records::default().with_kin(copied_to()).to_string();
    scene.portal.marks("A", &text);
    Job { marker_text: Some(text), ..ready(scene) }
}

fn record_of_older() -> Record {
    let older = facts(b"older");
    Record { original: facts(b"older original").sha256, watermarked: older.sha256, version: 1, bytes: 5 }
}

#[tokio::test]
async fn a_changed_original_becomes_a_new_version_of_its_copy() {
    let scene = Scene::new();
    let mut job = copied(&scene);
    assert_eq!(scene.end(&mut job).await, StepEnd::NotYet(Wait::Moment), "the marker goes first");
    let calls = ["poll I", "reserve 3", "template A", "asset COPY"];
    assert_eq!(scene.portal.lock().calls[..4], calls);
    let renewal = job.effects.renewal.clone().unwrap();
    assert_eq!((renewal.base, renewal.top, renewal.marked), (1, 1, Some(record(2))));
    assert_eq!(scene.end(&mut job).await, StepEnd::NotYet(Wait::Moment), "the save is confirmed");
    assert_eq!((scene.portal.count("save COPY I"), job.effects.saved), (1, Some(job.wait_mark())));
    assert_eq!(scene.end(&mut job).await, DONE);
    assert!(scene.environment.approval.is_known_to_show());
    let placed = Placed::Copy { asset_id: "COPY".parse().unwrap(), version: 2 };
    assert_eq!(job.effects.placed, Some(placed));
    let wanted = Records::default().with(on_original()).with_kin(copied_to());
    assert_eq!(marker(&scene, "A"), Marker::Ours(wanted));
    assert_eq!(scene.portal.count("save"), 1);
}

#[tokio::test]
async fn a_renewal_that_is_known_to_show_ends_with_the_save_and_one_that_does_not_awaits_approval() {
    let scene = Scene::new();
    let mut job = copied(&scene);
    scene.end(&mut job).await;
    scene.environment.approval.shows();
    assert_eq!(scene.end(&mut job).await, DONE);
    let placed = Placed::Copy { asset_id: "COPY".parse().unwrap(), version: 2 };
    assert_eq!(job.effects.placed, Some(placed));

    let scene = Scene::new();
    scene.portal.lock().hides_saves = true;
    let mut job = copied(&scene);
    scene.end(&mut job).await;
    scene.end(&mut job).await;
    waits(&mut job, Duration::from_secs(119));
    assert_eq!(scene.end(&mut job).await, StepEnd::NotYet(Wait::Moment));
    waits(&mut job, Duration::from_secs(1));
    assert_eq!(scene.end(&mut job).await, StepEnd::Ended(Outcome::AwaitingApproval));
    assert_eq!(scene.portal.count("save"), 1);
}

#[tokio::test]
async fn each_answer_to_the_save_of_a_renewal_has_its_end() {
    let scene = Scene::new();
    let mut job = copied(&scene);
    scene.end(&mut job).await;
    scene.portal.lock().converts_late = true;
    assert_eq!(scene.end(&mut job).await, StepEnd::NotYet(Wait::Service));
    for (sent, unknown) in [(Sent::Maybe, true), (Sent::No, false)] {
        scene.portal.fails("save", unavailable(sent));
        let error = scene.run(&mut job).await.unwrap_err();
        assert_eq!(matches!(error, StepError::UnknownOutcome(_)), unknown, "{error}");
    }
    scene.portal.fails("save", not_found());
    assert!(matches!(scene.end(&mut job.clone()).await, StepEnd::Redo { step: Step::Transfer, .. }));
    // A suspect job checks first, and then polls its import.
    job.suspect = true;
    job.effects.quiet = Some(job.wait_mark());
    waits(&mut job, Duration::from_mins(1));
    let before = scene.portal.lock().calls.len();
    scene.end(&mut job).await;
    let calls = scene.portal.lock().calls[before..].to_vec();
    let looked = calls.iter().position(|call| call == "asset COPY").unwrap();
    assert_eq!(calls[looked + 1..], ["poll I", "save COPY I"], "{calls:?}");
    scene.locks.lost.store(true, std::sync::atomic::Ordering::Relaxed);
    let saves = scene.portal.count("save");
    assert!(matches!(scene.run(&mut job).await, Err(StepError::Queue(_))));
    assert_eq!(scene.portal.count("save"), saves);
}

#[tokio::test]
async fn a_copy_that_was_marked_ahead_of_its_renewal_is_not_taken_for_one_that_the_job_made() {
    for knows_of_it in [true, false] {
        let scene = Scene::new();
        let mut job = copied(&scene);
        scene.end(&mut job).await;
        assert!(scene.portal.marker_text("COPY").contains(&record(2).to_string()));
        // The delivery was lost: the save may have been sent. The job may be older than the tie.
        job.suspect = true;
        if !knows_of_it {
            (job.marker_text, job.effects.renewal) = (None, None);
        }
        job.effects.quiet = Some(job.wait_mark());
        waits(&mut job, Duration::from_mins(1));
        let end = scene.end(&mut job).await;
        assert_ne!(end, DONE, "the copy holds the older file");
        assert_eq!(scene.portal.count("save COPY I"), 1);
    }
}

#[tokio::test]
async fn what_is_no_copy_any_more_is_replaced_by_another() {
    let changes: [fn(&Scene); 2] = [
        |scene| drop(scene.portal.lock().assets.remove(&"COPY".parse().unwrap())),
        |scene| scene.portal.marks("COPY", ""),
    ];
    for change in changes {
        let scene = Scene::new();
        let mut job = copied(&scene);
        change(&scene);
        assert_eq!(scene.end(&mut job).await, DONE);
        assert_eq!(scene.portal.count("save new"), 1);
    }
}

#[tokio::test]
async fn a_copy_that_a_person_worked_on_is_left_alone() {
    type Change = fn(&Scene);
    let opted_out: Change = |scene| {
        let text = format!("opted-out; {}", scene.portal.marker_text("COPY"));
        scene.portal.marks("COPY", &text);
    };
    let newer: Change = |scene| {
        let text = scene.portal.marker_text("COPY");
        scene.portal.has("COPY", &[b"older", b"newer!"]);
        scene.portal.marks("COPY", &text);
    };
    let as_long: Change = |scene| {
        let text = scene.portal.marker_text("COPY");
        scene.portal.has("COPY", &[b"older", b"eleven byte"]);
        scene.portal.marks("COPY", &text);
    };
    let unknown: Change = |scene| {
        scene.portal.change("COPY", |copy| {
            copy.detail.asset.active_version = None;
            copy.detail.versions[0].active = Some(false);
        });
    };
    let changes = [
        (opted_out, "a person worked on its copy COPY"),
        (newer, "a person worked on its copy COPY"),
        (as_long, "a person worked on its copy COPY"),
        (unknown, "which version of the copy COPY is the active one"),
    ];
    for (change, said) in changes {
        let scene = Scene::new();
        let mut job = copied(&scene);
        scene.end(&mut job).await;
        change(&scene);
        let (class, reason) = failed(scene.end(&mut job).await);
        assert_eq!(class, FailureClass::Refused);
        assert!(reason.contains(said), "{reason}");
        assert_eq!(scene.portal.count("save"), 0);
    }
    // From the start: the connector did not make its active version.
    let scene = Scene::new();
    let mut job = copied(&scene);
    newer(&scene);
    let (class, reason) = failed(scene.end(&mut job).await);
    assert!(class == FailureClass::Refused && reason.contains("lake (asset A) has changed"), "{reason}");
}

#[tokio::test]
async fn a_copy_that_holds_the_file_already_is_tied_and_not_saved_again() {
    let scene = Scene::new();
    let mut job = copied(&scene);
    scene.portal.has("COPY", &[b"older", WATERMARKED]);
    let records = Records::default().with(record_of_older()).with(record(2)).with_kin(copy_of());
    scene.portal.marks("COPY", &records.to_string());
    assert_eq!(scene.end(&mut job).await, DONE);
    let placed = Placed::Copy { asset_id: "COPY".parse().unwrap(), version: 2 };
    assert_eq!((&job.effects.placed, scene.portal.count("save")), (&Some(placed.clone()), 0));
    // The job's own record, written ahead, proves nothing: the file's hash does.
    let scene = Scene::new();
    let mut job = copied(&scene);
    scene.end(&mut job).await;
    let text = scene.portal.marker_text("COPY");
    scene.portal.has("COPY", &[b"older", WATERMARKED]);
    scene.portal.marks("COPY", &text);
    assert_eq!(scene.end(&mut job).await, DONE);
    assert_eq!((job.effects.placed, scene.portal.count("hash COPY 2")), (Some(placed), 1));
}

#[tokio::test]
async fn a_copys_marker_that_does_not_show_is_written_again_now_and_then_and_given_up_at_last() {
    let scene = Scene::new();
    let mut job = copied(&scene);
    scene.portal.lock().drops_texts = true;
    let mut writes = Vec::new();
    let (class, reason) = loop {
        match scene.end(&mut job).await {
            StepEnd::NotYet(Wait::Moment) => writes.push(scene.portal.count("write COPY")),
            end => break failed(end),
        }
    };
    assert_eq!((writes, class), (vec![1, 1, 1, 2, 2, 2, 3, 3, 3], FailureClass::Marker));
    assert!(reason.contains("of the copy COPY but does not keep it"), "{reason}");
}

#[tokio::test]
async fn a_record_written_ahead_on_a_copy_is_taken_back_with_a_failed_job() {
    let scene = Scene::new();
    let mut job = copied(&scene);
    let before = scene.portal.marker_text("COPY");
    scene.end(&mut job).await;
    let context = crate::context::StepContext::of(&scene.environment);
    let withdraw = async |job: &mut Job| crate::step::withdraw_marker(&context, job, &Outcome::Gone).await;
    let mut saved = job.clone();
    saved.effects.saved = Some(saved.wait_mark());
    withdraw(&mut saved).await.unwrap();
    assert_ne!(scene.portal.marker_text("COPY"), before, "a save that was answered came");
    assert!(crate::step::wrote_ahead(&job));
    withdraw(&mut job).await.unwrap();
    assert_eq!((scene.portal.marker_text("COPY"), &job.effects.renewal), (before, &None));
    let unmarked =
        Renewal { copy: "COPY".parse().unwrap(), base: 1, top: 1, marker_text: None, marked: None };
    job.effects.renewal = Some(unmarked);
    let calls = scene.portal.lock().calls.len();
    withdraw(&mut job).await.unwrap();
    assert_eq!(scene.portal.lock().calls.len(), calls);
}
