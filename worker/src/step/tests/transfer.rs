use common::check::Check;
use common::job::{Awaited, Job, Step};
use common::outcome::{FailureClass, Outcome};
use config::OutputMode;
use imatag::{MediumState, ResultLocation};
use media::Checks;
use queue::{Attempt, Left};

use super::failed;
use crate::end::{StepEnd, Wait};
use crate::error::StepError;
use crate::fakes::portal::not_found;
use crate::fakes::watermarker::medium;
use crate::fakes::{ORIGINAL, Scene, WATERMARKED, facts, job, record, submitted, uploaded};
use crate::service_times::Work;
use crate::step::needs::Files;
use crate::step::transfer::additional_name_of;

#[tokio::test]
async fn a_result_is_uploaded_and_the_marker_written_for_the_version_that_the_save_makes() {
    let (scene, mut job) = (Scene::new(), submitted());
    assert_eq!(scene.end(&mut job).await, StepEnd::Later(Step::Save));
    assert_eq!(scene.portal.effects(), ["upload lake.jpg".to_owned(), format!("write A i={}", record(2))]);
    assert_eq!(scene.portal.count("asset"), 0, "the row is enough");
    let effects = &job.effects;
    assert_eq!((effects.watermarked.clone(), effects.marked), (Some(facts(WATERMARKED)), Some(record(2))));
    assert_eq!((job.bytes_downloaded, job.bytes_uploaded), (11, 11));
    assert_eq!(effects.imported, Some(job.wait_mark()));
    assert_eq!(scene.portal.lock().uploaded, WATERMARKED);
    assert_eq!(scene.locks.left(), [], "no lease is needed");
}

#[tokio::test]
async fn each_state_of_a_medium_has_its_end() {
    let (scene, pending) = (Scene::new(), MediumState::Pending);
    scene.imatag.lock().status = Some(pending);
    assert_eq!(scene.end(&mut submitted()).await, StepEnd::NotYet(Wait::Service));
    scene.imatag.lock().status = Some(MediumState::AlreadyProtected);
    assert_eq!(scene.end(&mut submitted()).await, StepEnd::Ended(Outcome::AlreadyProtected));
    scene.imatag.lock().status = Some(MediumState::Failed { reason: "broken".to_owned() });
    let (class, reason) = failed(scene.end(&mut submitted()).await);
    assert_eq!(class, FailureClass::Refused);
    assert!(reason.contains("could not watermark lake (medium M): broken"), "{reason}");
    scene.imatag.lock().status = None;
    let (class, reason) = failed(scene.end(&mut submitted()).await);
    assert_eq!(class, FailureClass::BadResult);
    assert!(reason.contains("medium M is of another asset or another file than lake"), "{reason}");
    assert_eq!(scene.portal.count("upload"), 0);
}

#[tokio::test]
async fn a_result_under_no_id_has_to_be_looked_for() {
    let (scene, mut job) = (Scene::new(), submitted());
    job.effects.media_id = None;
    assert_eq!(scene.end(&mut job).await, StepEnd::Next(Step::Submit));
    assert!(job.suspect);
}

#[tokio::test]
async fn a_result_that_fails_a_check_is_not_uploaded() {
    let checks = Checks { enabled: [Check::MediaType].into(), ..Checks::default() };
    let scene = Scene::with(|settings| settings.checks = checks);
    let mut job = submitted();
    job.effects.original.as_mut().unwrap().media_type = Some("image/png".to_owned());
    let (class, reason) = failed(scene.end(&mut job).await);
    assert_eq!(class, FailureClass::BadResult);
    assert!(
        reason.contains("image/png") && reason.ends_with("was not touched (Imatag medium M)"),
        "{reason}"
    );
    for result in [ORIGINAL, b""] {
        scene.imatag.lock().result = result.to_vec();
        assert_eq!(failed(scene.end(&mut submitted()).await).0, FailureClass::BadResult);
    }
    assert_eq!(scene.portal.effects(), [""; 0]);
}

#[tokio::test]
async fn a_rejected_file_is_kept_where_a_person_looks_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("kept");
    let scene = Scene::with(|settings| settings.keep_rejected_in = Some(kept.clone()));
    scene.imatag.lock().result = ORIGINAL.to_vec();
    let (_, reason) = failed(scene.end(&mut submitted()).await);
    let path = kept.join(format!("A-{}.bin", facts(ORIGINAL).sha256.short()));
    assert!(reason.contains(&format!("the file is kept at {}", path.display())), "{reason}");
    assert_eq!(std::fs::read(path).unwrap(), ORIGINAL);
    let scene = Scene::with(|settings| settings.keep_rejected_in = Some("/proc/nowhere".into()));
    scene.imatag.lock().result = ORIGINAL.to_vec();
    let (_, reason) = failed(scene.end(&mut submitted()).await);
    assert!(reason.contains("the file is not kept"), "{reason}");
}

#[tokio::test]
async fn a_check_that_cannot_be_made_is_noted_and_stops_nothing() {
    let checks = Checks { enabled: [Check::SamePicture].into(), ..Checks::default() };
    let scene = Scene::with(|settings| settings.checks = checks);
    let mut job = submitted();
    let original = job.effects.original.as_mut().unwrap();
    original.media_type = Some("image/png".to_owned());
    original.content = Some(Box::new(media::Content::Unreadable("cut".to_owned())));
    let end = scene.end(&mut job).await;
    assert_eq!(end, StepEnd::Later(Step::Save), "{end:?}");
    assert!(!job.effects.unchecked.is_empty());
}

#[tokio::test]
async fn a_result_that_could_only_be_named_by_guessing_is_not_uploaded() {
    let (scene, mut job) = (Scene::new(), submitted());
    job.file_name = None;
    let (class, reason) = failed(scene.end(&mut job).await);
    assert_eq!(class, FailureClass::Unsupported);
    assert!(reason.contains("version 1 of lake (asset A)"), "{reason}");
    assert_eq!(scene.portal.count("upload"), 0);
}

#[tokio::test]
async fn nothing_is_uploaded_without_contact_to_the_keeper_of_the_leases() {
    let scene = Scene::new();
    scene.locks.silent.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(matches!(scene.run(&mut submitted()).await, Err(StepError::Queue(_))));
    let mut job = uploaded(&scene);
    job.step = Step::Transfer;
    assert!(matches!(scene.run(&mut job).await, Err(StepError::Queue(_))), "nor a marker written");
    assert_eq!(scene.portal.effects(), [""; 0]);
}

#[tokio::test]
async fn what_becomes_of_the_file_decides_how_it_is_uploaded() {
    for (mode, end, name) in [
        (OutputMode::Copy, StepEnd::Later(Step::Save), "lake.jpg".to_owned()),
        (
            OutputMode::Additional,
            StepEnd::Next(Step::Save),
            format!("lake-{}.jpg", facts(WATERMARKED).sha256.short()),
        ),
    ] {
        let (scene, mut job) = (Scene::new(), Job { mode: Some(mode), ..submitted() });
        assert_eq!(scene.end(&mut job).await, end);
        let effects = scene.portal.effects();
        assert_eq!(effects.len(), 1, "{effects:?}");
        assert_eq!(job.effects.parcel.is_some(), mode == OutputMode::Additional);
        assert_eq!(job.effects.import_id.is_some(), mode == OutputMode::Copy);
        if mode == OutputMode::Additional {
            assert_eq!(effects[0], format!("upload {}", additional_name_of(&job, &Files::of(&job).unwrap())));
            assert!(effects[0].contains(&facts(WATERMARKED).sha256.short()));
        } else {
            assert_eq!(effects[0], format!("upload {name}"));
        }
    }
}

#[tokio::test]
async fn what_was_uploaded_is_not_uploaded_again() {
    for by_parcel in [false, true] {
        let scene = Scene::new();
        let mut job = Job { step: Step::Transfer, ..uploaded(&scene) };
        if by_parcel {
            job.mode = Some(OutputMode::Additional);
            let text = |text: &str| text.to_owned().try_into().unwrap();
            let parcel = bynder::Parcel {
                upload_id: text("U"),
                target_id: text("T"),
                s3_file_name: text("K"),
                parts: 1,
            };
            (job.effects.import_id, job.effects.parcel) = (None, Some(parcel));
        }
        scene.end(&mut job).await;
        assert_eq!((scene.portal.count("upload"), scene.imatag.count("status")), (0, 0));
    }
}

#[tokio::test]
async fn only_an_untouched_row_spares_the_look_before_the_marker() {
    let changes: [fn(&Scene, &mut Job); 4] = [
        |_, job| job.suspect = true,
        |_, job| job.effects.marked = Some(record(2)),
        |scene, _| scene.portal.lock().rows.clear(),
        |scene, _| scene.portal.marks("A", &record(3).to_string()),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let (scene, mut job) = (Scene::new(), submitted());
        change(&scene, &mut job);
        assert_eq!(scene.end(&mut job).await, StepEnd::Later(Step::Save));
        assert_eq!(scene.portal.count("asset"), 1, "{at}");
        assert!(scene.portal.marker_text("A").starts_with(&record(2).to_string()), "{at}");
    }
}

#[tokio::test]
async fn a_marker_that_is_there_is_not_written_again_and_a_gone_asset_gets_none() {
    let (scene, mut job) = (Scene::new(), submitted());
    scene.portal.marks("A", &record(2).to_string());
    assert_eq!(scene.end(&mut job).await, StepEnd::Next(Step::Save));
    assert_eq!(scene.portal.count("write"), 0);
    let (scene, mut job) = (Scene::new(), submitted());
    job.suspect = true;
    scene.portal.fails("asset", not_found());
    assert_eq!(scene.end(&mut job).await, StepEnd::Ended(Outcome::Gone));
}

#[tokio::test]
async fn without_a_search_the_asset_stays_reserved_while_imatag_works() {
    let (scene, mut job) = (Scene::new(), submitted());
    scene.imatag.lock().can_find = false;
    scene.imatag.lock().status = Some(MediumState::Pending);
    assert_eq!(scene.end(&mut job).await, StepEnd::NotYet(Wait::Service));
    assert!(matches!(&scene.locks.left()[..], [Left::Lockout(lockout)] if lockout.is_for(&job.job_id)));
    // An asset whose lease another job has is not reserved, and the medium is still asked for.
    scene.locks.answers(Ok(Attempt::Refused));
    assert_eq!(scene.end(&mut job).await, StepEnd::NotYet(Wait::Service));
    assert_eq!(scene.locks.left(), []);
    let context = crate::context::StepContext::of(&scene.environment);
    assert!(matches!(crate::step::try_lease(&context, &job).await, Ok(Attempt::Taken(_))));
}

#[tokio::test]
async fn a_job_that_lacks_what_this_release_records_reads_its_original_again() {
    for (says, end) in [(ORIGINAL, Step::Transfer), (b"other", Step::Submit)] {
        let scene = Scene::new();
        let mut job = uploaded(&scene);
        job.effects.marked = Some(record(2));
        job.effects.original = Some(media::FileFacts { content: None, ..facts(says) });
        assert_eq!(scene.end(&mut job).await, StepEnd::Next(end));
        let effects = &job.effects;
        assert_eq!((&effects.import_id, &effects.watermarked), (&None, &None));
        assert_eq!(effects.marked, Some(record(2)), "it has to be taken back still");
        assert_eq!(job.suspect, end == Step::Submit);
        assert_eq!(effects.media_id.is_some(), end == Step::Transfer);
        assert_eq!(effects.original, (end == Step::Transfer).then(|| facts(ORIGINAL)));
    }
    // A saved job no longer needs it, and one that lacks only its result downloads no original.
    let scene = Scene::new();
    let mut job = uploaded(&scene);
    job.effects.watermarked.as_mut().unwrap().content = None;
    assert_eq!(scene.end(&mut job.clone()).await, StepEnd::Next(Step::Transfer));
    assert_eq!(scene.portal.count("download"), 0);
    job.effects.saved = Some(job.wait_mark());
    assert_eq!(scene.end(&mut job).await, StepEnd::NotYet(Wait::Moment));
}

#[tokio::test]
async fn a_medium_that_is_ready_at_a_place_is_fetched_there() {
    let (scene, mut job) = (Scene::new(), submitted());
    scene.imatag.lock().status = Some(MediumState::Ready(ResultLocation::Medium(medium())));
    scene.end(&mut job).await;
    assert_eq!(scene.imatag.lock().calls, ["status M", "download "]);
}

#[tokio::test]
async fn how_long_a_watermark_and_an_import_took_is_learnt_once_from_each_job() {
    let (scene, mut job) = (Scene::new(), submitted());
    let awaited = Awaited { since: job.wait_mark(), asked: true };
    job.effects.awaited = Some(awaited);
    job.waited_ms = 6000;
    let mut converted = Job { step: Step::Save, ..uploaded(&scene) };
    (converted.effects.awaited, converted.waited_ms) = (Some(awaited), 5900);
    let time =
        |work| scene.environment.service_times.expected().time(work, &self::job()).as_secs_f64().round();
    scene.end(&mut job).await;
    assert_eq!((time(Work::Watermark), time(Work::Import), job.effects.awaited), (6.0, 5.0, None));
    scene.end(&mut converted).await;
    assert_eq!((time(Work::Watermark), time(Work::Import), converted.effects.awaited), (6.0, 6.0, None));
}
