use std::sync::atomic::Ordering;

use common::job::Step;
use common::outcome::FailureClass;
use config::OutputMode;
use http_client::Sent;

use super::failed;
use crate::end::StepEnd;
use crate::error::StepError;
use crate::fakes::portal::unavailable;
use crate::fakes::{ORIGINAL, Scene, WATERMARKED, submitted};

/// A scene in which results are uploaded in several parts.
fn in_parts(mode: OutputMode) -> Scene {
    let scene = Scene::with(|settings| settings.mode = mode);
    scene.portal.lock().part_size = Some(4);
    scene
}

#[tokio::test]
async fn a_result_of_several_parts_is_uploaded_once_and_finalised_once() {
    for mode in [OutputMode::Version, OutputMode::Copy] {
        let (scene, mut job) = (in_parts(mode), submitted());
        assert_eq!(scene.end(&mut job).await, StepEnd::Later(Step::Save));
        assert_eq!(["upload", "finalise"].map(|call| scene.portal.count(call)), [1, 1], "{mode:?}");
        assert_eq!(scene.portal.lock().uploaded, WATERMARKED);
        assert_eq!((job.bytes_downloaded, job.bytes_uploaded), (11, 11));
    }
}

#[tokio::test]
async fn nothing_is_made_of_the_parts_of_a_result_that_is_rejected_or_does_not_arrive_whole() {
    let scene = in_parts(OutputMode::Version);
    scene.imatag.lock().result = ORIGINAL.to_vec();
    assert_eq!(failed(scene.end(&mut submitted()).await).0, FailureClass::BadResult);
    assert_eq!(scene.portal.effects(), ["upload lake.jpg"]);
    assert_eq!(scene.portal.count("finalise"), 0);
    // Of a file of which nothing was shown, no upload begins.
    let scene = in_parts(OutputMode::Version);
    scene.imatag.lock().announced = Some(12);
    assert!(matches!(scene.run(&mut submitted()).await, Err(StepError::Incomplete(_))));
    assert_eq!(["upload", "finalise"].map(|call| scene.portal.count(call)), [0, 0]);
}

#[tokio::test]
async fn an_upload_that_failed_while_its_file_arrived_begins_again_and_its_second_error_counts() {
    let (scene, mut job) = (in_parts(OutputMode::Version), submitted());
    scene.portal.fails("upload", unavailable(Sent::Maybe));
    assert_eq!(scene.end(&mut job).await, StepEnd::Later(Step::Save));
    assert_eq!(scene.portal.effects()[..2], ["upload lake.jpg"; 2]);
    let scene = in_parts(OutputMode::Version);
    scene.portal.fails("upload", unavailable(Sent::Maybe));
    scene.portal.fails("upload", unavailable(Sent::No));
    let error = scene.run(&mut submitted()).await.unwrap_err();
    assert!(matches!(error, StepError::Bynder(error) if error == unavailable(Sent::No)));
}

#[tokio::test]
async fn a_file_that_is_named_by_its_hash_is_uploaded_once_it_is_whole() {
    let scene = in_parts(OutputMode::Additional);
    scene.imatag.lock().result = ORIGINAL.to_vec();
    assert_eq!(failed(scene.end(&mut submitted()).await).0, FailureClass::BadResult);
    assert_eq!(scene.portal.count("upload"), 0);
}

#[tokio::test]
async fn no_part_is_sent_without_contact_to_the_keeper_of_the_leases() {
    let scene = in_parts(OutputMode::Version);
    scene.locks.silent.store(true, Ordering::Relaxed);
    assert!(matches!(scene.run(&mut submitted()).await, Err(StepError::Queue(_))));
    assert_eq!(scene.portal.effects(), [""; 0]);
}
