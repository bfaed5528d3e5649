use std::time::Duration;

use budget::OperatorPause;
use common::job::Step;
use common::marker::{Marker, Record};
use common::outcome::{FailureClass, Outcome};
use config::OutputMode;
use http_client::Sent;
use imatag::{MediumState, ResultLocation};
use queue::{Attempt, Left, Lockout};

use super::{failed, paid};
use crate::end::{StepEnd, Wait};
use crate::error::StepError;
use crate::fakes::watermarker::medium;
use crate::fakes::{NOW, ORIGINAL, Scene, WATERMARKED, facts, job, record, watermarker};

#[tokio::test]
async fn a_fresh_file_is_looked_for_and_submitted_under_the_lease() {
    let (scene, mut job) = (Scene::new(), job());
    assert_eq!(scene.end(&mut job).await, StepEnd::Later(Step::Transfer));
    assert_eq!(scene.portal.lock().calls, ["download A 1", "says_active A", "row A"]);
    let submit = "submit lake.jpg application/octet-stream acme";
    assert_eq!(scene.imatag.lock().calls, ["find A acme", submit]);
    let effects = &job.effects;
    assert_eq!((effects.media_id.clone(), &effects.original), (Some(medium()), &Some(facts(ORIGINAL))));
    assert_eq!(effects.request_ids, ["R"]);
    assert_eq!((job.bytes_downloaded, job.bytes_uploaded, paid(&scene)), (8, 8, 1));
    assert_eq!(scene.locks.left(), [Left::AsFound]);
}

#[tokio::test]
async fn a_persons_text_ends_the_job_once_a_look_confirms_it() {
    let (scene, mut job) = (Scene::new(), job());
    job.marker_text = Some("hands off".to_owned());
    assert_eq!(scene.end(&mut job.clone()).await, StepEnd::Next(Step::Submit), "the listing lags");
    scene.portal.marks("A", "hands off");
    let (class, reason) = failed(scene.end(&mut job).await);
    assert_eq!(class, FailureClass::Marker);
    assert!(reason.contains("the metaproperty m of asset A") && reason.contains("\"hands off\""), "{reason}");
    assert_eq!(scene.portal.count("download"), 0);
    scene.portal.lock().assets.clear();
    assert_eq!(scene.end(&mut job).await, StepEnd::Ended(Outcome::Gone));
}

#[tokio::test]
async fn an_asset_that_cannot_be_copied_is_not_paid_for() {
    let scene = Scene::with(|settings| settings.mode = OutputMode::Copy);
    scene.portal.change("A", |asset| asset.detail.asset.tags = vec!["a,b".to_owned()]);
    let mut job = job();
    assert_eq!(failed(scene.end(&mut job).await).0, FailureClass::Unsupported);
    assert_eq!((job.mode, scene.portal.count("download")), (Some(OutputMode::Copy), 0));
    for known in 0..2 {
        let mut begun = job.clone();
        match known {
            0 => begun.effects.original = Some(facts(ORIGINAL)),
            _ => begun.effects.media_id = Some(medium()),
        }
        assert_eq!(scene.end(&mut begun).await, StepEnd::Later(Step::Transfer), "it has begun");
    }
}

#[tokio::test]
async fn a_job_of_a_release_with_one_mode_ends_in_that_one_if_it_has_begun() {
    let scene = Scene::with(|settings| settings.mode = OutputMode::Additional);
    let mut begun = crate::fakes::uploaded(&scene);
    let _ = scene.run(&mut begun).await;
    assert_eq!(begun.mode, Some(OutputMode::Version));
    let mut fresh = job();
    let _ = scene.run(&mut fresh).await;
    assert_eq!(fresh.mode, Some(OutputMode::Additional));
}

#[tokio::test]
async fn a_medium_that_is_there_already_is_taken_instead_of_a_second_submit() {
    for state in [
        MediumState::Pending,
        MediumState::Ready(ResultLocation::Medium(medium())),
        MediumState::Failed { reason: "broken".to_owned() },
    ] {
        for is_known in [false, true] {
            let (scene, mut job) = (Scene::new(), job());
            scene.imatag.lock().found = Some((medium(), state.clone()));
            job.effects.original = is_known.then(|| facts(ORIGINAL));
            assert_eq!(scene.end(&mut job).await, StepEnd::Next(Step::Transfer));
            assert_eq!(job.effects.media_id, Some(medium()));
            assert_eq!(scene.portal.count("download"), usize::from(!is_known), "a known file is not fetched");
            assert_eq!((scene.imatag.count("submit"), paid(&scene)), (0, 0));
            assert_eq!(scene.locks.left(), [Left::AsFound]);
        }
    }
    let (scene, mut job) = (Scene::new(), job());
    scene.imatag.lock().found = Some((medium(), MediumState::AlreadyProtected));
    assert_eq!(scene.end(&mut job).await, StepEnd::Ended(Outcome::AlreadyProtected));
    assert_eq!(scene.portal.count("write A i="), 1, "the next run needs no download");
    assert_eq!(scene.locks.left(), [Left::Nothing]);
}

#[tokio::test]
async fn a_suspect_job_asks_for_the_lease_before_it_downloads() {
    let (scene, mut job) = (Scene::new(), job());
    job.suspect = true;
    assert_eq!(scene.end(&mut job).await, StepEnd::Later(Step::Transfer));
    assert_eq!(scene.locks.left(), [Left::AsFound, Left::AsFound]);
    let downloads = scene.portal.count("download");
    scene.locks.answers(Ok(Attempt::Refused));
    assert_eq!(scene.end(&mut job).await, StepEnd::NotYet(Wait::Moment));
    assert_eq!(scene.portal.count("download"), downloads);
}

#[tokio::test(start_paused = true)]
async fn what_another_job_of_the_asset_did_makes_a_job_suspect_and_a_busy_keeper_does_not() {
    for (attempt, suspect) in
        [(|| Attempt::Refused, true), (|| Attempt::Busy, false)] as [(fn() -> Attempt, bool); 2]
    {
        let (scene, mut job) = (Scene::new(), job());
        (0..300).for_each(|_| scene.locks.answers(Ok(attempt())));
        assert_eq!(scene.end(&mut job).await, StepEnd::NotYet(Wait::Moment));
        assert_eq!((job.suspect, scene.imatag.count("submit")), (suspect, 0));
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_is_told_from_an_asset_that_is_gone() {
    let (scene, mut job) = (Scene::new(), job());
    scene.portal.lock().files.clear();
    let (class, reason) = failed(scene.end(&mut job).await);
    assert_eq!(class, FailureClass::NoOriginal);
    assert!(reason.contains("no file for version 1 of lake"), "{reason}");
    scene.portal.lock().assets.clear();
    assert_eq!(scene.end(&mut job).await, StepEnd::Ended(Outcome::Gone));
}

#[tokio::test]
async fn a_file_of_another_length_than_the_portal_shows_is_not_the_file() {
    let (scene, mut job) = (Scene::new(), job());
    job.bytes = Some(9);
    let error = scene.run(&mut job).await.unwrap_err();
    assert!(matches!(&error, StepError::Incomplete(reason) if reason.contains("8 bytes")), "{error}");
    assert_eq!(job.bytes_downloaded, 8);
    scene.portal.has("A", &[b""]);
    job.bytes = None;
    let (class, reason) = failed(scene.end(&mut job).await);
    assert_eq!(class, FailureClass::NoOriginal);
    assert!(reason.contains("empty"), "{reason}");
    assert_eq!(scene.imatag.lock().calls, [""; 0]);
}

#[tokio::test]
async fn a_file_is_named_as_the_listing_shows_it_else_as_storage_does_else_not_at_all() {
    for (listed, sent, name) in [
        (Some("lake.jpg"), Some("sent.png"), Some("lake.jpg")),
        (None, Some("sent.png"), Some("sent.png")),
        (None, None, None),
    ] {
        let (scene, mut job) = (Scene::new(), job());
        job.file_name = listed.map(str::to_owned);
        scene.portal.lock().sent_name = sent.map(str::to_owned);
        let end = scene.end(&mut job).await;
        let submit = scene.imatag.lock().calls.iter().find(|call| call.starts_with("submit")).cloned();
        if let Some(name) = name {
            assert!(submit.unwrap().contains(name));
        } else {
            let (class, reason) = failed(end);
            assert_eq!((class, submit), (FailureClass::Unsupported, None));
            assert!(reason.contains("upload it again under a name with its extension"), "{reason}");
        }
    }
}

#[tokio::test]
async fn a_file_that_a_record_or_another_tools_hash_names_is_protected() {
    let (scene, mut job) = (Scene::new(), job());
    let known = Record { watermarked: facts(ORIGINAL).sha256, version: 3, ..record(1) };
    job.marker_text = Some(known.to_string());
    scene.portal.marks("A", &known.to_string());
    assert_eq!(scene.end(&mut job).await, StepEnd::Ended(Outcome::AlreadyProtected));
    let completed = Record { version: 1, bytes: 8, ..known };
    assert!(scene.portal.marker_text("A").starts_with(&completed.to_string()));
    assert_eq!(scene.imatag.lock().calls, [""; 0]);
}

#[tokio::test]
async fn a_save_that_came_on_top_of_a_persons_version_is_told_from_a_restored_one() {
    let superseded = Outcome::Superseded { ours: Some(2), theirs: 1 };
    for (version, theirs, outcome) in [
        (1, b"longer than ours" as &[u8], superseded),
        (1, ORIGINAL, Outcome::AlreadyProtected),
        (2, b"longer than ours", Outcome::AlreadyProtected),
        (3, b"longer than ours", Outcome::AlreadyProtected),
    ] {
        let (scene, mut job) = (Scene::new(), job());
        (job.base, job.top) = (2, 2);
        scene.portal.has("A", &[theirs, ORIGINAL]);
        let file = facts(ORIGINAL);
        let known = Record { watermarked: file.sha256, version, bytes: file.bytes, ..record(1) };
        job.marker_text = Some(known.to_string());
        scene.portal.marks("A", &known.to_string());
        assert_eq!(scene.end(&mut job).await, StepEnd::Ended(outcome), "{version} {theirs:?}");
    }
}

#[tokio::test]
async fn another_tools_hash_counts_by_what_it_means() {
    use common::marker::LegacyMeaning;
    // The hashes of the file `original`.
    let hashes = ["919c8b643b7133116b02fc0d9bb7df3f", "d73ef92426f2b11dfc4aed4d4bfc41c49ee1087c"];
    let sha256 = facts(ORIGINAL).sha256.to_string();
    for hash in hashes.into_iter().chain([sha256.as_str()]) {
        for (legacy, protected) in [(LegacyMeaning::Protected, true), (LegacyMeaning::Original, false)] {
            let (scene, mut job) = (Scene::with(|settings| settings.legacy = legacy), job());
            assert!(matches!(Marker::parse(Some(hash)), Marker::Legacy(_)));
            (job.marker_text, scene.imatag.lock().can_find) = (Some(hash.to_owned()), true);
            scene.portal.marks("A", hash);
            let end = scene.end(&mut job).await;
            assert_eq!(end == StepEnd::Ended(Outcome::AlreadyProtected), protected, "{hash} {end:?}");
        }
    }
}

#[tokio::test]
async fn the_row_is_enough_only_where_imatag_can_be_asked_and_single_gets_say_which_version_is_active() {
    for (can_find, says_active, marker, looks) in
        [(true, true, "", 0), (false, true, "", 1), (true, false, "", 1), (true, true, "opted-out; ", 1)]
    {
        let (scene, mut job) = (Scene::new(), job());
        scene.imatag.lock().can_find = can_find;
        scene.portal.lock().says_active = says_active;
        scene.portal.marks("A", marker);
        scene.end(&mut job).await;
        assert_eq!(scene.portal.count("asset"), looks, "{can_find} {says_active} {marker}");
    }
    let (scene, mut job) = (Scene::new(), job());
    scene.portal.lock().rows.clear();
    assert_eq!(scene.end(&mut job).await, StepEnd::Later(Step::Transfer));
    assert_eq!(scene.portal.count("asset"), 1);
}

#[tokio::test]
async fn an_asset_that_changed_meanwhile_is_not_paid_for() {
    let newer: &[u8] = b"newer";
    let protected = record(2).to_string();
    for (files, marker, wanted) in [
        (vec![ORIGINAL, WATERMARKED], protected.as_str(), StepEnd::Ended(Outcome::AlreadyProtected)),
        (vec![ORIGINAL, newer], "", StepEnd::Next(Step::Submit)),
        (vec![ORIGINAL], "hands off", StepEnd::Next(Step::Submit)),
        (vec![ORIGINAL], "opted-out; ", StepEnd::Ended(Outcome::Superseded { ours: None, theirs: 1 })),
    ] {
        let (scene, mut job) = (Scene::new(), job());
        scene.portal.has("A", &files);
        scene.portal.marks("A", marker);
        assert_eq!(scene.end(&mut job).await, wanted, "{marker}");
        assert_eq!(scene.imatag.count("submit"), 0);
        if files.last() == Some(&newer) {
            assert_eq!((job.base, job.top, job.bytes, job.restarts), (2, 2, Some(5), 1));
        } else if marker == "hands off" {
            assert_eq!(job.marker_text.as_deref(), Some(marker));
        }
    }
    let (scene, mut job) = (Scene::new(), job());
    scene.portal.change("A", |asset| {
        asset.detail.versions.clear();
        asset.detail.asset.active_version = None;
    });
    assert_eq!(failed(scene.end(&mut job).await).0, FailureClass::Refused);
    scene.portal.lock().assets.clear();
    assert_eq!(scene.end(&mut job).await, StepEnd::Ended(Outcome::Gone));
}

#[tokio::test]
async fn a_persons_work_starts_a_job_over_only_so_often() {
    let (scene, mut job) = (Scene::new(), job());
    scene.portal.has("A", &[ORIGINAL, b"newer"]);
    job.restarts = 4;
    assert_eq!(scene.end(&mut job.clone()).await, StepEnd::Next(Step::Submit));
    job.restarts = 5;
    let superseded = Outcome::Superseded { ours: None, theirs: 2 };
    assert_eq!(scene.end(&mut job).await, StepEnd::Ended(superseded));
}

#[tokio::test]
async fn a_suspect_file_that_cannot_be_looked_for_is_submitted_only_where_that_is_wanted() {
    for wanted in [false, true] {
        let scene = Scene::with(|settings| settings.resubmit_unknown = wanted);
        scene.imatag.lock().can_find = false;
        let mut suspect = job();
        suspect.suspect = true;
        let end = scene.end(&mut suspect).await;
        assert_eq!(scene.imatag.lock().calls.len(), usize::from(wanted), "not even looked for");
        if !wanted {
            let (class, reason) = failed(end);
            assert_eq!(class, FailureClass::Ambiguous);
            assert!(reason.contains("may have received lake") && reason.contains("Bynder id A"), "{reason}");
        }
        assert_eq!(scene.end(&mut job()).await, StepEnd::Later(Step::Transfer), "one that is not suspect");
    }
}

#[tokio::test]
async fn without_a_search_the_asset_is_kept_for_the_job_that_submitted_it() {
    let (scene, mut job) = (Scene::new(), job());
    scene.imatag.lock().can_find = false;
    scene.end(&mut job).await;
    // A step, the wait before it, and a request that may still take effect.
    let time = Duration::from_hours(6) + Duration::from_mins(2) + Duration::from_mins(2);
    assert_eq!(scene.locks.left(), [Left::Lockout(Lockout::for_job(time, &job.job_id))]);
    // Not if the submit failed.
    let (scene, mut job) = (Scene::new(), self::job());
    scene.imatag.lock().can_find = false;
    scene.imatag.fails("submit", watermarker::unavailable(Sent::No));
    scene.run(&mut job).await.unwrap_err();
    assert_eq!(scene.locks.left(), [Left::AsFound]);
}

#[tokio::test]
async fn a_file_whose_place_came_too_late_is_not_submitted() {
    let (scene, mut paused) = (Scene::new(), job());
    scene.environment.budget.set_operator_pause(Some(OperatorPause { since: NOW, reason: None }));
    assert_eq!(scene.end(&mut paused).await, StepEnd::NotYet(Wait::Moment));
    let (scene, mut late) = (Scene::new(), job());
    let slot = scene.imatag.busy().await;
    let waiting = async {
        while scene.portal.count("row") == 0 {
            tokio::task::yield_now().await;
        }
        scene.locks.lost.store(true, std::sync::atomic::Ordering::Relaxed);
        drop(slot);
    };
    let (result, ()) = tokio::join!(scene.run(&mut late), waiting);
    assert!(matches!(result, Err(StepError::Queue(_))), "{result:?}");
    assert_eq!(scene.imatag.count("submit"), 0);
}
