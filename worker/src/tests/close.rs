use common::job::{Job, Step};
use common::outcome::{Failure, FailureClass, Outcome};
use http_client::Sent;
use queue::{Attempt, Left, QueueError, Settlement};

use crate::close::close;
use crate::fakes::portal::{not_found, unavailable};
use crate::fakes::{NOW, ORIGINAL, Scene, WATERMARKED, job, record, uploaded};

fn failed(job: &Job) -> Settlement {
    let failure = Failure { class: FailureClass::Refused, reason: "no".into(), request_id: None };
    let event = Box::new(job.ended(Outcome::Failed(failure), NOW));
    Settlement::Fail { job: Box::new(job.clone()), event }
}

/// A failed job that wrote its record ahead of a save that did not happen.
fn ahead(scene: &Scene) -> Job {
    let mut job = uploaded(scene);
    job.effects.marked = Some(record(2));
    scene.portal.marks("A", &record(2).to_string());
    job
}

#[tokio::test]
async fn what_goes_on_is_not_touched() {
    let scene = Scene::new();
    scene.imatag.lock().can_find = false;
    let job = ahead(&scene);
    let rung = std::time::Duration::from_secs(5);
    for settlement in
        [Settlement::Forward(Box::new(job.clone())), Settlement::Wait { job: Box::new(job), rung }]
    {
        assert_eq!(close(&scene.environment, settlement.clone()).await, settlement);
    }
    assert_eq!(scene.locks.left(), []);
}

#[tokio::test]
async fn the_end_of_a_job_frees_the_asset_that_was_reserved_for_it() {
    for (can_find, left) in [(true, vec![]), (false, vec![Left::Nothing])] {
        let scene = Scene::new();
        scene.imatag.lock().can_find = can_find;
        let finished = Settlement::Finish(Box::new(job().ended(Outcome::Gone, NOW)));
        assert_eq!(close(&scene.environment, finished.clone()).await, finished);
        assert_eq!(scene.locks.left(), left);
        let failed = failed(&job());
        assert_eq!(close(&scene.environment, failed.clone()).await, failed);
        assert_eq!(scene.locks.left(), left);
        // If that fails, it becomes free a while later.
        scene.locks.answers(Err(QueueError::Unavailable("away".to_owned())));
        assert_eq!(close(&scene.environment, finished.clone()).await, finished);
    }
}

#[tokio::test]
async fn a_failed_job_takes_its_marker_back_under_the_lease() {
    let scene = Scene::new();
    let job = ahead(&scene);
    let Settlement::Fail { job: closed, .. } = close(&scene.environment, failed(&job)).await else {
        panic!()
    };
    assert_eq!((closed.effects.marked, scene.portal.marker_text("A")), (None, String::new()));
    assert_eq!(scene.locks.left(), [Left::Nothing]);
    // The record stays if a version holds its file: the save happened.
    let scene = Scene::new();
    let job = ahead(&scene);
    scene.portal.has("A", &[ORIGINAL, WATERMARKED]);
    scene.portal.marks("A", &record(2).to_string());
    let Settlement::Fail { job: closed, .. } = close(&scene.environment, failed(&job)).await else {
        panic!()
    };
    assert_eq!(closed.effects.marked, Some(record(2)));
    assert_eq!((scene.portal.count("write"), closed.bytes_downloaded), (0, 11));
    // So does text that others wrote there.
    let scene = Scene::new();
    let job = ahead(&scene);
    scene.portal.marks("A", "hands off");
    close(&scene.environment, failed(&job)).await;
    assert_eq!(scene.portal.count("write"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_marker_that_cannot_be_taken_back_yet_lets_the_job_wait_and_look_again() {
    for obstacle in 0..5 {
        let scene = Scene::new();
        let job = ahead(&scene);
        let left = match obstacle {
            0 => {
                scene.locks.answers(Ok(Attempt::Refused));
                vec![]
            }
            1 => {
                (0..300).for_each(|_| scene.locks.answers(Ok(Attempt::Busy)));
                vec![]
            }
            2 => {
                scene.locks.answers(Err(QueueError::Unavailable("away".to_owned())));
                vec![]
            }
            3 => {
                scene.portal.fails("asset", unavailable(Sent::No));
                vec![Left::AsFound]
            }
            _ => {
                scene.portal.fails("write", unavailable(Sent::Maybe));
                vec![Left::AsFound]
            }
        };
        let settlement = close(&scene.environment, failed(&job)).await;
        let Settlement::Wait { job: waits, rung } = settlement else { panic!("{settlement:?}") };
        assert_eq!((waits.step, waits.attempt, waits.suspect, rung.as_secs()), (Step::Save, 1, true, 120));
        assert_eq!(scene.locks.left(), left, "{obstacle}");
        assert_eq!(waits.effects.marked, Some(record(2)));
    }
}

#[tokio::test]
async fn the_wait_to_take_a_marker_back_is_bounded() {
    for (attempt, waits) in [(16, true), (17, false)] {
        let scene = Scene::new();
        let job = Job { attempt, ..ahead(&scene) };
        scene.portal.fails("asset", unavailable(Sent::No));
        let settlement = close(&scene.environment, failed(&job)).await;
        assert_eq!(matches!(settlement, Settlement::Wait { .. }), waits, "{settlement:?}");
    }
    // The job does not wait for an error that is permanent.
    let scene = Scene::new();
    let job = ahead(&scene);
    scene.portal.fails("asset", not_found());
    assert!(matches!(close(&scene.environment, failed(&job)).await, Settlement::Fail { .. }));
}
