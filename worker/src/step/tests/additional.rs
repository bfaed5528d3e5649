use std::time::Duration;

use common::job::{Job, Step};
use common::marker::{Marker, Record, Records};
use common::outcome::{FailureClass, Outcome, Placed};
use config::OutputMode;
use http_client::Sent;
use queue::Left;

use super::failed;
use crate::end::{StepEnd, Wait};
use crate::error::StepError;
use crate::fakes::portal::{not_found, unavailable};
use crate::fakes::{NOW, ORIGINAL, Scene, facts, record, submitted};
use crate::step::needs::Files;

const DONE: StepEnd = StepEnd::Ended(Outcome::Watermarked { version: 1 });

fn on_original() -> Record {
    Record { version: 1, bytes: facts(ORIGINAL).bytes, ..record(1) }
}

/// A job whose parts are uploaded.
async fn ready(scene: &Scene) -> Job {
    let mut job = Job { mode: Some(OutputMode::Additional), ..submitted() };
    assert_eq!(scene.end(&mut job).await, StepEnd::Next(Step::Save));
    job.step = Step::Save;
    scene.portal.lock().calls.clear();
    job
}

fn placed(job: &Job) -> Placed {
    let file_name = crate::step::transfer::additional_name_of(job, &Files::of(job).unwrap());
    Placed::Additional { file_name: file_name.into() }
}

#[tokio::test]
async fn a_file_is_saved_beside_the_original_looked_for_and_recorded() {
    let scene = Scene::new();
    let mut job = ready(&scene).await;
    assert_eq!(scene.end(&mut job).await, StepEnd::NotYet(Wait::Moment));
    assert_eq!(scene.portal.lock().calls, ["reserve 2", "template A", "save A additional"]);
    assert_eq!(scene.locks.left(), [Left::AsFound]);
    assert_eq!(scene.end(&mut job).await, DONE);
    assert!(scene.environment.approval.is_known_to_show());
    assert_eq!(job.effects.placed, Some(placed(&job)));
    assert_eq!(job.added, Some(NOW));
    assert_eq!(scene.portal.marker_text("A"), on_original().to_string());
    // A visible save counts as evidence for the following ones.
    scene.portal.has("A", &[ORIGINAL]);
    let mut job = ready(&scene).await;
    assert_eq!(scene.end(&mut job).await, DONE);
    assert_eq!((job.effects.placed.clone(), job.effects.saved), (Some(placed(&job)), None));
}

#[tokio::test]
async fn a_file_that_is_there_already_is_recorded_and_says_nothing_of_approval() {
    let scene = Scene::new();
    let mut job = ready(&scene).await;
    scene.end(&mut job.clone()).await;
    for (text, writes) in [("", 1), ("opted-out; ", 2), (&*on_original().to_string(), 2)] {
        scene.portal.marks("A", text);
        assert_eq!(scene.end(&mut job).await, DONE, "{text}");
        assert_eq!((scene.portal.count("save"), scene.portal.count("write")), (1, writes), "{text}");
    }
    assert!(!scene.environment.approval.is_known_to_show());
}

#[tokio::test]
async fn the_name_of_a_file_that_is_there_is_recorded_as_the_connector_gives_it() {
    let scene = Scene::new();
    let mut job = ready(&scene).await;
    let digits = Files::of(&job).unwrap().watermarked.sha256.short();
    let theirs = format!("{digits} https://bucket.example/o.jpg?sig=s3cr3t {}", "A".repeat(300_000));
    scene.portal.change("A", |asset| asset.additional = vec![theirs.clone()]);
    assert_eq!(scene.end(&mut job).await, DONE);
    assert_eq!(job.effects.placed, Some(placed(&job)));
}

#[tokio::test]
async fn each_answer_to_the_save_of_an_additional_file_has_its_end() {
    let scene = Scene::new();
    for (sent, left) in [(Sent::Maybe, Left::Doubt), (Sent::No, Left::AsFound)] {
        let mut job = ready(&scene).await;
        scene.portal.fails("save", unavailable(sent));
        let error = scene.run(&mut job).await.unwrap_err();
        assert_eq!(matches!(error, StepError::UnknownOutcome(_)), sent == Sent::Maybe, "{error}");
        assert_eq!((scene.locks.left(), job.effects.saved), (vec![left], None));
    }
    let mut job = ready(&scene).await;
    scene.portal.fails("save", not_found());
    let reason = "the upload is lost: 404".to_owned();
    assert_eq!(scene.end(&mut job).await, StepEnd::Redo { step: Step::Transfer, reason });
    assert_eq!(job.effects.parcel, None);
    assert_eq!(scene.end(&mut job).await, StepEnd::Next(Step::Transfer));
    let mut job = ready(&scene).await;
    scene.locks.lost.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(matches!(scene.run(&mut job).await, Err(StepError::Queue(_))));
    assert_eq!(scene.portal.count("save"), 0);
}

#[tokio::test]
async fn a_file_that_does_not_show_waits_for_approval_under_a_record_ahead() {
    let scene = Scene::new();
    scene.portal.lock().hides_saves = true;
    let mut job = ready(&scene).await;
    scene.end(&mut job).await;
    job.waited_ms += 119_000;
    assert_eq!(scene.end(&mut job).await, StepEnd::NotYet(Wait::Moment));
    job.waited_ms += 1000;
    let mut lost = job.clone();
    assert_eq!(scene.end(&mut job).await, StepEnd::Ended(Outcome::AwaitingApproval));
    assert_eq!(job.effects.placed, Some(placed(&job)));
    let ahead = Records::default().with(record(2));
    assert_eq!(Marker::parse(Some(&scene.portal.marker_text("A"))), Marker::Ours(ahead));
    assert_eq!(scene.portal.count("save"), 1);
    scene.locks.lost.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(matches!(scene.run(&mut lost).await, Err(StepError::Queue(_))));
    assert_eq!(Duration::from_mins(2), scene.environment.settings.longest_unseen);
}

#[tokio::test]
async fn an_original_that_somebody_worked_on_gets_no_file() {
    let scene = Scene::new();
    let job = ready(&scene).await;
    scene.portal.marks("A", "opted-out; ");
    let superseded = Outcome::Superseded { ours: None, theirs: 1 };
    assert_eq!(scene.end(&mut job.clone()).await, StepEnd::Ended(superseded));
    scene.portal.marks("A", "hands off");
    assert_eq!(failed(scene.end(&mut job.clone()).await).0, FailureClass::Marker);
    scene.portal.has("A", &[ORIGINAL, b"newer"]);
    let mut restarted = job.clone();
    assert_eq!(scene.end(&mut restarted).await, StepEnd::Next(Step::Submit));
    assert_eq!(restarted.base, 2);
    scene.portal.change("A", |asset| {
        asset.detail.versions.clear();
        asset.detail.asset.active_version = None;
    });
    assert_eq!(failed(scene.end(&mut job.clone()).await).0, FailureClass::Refused);
    scene.portal.lock().assets.clear();
    assert_eq!(scene.end(&mut job.clone()).await, StepEnd::Ended(Outcome::Gone));
    assert_eq!(scene.portal.effects(), [""; 0]);
}

#[tokio::test]
async fn an_asset_whose_file_was_deleted_gets_it_again() {
    let scene = Scene::new();
    let mut job = ready(&scene).await;
    scene.portal.marks("A", &on_original().to_string());
    scene.environment.approval.shows();
    assert_eq!(scene.end(&mut job).await, DONE);
    assert_eq!((scene.portal.count("save"), scene.portal.count("write")), (1, 0));
}
