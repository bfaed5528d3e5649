use std::time::Duration;

use common::job::{Job, Step};
use common::outcome::{FailureClass, Outcome};
use http_client::Sent;
use queue::{Left, Lockout, QueueError, Settlement};
use tokio_util::sync::CancellationToken;

use crate::fakes::portal::unavailable;
use crate::fakes::queue::delivery;
use crate::fakes::{ORIGINAL, Scene, facts, job, record, uploaded};
use crate::handle::handle;
use crate::isolation::Isolation;

/// The settlement of this job's delivery.
async fn settled(scene: &Scene, job: Job, redelivered: bool) -> Settlement {
    let (cut, isolation) = (CancellationToken::new(), Isolation::default());
    handle(&scene.environment, delivery(job, redelivered), &cut, &isolation).await;
    scene.queue.settlement()
}

fn waiting(settlement: Settlement) -> (Job, u64) {
    match settlement {
        Settlement::Wait { job, rung } => (*job, rung.as_secs()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_job_goes_from_step_to_step_and_ends() {
    let (scene, mut job, mut steps) = (Scene::new(), job(), Vec::new());
    job.lost_deliveries = 2;
    let event = loop {
        steps.push(job.step);
        match settled(&scene, job, false).await {
            Settlement::Forward(next) | Settlement::Wait { job: next, .. } => job = *next,
            Settlement::Finish(event) => break event,
            failed @ Settlement::Fail { .. } => panic!("{failed:?}"),
        }
        assert_eq!(job.lost_deliveries, 0, "a step that ends forgets them");
    };
    assert_eq!(steps, [Step::Submit, Step::Transfer, Step::Save, Step::Save]);
    assert_eq!(event.outcome, Outcome::Watermarked { version: 2 });
    assert_eq!(scene.portal.count("lane fresh"), 4);
    let metrics = scene.environment.metrics.render();
    assert!(metrics.contains("outcome=\"watermarked\"} 1"), "{metrics}");
}

#[tokio::test]
async fn a_lost_delivery_is_waited_out_and_its_asset_kept_before_anything_is_asked() {
    let scene = Scene::new();
    let (lost, rung) = waiting(settled(&scene, Job { held: true, ..job() }, true).await);
    assert_eq!((lost.suspect, lost.lost_deliveries, lost.held, rung), (true, 1, false, 600));
    assert_eq!(scene.locks.left(), [Left::Doubt]);
    assert_eq!(scene.portal.lock().calls, [""; 0]);
    assert_eq!(scene.locks.doubts.lock().unwrap()[0], [Lockout::from_all(Duration::from_mins(10))]);
}

#[tokio::test]
async fn a_job_whose_requests_may_still_land_waits_on() {
    let scene = Scene::new();
    let (waits, rung) = waiting(settled(&scene, Job { outwait_ms: 700_000, ..job() }, false).await);
    assert_eq!((waits.outwait_ms, rung), (0, 3600));
    assert_eq!(scene.portal.lock().calls, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_lost_three_deliveries_runs_alone() {
    for (lost, waits) in [(2, false), (3, true)] {
        let (scene, isolation) = (Scene::new(), Isolation::default());
        let other = isolation.among_others().await;
        let delivery = delivery(Job { lost_deliveries: lost, ..job() }, false);
        handle(&scene.environment, delivery, &CancellationToken::new(), &isolation).await;
        let (after, rung) = waiting(scene.queue.settlement());
        if waits {
            // It comes back, and the wait counts towards `worker.longest_wait`.
            assert_eq!((after.step, after.waited_ms, rung), (Step::Submit, 600_000, 600));
        } else {
            assert_eq!(after.step, Step::Transfer);
        }
        drop(other);
    }
    let (scene, isolation) = (Scene::new(), Isolation::default());
    let delivery = delivery(Job { lost_deliveries: 3, ..job() }, false);
    handle(&scene.environment, delivery, &CancellationToken::new(), &isolation).await;
    assert_eq!(waiting(scene.queue.settlement()).0.step, Step::Transfer);
}

#[tokio::test]
async fn a_step_that_is_cut_goes_back_as_suspect_as_it_came() {
    let (scene, cut) = (Scene::new(), CancellationToken::new());
    let _slot = scene.imatag.busy().await;
    let cutting = async {
        while scene.portal.count("row") == 0 {
            tokio::task::yield_now().await;
        }
        cut.cancel();
    };
    let isolation = Isolation::default();
    tokio::join!(handle(&scene.environment, delivery(job(), false), &cut, &isolation), cutting);
    let (back, rung) = waiting(scene.queue.settlement());
    assert_eq!((back.step, back.suspect, back.attempt, rung), (Step::Submit, true, 0, 600));
    assert_eq!(back.effects.original, None);
    assert_eq!(scene.locks.left(), [Left::Doubt], "its requests may still land");
}

#[tokio::test]
async fn a_step_that_takes_too_long_is_ended_and_counts() {
    let scene = Scene::with(|settings| settings.step_deadline = Duration::from_millis(1));
    let _slot = scene.imatag.busy().await;
    let (after, _) = waiting(settled(&scene, job(), false).await);
    assert_eq!((after.attempt, after.suspect, after.effects.original), (1, true, Some(facts(ORIGINAL))));
}

#[tokio::test]
async fn a_delivery_that_is_lost_during_its_step_is_not_settled() {
    let scene = Scene::new();
    let _slot = scene.imatag.busy().await;
    let delivery = delivery(job(), false);
    let voided = delivery.receipt.voided.clone();
    let losing = async {
        while scene.portal.count("row") == 0 {
            tokio::task::yield_now().await;
        }
        voided.cancel();
    };
    let (cut, isolation) = (CancellationToken::new(), Isolation::default());
    tokio::join!(handle(&scene.environment, delivery, &cut, &isolation), losing);
    assert_eq!(*scene.queue.settled.lock().unwrap(), []);
}

#[tokio::test]
async fn a_settlement_that_the_queue_does_not_take_is_neither_counted_nor_told() {
    let scene = Scene::new();
    *scene.queue.refuses.lock().unwrap() = Some(QueueError::Unavailable("away".to_owned()));
    let mut gone = job();
    gone.marker_text = Some("hands off".to_owned());
    scene.portal.lock().assets.clear();
    let (cut, isolation) = (CancellationToken::new(), Isolation::default());
    handle(&scene.environment, delivery(gone, false), &cut, &isolation).await;
    let metrics = scene.environment.metrics.render();
    assert!(metrics.contains("outcome=\"gone\"} 0"), "{metrics}");
    assert!(metrics.contains("result=\"abandoned\",step=\"submit\"} 1"), "{metrics}");
}

#[tokio::test]
async fn a_failure_while_its_service_is_out_costs_no_attempt() {
    let scene = Scene::new();
    scene.portal.fails("download", unavailable(Sent::No));
    let (alone, _) = waiting(settled(&scene, job(), false).await);
    assert_eq!((alone.attempt, alone.history.len()), (1, 1), "the portal answers");
    scene.environment.breakers.trip(common::service::Service::Bynder, breakers::Trouble::Outage, "503");
    scene.portal.fails("download", unavailable(Sent::No));
    let (out, _) = waiting(settled(&scene, job(), false).await);
    assert_eq!((out.attempt, out.waited_ms, out.history.len()), (0, 0, 1));
}

#[tokio::test]
async fn a_panic_outside_the_step_costs_a_delivery_and_not_the_job() {
    let scene = Scene::new();
    scene.portal.fails("download", unavailable(Sent::No));
    // The portal is probed after the step.
    scene.portal.lock().panics = Some("account");
    let (after, rung) = waiting(settled(&scene, job(), false).await);
    assert_eq!((after.suspect, after.lost_deliveries, after.attempt, rung), (true, 1, 0, 600));
    assert_eq!(
        scene.environment.metrics.render().matches("result=\"abandoned\",step=\"submit\"} 0").count(),
        1
    );
}

#[tokio::test]
async fn a_job_whose_end_panics_again_and_again_ends_all_the_same() {
    let scene = Scene::new();
    scene.portal.marks("A", "hands off");
    let mut job = uploaded(&scene);
    (job.mode, job.effects.marked) = (Some(config::OutputMode::Additional), Some(record(2)));
    let text = |text: &str| text.to_owned().try_into().unwrap();
    let parcel =
        bynder::Parcel { upload_id: text("U"), target_id: text("T"), s3_file_name: text("K"), parts: 1 };
    job.effects.parcel = Some(parcel);
    // The step asks for the template; only taking the marker back asks for the asset.
    scene.portal.lock().panics = Some("asset");
    let mut deliveries = 0;
    let event = loop {
        deliveries += 1;
        assert!(deliveries < 100, "it never ends");
        match settled(&scene, job, false).await {
            Settlement::Wait { job: next, .. } => job = *next,
            Settlement::Fail { event, .. } => break event,
            other => panic!("{other:?}"),
        }
    };
    let Outcome::Failed(failure) = event.outcome else { panic!("{event:?}") };
    assert_eq!(failure.class, FailureClass::Exhausted);
    assert!(failure.reason.contains("lost 20 times in the step save"), "{failure:?}");
}
