use bynder::ImportState;
use common::job::{Job, Step};
use common::marker::{Kin, Marker, Record, Records};
use common::outcome::{FailureClass, Outcome, Placed};
use config::OutputMode;
use http_client::Sent;
use queue::Left;
use std::time::Duration;

use super::failed;
use crate::end::{StepEnd, Wait};
use crate::error::StepError;
use crate::fakes::portal::{not_found, unavailable};
use crate::fakes::{NOW, ORIGINAL, Scene, WATERMARKED, facts, record, uploaded};

/// The record of the original, whose file is in the copy.
pub(super) fn on_original() -> Record {
    Record { version: 1, bytes: facts(ORIGINAL).bytes, ..record(1) }
}

pub(super) fn copied_to() -> Kin {
    Kin::CopiedTo("COPY".parse().unwrap())
}

pub(super) fn copy_of() -> Kin {
    Kin::CopyOf("A".parse().unwrap())
}

/// A job that is about to save its file as a copy.
pub(super) fn ready(scene: &Scene) -> Job {
    Job { mode: Some(OutputMode::Copy), ..uploaded(scene) }
}

pub(super) fn waits(job: &mut Job, time: Duration) {
    job.waited_ms += u64::try_from(time.as_millis()).unwrap();
}

pub(super) fn marker(scene: &Scene, asset: &str) -> Marker {
    Marker::parse(Some(&scene.portal.marker_text(asset)))
}

pub(super) const DONE: StepEnd = StepEnd::Ended(Outcome::Watermarked { version: 1 });

#[tokio::test]
async fn a_copy_is_made_with_its_marker_looked_at_and_tied_to_its_original() {
    let scene = Scene::new();
    scene.portal.change("A", |asset| asset.detail.asset.name = "lake".to_owned());
    let mut job = ready(&scene);
    assert_eq!(scene.end(&mut job).await, DONE);
    let calls = ["poll I", "reserve 2", "template A", "save new I lake", "template COPY"];
    assert_eq!(scene.portal.lock().calls[..5], calls);
    assert_eq!(scene.portal.count("write"), 1);
    let wanted = Records::default().with(on_original()).with_kin(copied_to());
    assert_eq!(marker(&scene, "A"), Marker::Ours(wanted));
    assert_eq!(marker(&scene, "COPY"), Marker::Ours(Records::default().with(record(1)).with_kin(copy_of())));
    let placed = Placed::Copy { asset_id: "COPY".parse().unwrap(), version: 1 };
    assert_eq!((&job.effects.placed, job.effects.saved), (&Some(placed), Some(job.wait_mark())));
    assert!(job.effects.save_sent_at.is_some());
    assert_eq!(job.added, Some(NOW));
    // The tie may not show in the listing yet.
    assert_eq!(scene.locks.left(), [Left::Lockout(queue::Lockout::from_all(Duration::from_mins(1)))]);
}

#[tokio::test]
async fn a_copys_first_version_holds_the_file_whichever_version_the_original_has() {
    let scene = Scene::new();
    scene.portal.has("A", &[b"older", ORIGINAL]);
    let mut job = Job { base: 2, top: 2, ..ready(&scene) };
    assert_eq!(scene.end(&mut job).await, StepEnd::Ended(Outcome::Watermarked { version: 2 }));
    assert_eq!(marker(&scene, "COPY"), Marker::Ours(Records::default().with(record(1)).with_kin(copy_of())));
    let wanted = Record { version: 2, ..on_original() };
    assert_eq!(marker(&scene, "A"), Marker::Ours(Records::default().with(wanted).with_kin(copied_to())));
}

#[tokio::test]
async fn each_answer_to_the_save_of_a_copy_has_its_end() {
    let scene = Scene::new();
    scene.portal.lock().converts_late = true;
    assert_eq!(scene.end(&mut ready(&scene)).await, StepEnd::NotYet(Wait::Service));
    scene.portal.lock().import = Some(ImportState::Pending);
    assert_eq!(scene.end(&mut ready(&scene)).await, StepEnd::NotYet(Wait::Service));
    scene.portal.lock().import = None;
    scene.portal.fails("save", not_found());
    let mut job = ready(&scene);
    assert!(matches!(scene.end(&mut job).await, StepEnd::Redo { step: Step::Transfer, .. }));
    assert_eq!(scene.end(&mut job).await, StepEnd::Next(Step::Transfer));
    job.effects.import_id = uploaded(&scene).effects.import_id;
    job.effects.watermarked = None;
    job.effects.original.as_mut().unwrap().content = Some(Box::new(media::Content::Unread));
    assert_eq!(scene.end(&mut job).await, StepEnd::Next(Step::Transfer), "its result was never read");
    scene.locks.left();
    for (sent, left) in [(Sent::Maybe, Left::Doubt), (Sent::No, Left::AsFound)] {
        let mut job = ready(&scene);
        scene.portal.fails("save", unavailable(sent));
        let error = scene.run(&mut job).await.unwrap_err();
        assert_eq!(matches!(error, StepError::UnknownOutcome(_)), sent == Sent::Maybe, "{error}");
        assert_eq!((scene.locks.left(), job.effects.copy), (vec![left], None));
    }
    scene.locks.lost.store(true, std::sync::atomic::Ordering::Relaxed);
    let saves = scene.portal.count("save");
    assert!(matches!(scene.run(&mut ready(&scene)).await, Err(StepError::Queue(_))));
    assert_eq!(scene.portal.count("save"), saves);
}

#[tokio::test]
async fn a_suspect_job_finds_its_copy_once_the_listing_has_caught_up() {
    let scene = Scene::new();
    let mut job = Job { suspect: true, ..ready(&scene) };
    assert_eq!(scene.end(&mut job).await, StepEnd::NotYet(Wait::Moment));
    waits(&mut job, Duration::from_secs(59));
    assert_eq!(scene.end(&mut job).await, StepEnd::NotYet(Wait::Moment));
    assert_eq!(scene.portal.lock().calls, [""; 0]);
    scene.portal.has("COPY", &[WATERMARKED]);
    scene.portal.marks("COPY", &Records::default().with(record(1)).with_kin(copy_of()).to_string());
    waits(&mut job, Duration::from_secs(1));
    assert_eq!(scene.end(&mut job).await, DONE);
    assert_eq!((scene.portal.count("save"), scene.portal.count("poll")), (0, 0));
    assert!(matches!(marker(&scene, "A"), Marker::Ours(records) if records.kin() == Some(&copied_to())));
    // Half an hour allows for clocks that differ.
    let since = scene.portal.lock().calls.iter().find(|call| call.starts_with("find_created")).cloned();
    assert_eq!(since.as_deref(), Some("find_created_since 1969-12-31T23:30:00Z"));
}

#[tokio::test]
async fn what_is_not_this_jobs_copy_is_not_found_and_another_is_made() {
    let other_file = Record { watermarked: facts(b"other").sha256, ..record(1) };
    let of_other = Kin::CopyOf("B".parse().unwrap());
    for (asset, text) in [
        ("B", Records::default().with(other_file).with_kin(copy_of())),
        ("B", Records::default().with(record(1)).with_kin(of_other)),
    ] {
        let scene = Scene::new();
        let mut job = Job { suspect: true, ..ready(&scene) };
        scene.end(&mut job).await;
        waits(&mut job, Duration::from_mins(1));
        scene.portal.has(asset, &[WATERMARKED]);
        scene.portal.marks(asset, &text.to_string());
        assert_eq!(scene.end(&mut job).await, DONE);
        assert_eq!((scene.portal.count("save new"), scene.portal.count("poll")), (1, 1), "{text}");
    }
}

#[tokio::test]
async fn an_original_that_somebody_worked_on_is_not_copied() {
    let superseded = Outcome::Superseded { ours: None, theirs: 1 };
    let tied = Records::default().with(on_original()).to_string();
    for (files, text, end) in [
        (vec![ORIGINAL, b"newer"], "", StepEnd::Next(Step::Submit)),
        (vec![ORIGINAL], "opted-out; ", StepEnd::Ended(superseded)),
        (vec![ORIGINAL], &*tied, StepEnd::Ended(Outcome::AlreadyProtected)),
    ] {
        let scene = Scene::new();
        let mut job = ready(&scene);
        scene.portal.has("A", &files);
        scene.portal.marks("A", text);
        assert_eq!(scene.end(&mut job).await, end);
        assert_eq!(scene.portal.effects(), [""; 0]);
    }
    let scene = Scene::new();
    scene.portal.marks("A", "hands off");
    assert_eq!(failed(scene.end(&mut ready(&scene)).await).0, FailureClass::Marker);
    scene.portal.marks("A", "");
    scene.portal.change("A", |asset| {
        asset.detail.versions.clear();
        asset.detail.asset.active_version = None;
    });
    assert_eq!(failed(scene.end(&mut ready(&scene)).await).0, FailureClass::Refused);
    scene.portal.lock().assets.clear();
    assert_eq!(scene.end(&mut ready(&scene)).await, StepEnd::Ended(Outcome::Gone));
}

#[tokio::test]
async fn a_copy_takes_over_values_of_definitions_that_came_later_and_is_refused_without_them() {
    let definitions = r#"[{"id":"i","name":"m","type":"text"},{"id":"9","name":"Source","type":"text"}]"#;
    let scene = Scene::new();
    let property = ("Source".to_owned(), vec!["agency".to_owned()]);
    scene.portal.change("A", |asset| asset.detail.asset.properties.extend([property]));
    let (class, reason) = failed(scene.end(&mut ready(&scene)).await);
    assert_eq!((class, scene.portal.count("metaproperties")), (FailureClass::Unsupported, 1));
    assert!(reason.contains("lake (asset A) cannot be copied"), "{reason}");
    scene.portal.lock().definitions = serde_json::from_str(definitions).unwrap();
    let (class, reason) = failed(scene.end(&mut ready(&scene)).await);
    assert_eq!(class, FailureClass::BadResult, "the portal in memory keeps no values");
    assert!(reason.contains("but has other metaproperties"), "{reason}");
}

#[tokio::test]
async fn a_copy_that_does_not_show_waits_for_approval_and_is_tied_all_the_same() {
    let scene = Scene::new();
    scene.portal.lock().hides_saves = true;
    let mut job = ready(&scene);
    assert_eq!(scene.end(&mut job).await, StepEnd::NotYet(Wait::Moment));
    waits(&mut job, Duration::from_secs(119));
    assert_eq!(scene.end(&mut job).await, StepEnd::NotYet(Wait::Moment));
    waits(&mut job, Duration::from_secs(1));
    scene.locks.left();
    assert_eq!(scene.end(&mut job).await, StepEnd::Ended(Outcome::AwaitingApproval));
    assert_eq!(scene.portal.count("save"), 1);
    assert_eq!(marker(&scene, "A"), Marker::Ours(Records::default().with_kin(copied_to())));
    assert!(matches!(&scene.locks.left()[..], [Left::Lockout(_)]));
    scene.portal.marks("A", "hands off");
    assert_eq!(failed(scene.end(&mut job).await).0, FailureClass::Marker);
    scene.portal.lock().assets.clear();
    assert_eq!(scene.end(&mut job).await, StepEnd::Ended(Outcome::Gone));
}

#[tokio::test]
async fn a_copy_without_its_marker_gets_it_again_now_and_then_and_is_given_up_at_last() {
    let scene = Scene::new();
    scene.portal.lock().drops_texts = true;
    let mut job = ready(&scene);
    let mut writes = Vec::new();
    let (class, reason) = loop {
        match scene.end(&mut job).await {
            StepEnd::NotYet(Wait::Moment) => writes.push(scene.portal.count("write COPY")),
            end => break failed(end),
        }
    };
    assert_eq!((writes, class), (vec![1, 1, 1, 2, 2, 2, 3, 3, 3], FailureClass::Marker));
    assert!(
        reason.contains("the copy COPY of lake (asset A) was made, but Bynder does not keep"),
        "{reason}"
    );
    // A person's text in it is never overwritten.
    let mut job = Job { unseen_marker_looks: 0, ..job };
    scene.portal.marks("COPY", "hands off");
    assert_eq!(failed(scene.end(&mut job).await).0, FailureClass::Marker);
    assert_eq!(scene.portal.count("write COPY"), 3);
}

#[tokio::test]
async fn the_tie_is_written_by_what_the_original_shows_by_then() {
    let done = Records::default().with(on_original()).with_kin(copied_to());
    let copied = |scene: &Scene| {
        let mut job = ready(scene);
        job.effects.copy = Some("COPY".parse().unwrap());
        scene.portal.has("COPY", &[WATERMARKED]);
        scene.portal.marks("COPY", &Records::default().with(record(1)).with_kin(copy_of()).to_string());
        job
    };
    for (text, writes) in [(done.to_string(), 0), ("opted-out; ".to_owned(), 1)] {
        let scene = Scene::new();
        let mut job = copied(&scene);
        scene.portal.marks("A", &text);
        assert_eq!(scene.end(&mut job).await, DONE);
        assert_eq!(scene.portal.count("write"), writes, "{text}");
    }
    let scene = Scene::new();
    let mut job = copied(&scene);
    scene.portal.has("A", &[ORIGINAL, b"newer"]);
    assert_eq!(
        scene.end(&mut job).await,
        StepEnd::Next(Step::Submit),
        "the newer version goes into the copy"
    );
    let tied = Records::default().with_kin(copied_to()).to_string();
    assert_eq!((job.base, job.marker_text, scene.portal.marker_text("A")), (2, Some(tied.clone()), tied));
    let scene = Scene::new();
    let mut job = copied(&scene);
    scene.portal.marks("A", "hands off");
    assert_eq!(failed(scene.end(&mut job).await).0, FailureClass::Marker);
    scene.portal.change("A", |asset| {
        asset.detail.versions.clear();
        asset.detail.asset.active_version = None;
    });
    assert_eq!(scene.end(&mut job).await, DONE);
    scene.portal.lock().assets.remove(&"A".parse().unwrap());
    assert_eq!(scene.end(&mut job).await, StepEnd::Ended(Outcome::Gone));
}
