use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use budget::{Budget, OperatorPause};
use bynder::Gate;
use common::job::{Job, Lane, Step};
use common::service::Service;
use futures::FutureExt;
use queue::{Left, QueueError, Settlement, StepSet};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::concurrency::Permits;
use crate::fakes::queue::delivery;
use crate::fakes::{NOW, Scene, job};
use crate::isolation::Isolation;
use crate::receive::Receiver;
use breakers::{Pace, Trouble};

fn receiver(scene: &Scene, permits: usize, submits: usize) -> Receiver {
    Receiver {
        environment: scene.environment.clone(),
        permits: Permits::new(permits),
        submitting: Arc::new(Semaphore::new(submits)),
        steps: StepSet::ALL,
        isolation: Arc::new(Isolation::default()),
    }
}

fn at(step: Step) -> Job {
    Job { step, ..job() }
}

const SOON: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn a_delivery_holds_its_permit_and_a_submit_its_slot_until_it_is_settled() {
    let scene = Scene::new();
    let receiver = receiver(&scene, 3, 1);
    scene.queue.gives(Ok(delivery(job(), false)));
    let submit = receiver.receive().await.unwrap();
    assert_eq!((receiver.permits.free(), receiver.submitting.available_permits()), (2, 0));
    // A second submit waits for the submit permit, a later step does not.
    scene.queue.gives(Ok(delivery(job(), false)));
    scene.queue.gives(Ok(delivery(at(Step::Transfer), false)));
    let transfer = receiver.receive().await.unwrap();
    assert_eq!(transfer.delivery.job.step, Step::Transfer);
    assert!(timeout(SOON, receiver.receive()).await.is_err());
    drop(submit.permits);
    let second = timeout(SOON, receiver.receive()).await.unwrap().unwrap();
    assert_eq!(second.delivery.job.step, Step::Submit);
    drop((second.permits, transfer.permits));
    scene.queue.gives(Ok(delivery(at(Step::Save), false)));
    let save = receiver.receive().await.unwrap();
    assert_eq!(receiver.submitting.available_permits(), 1, "a later step needs no place");
    drop(save.permits);
    assert_eq!(receiver.permits.free(), 3);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_for_without_a_permit() {
    let scene = Scene::new();
    let receiver = receiver(&scene, 1, 2);
    scene.queue.gives(Ok(delivery(at(Step::Save), false)));
    let first = receiver.receive().await.unwrap();
    scene.queue.gives(Ok(delivery(at(Step::Save), false)));
    assert!(timeout(SOON, receiver.receive()).await.is_err());
    drop(first.permits);
    assert!(timeout(SOON, receiver.receive()).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_fails_is_asked_again_and_a_closed_one_ends_the_receiver() {
    let scene = Scene::new();
    let receiver = receiver(&scene, 2, 2);
    scene.queue.gives(Err(QueueError::Unavailable("away".to_owned())));
    scene.queue.gives(Ok(delivery(job(), false)));
    let began = Instant::now();
    let taken = receiver.receive().await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(1));
    drop(taken);
    scene.queue.gives(Err(QueueError::Closed));
    assert!(receiver.receive().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn steps_that_cannot_be_worked_on_stay_in_the_queue_until_they_can() {
    let scene = Scene::new();
    let receiver = receiver(&scene, 1, 1);
    scene.imatag.lock().paused = Some(SOON);
    scene.queue.gives(Ok(delivery(job(), false)));
    let receiving = receiver.receive();
    tokio::pin!(receiving);
    assert!(timeout(SOON, &mut receiving).await.is_err());
    assert_eq!(scene.queue.asked.lock().unwrap()[0], StepSet::of(Step::Save));
    scene.imatag.lock().paused = None;
    assert!(timeout(Duration::from_secs(1), receiving).await.unwrap().is_some());
    assert_eq!(scene.queue.asked.lock().unwrap().len(), 2, "it is asked again only when more may be taken");
}

#[tokio::test(start_paused = true)]
async fn the_backlog_waits_in_quiet_hours_that_say_so() {
    let quiet = |from, to| {
        serde_json::from_value(serde_json::json!({"from": from, "to": to, "backlog": "pause"})).unwrap()
    };
    let all_day = vec![quiet("00:00", "12:00"), quiet("12:00", "00:00")];
    let scene = Scene::with(|settings| settings.quiet_hours = all_day);
    let receiver = receiver(&scene, 1, 1);
    scene.queue.gives(Ok(delivery(Job { lane: Lane::Backlog, ..job() }, false)));
    assert!(timeout(SOON, receiver.receive()).await.is_err());
    scene.queue.gives(Ok(delivery(job(), false)));
    assert!(timeout(SOON, receiver.receive()).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn while_the_backlogs_calls_wait_for_the_budget_none_of_its_jobs_begins_and_all_others_do() {
    let mut scene = Scene::new();
    // No process of its group mints tokens, so every call waits.
    scene.environment.budget = Budget::of_group(NonZeroU32::new(4000).unwrap());
    let receiver = receiver(&scene, 4, 4);
    let backlog = |step| Job { lane: Lane::Backlog, ..at(step) };
    let mut waiting: Vec<_> =
        (0..8).map(|_| Box::pin(scene.environment.budget.admit(Lane::Backlog, 1))).collect();
    assert!(waiting.iter_mut().all(|call| call.as_mut().now_or_never().is_none()));
    scene.queue.gives(Ok(delivery(backlog(Step::Submit), false)));
    assert!(timeout(SOON, receiver.receive()).await.is_err());
    for other in [job(), backlog(Step::Transfer), backlog(Step::Save)] {
        scene.queue.gives(Ok(delivery(other.clone(), false)));
        let taken = timeout(SOON, receiver.receive()).await.unwrap().unwrap();
        assert_eq!((taken.delivery.job.step, taken.delivery.job.lane), (other.step, other.lane));
    }
    waiting.pop();
    let taken = timeout(SOON, receiver.receive()).await.unwrap().unwrap();
    assert_eq!((taken.delivery.job.step, taken.delivery.job.lane), (Step::Submit, Lane::Backlog));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_taken_while_a_person_paused_the_work_or_a_service_is_out_or_a_job_is_to_run_alone() {
    for obstacle in 0..3 {
        let scene = Scene::new();
        let receiver = receiver(&scene, 1, 1);
        let receiving = receiver.receive();
        tokio::pin!(receiving);
        assert!(receiving.as_mut().now_or_never().is_none());
        // The obstacle appears while the queue is being asked.
        let isolation = Arc::clone(&receiver.isolation);
        let other = isolation.among_others().await;
        let alone = isolation.alone();
        tokio::pin!(alone);
        let pause = OperatorPause { since: NOW, reason: None };
        match obstacle {
            0 => scene.environment.budget.set_operator_pause(Some(pause)),
            1 => drop(scene.environment.breakers.trip(Service::Bynder, Trouble::Outage, "503")),
            _ => assert!(alone.as_mut().now_or_never().is_none()),
        }
        assert!(receiving.as_mut().now_or_never().is_none());
        scene.queue.gives(Ok(delivery(job(), false)));
        assert!(timeout(SOON, &mut receiving).await.is_err(), "{obstacle}");
        match obstacle {
            0 => scene.environment.budget.set_operator_pause(None),
            1 => scene.environment.breakers.answers_again(Service::Bynder),
            _ => {
                drop(other);
                drop(alone.await);
            }
        }
        assert!(timeout(SOON, receiving).await.unwrap().is_some(), "{obstacle}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_of_the_backlog_that_came_before_its_calls_waited_is_not_put_off() {
    let mut scene = Scene::new();
    scene.environment.budget = Budget::of_group(NonZeroU32::new(4000).unwrap());
    let receiver = receiver(&scene, 1, 1);
    let receiving = receiver.receive();
    tokio::pin!(receiving);
    assert!(receiving.as_mut().now_or_never().is_none());
    let waiting = scene.environment.budget.admit(Lane::Backlog, 8);
    tokio::pin!(waiting);
    assert!(waiting.as_mut().now_or_never().is_none());
    scene.queue.gives(Ok(delivery(Job { lane: Lane::Backlog, ..job() }, false)));
    assert!(timeout(SOON, receiving).await.unwrap().is_some());
}

/// The settlement of a delivery that arrived although its step had been closed meanwhile.
async fn put_off(redelivered: bool, step: Step, halts: impl FnOnce(&Scene)) -> (Scene, Option<Settlement>) {
    let scene = Scene::new();
    let receiver = receiver(&scene, 1, 1);
    let receiving = receiver.receive();
    tokio::pin!(receiving);
    assert!(receiving.as_mut().now_or_never().is_none());
    scene.queue.gives(Ok(delivery(Job { step, ..job() }, redelivered)));
    halts(&scene);
    let taken = timeout(SOON, receiving).await.ok().flatten();
    let settlement = taken.is_none().then(|| scene.queue.settlement());
    (scene, settlement)
}

#[tokio::test(start_paused = true)]
async fn a_job_that_came_after_its_step_was_closed_is_put_off_as_it_came() {
    let (_, open) = put_off(false, Step::Transfer, |_| ()).await;
    assert_eq!(open, None);
    let (_, settlement) =
        put_off(false, Step::Transfer, |scene| scene.imatag.lock().paused = Some(SOON)).await;
    let Some(Settlement::Wait { job, rung }) = settlement else { panic!("{settlement:?}") };
    assert_eq!((job.suspect, job.lost_deliveries, rung.as_secs()), (false, 0, 5));
    let (_, save) = put_off(false, Step::Save, |scene| scene.imatag.lock().paused = Some(SOON)).await;
    assert_eq!(save, None, "its step is open");
    // One that was lost before is started, and waits until what it may have sent can no longer take effect.
    let (_, lost) = put_off(true, Step::Transfer, |scene| scene.imatag.lock().paused = Some(SOON)).await;
    assert_eq!(lost, None);
}

#[tokio::test(start_paused = true)]
async fn a_step_whose_turn_another_job_has_is_put_off_and_a_lost_delivery_waits_out_its_requests_and_keeps_its_asset()
 {
    for redelivered in [false, true] {
        let scene = Scene::new();
        let slow = |scene: &Scene| {
            let pace = Pace { first: SOON, longest: SOON };
            for run in 0..5 {
                let id = common::job::JobId::try_from(format!("{run:032x}")).unwrap();
                scene.environment.breakers.failed_alone(Service::Bynder, Step::Save, &id, pace);
            }
        };
        drop(scene);
        let (scene, settlement) = put_off(redelivered, Step::Save, slow).await;
        let Some(Settlement::Wait { job, rung }) = settlement else { panic!("{settlement:?}") };
        let (suspect, lost, wait) = if redelivered { (true, 1, 120) } else { (false, 0, 5) };
        assert_eq!((job.suspect, job.lost_deliveries, rung.as_secs()), (suspect, lost, wait));
        assert_eq!(scene.locks.left(), vec![Left::Doubt; usize::from(redelivered)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_takes_a_job_though_its_breaker_is_open_and_lets_another_receiver_have_its_turn() {
    let scene = Scene::new();
    let breakers = &scene.environment.breakers;
    breakers.trip(Service::Bynder, Trouble::Credential, "401");
    tokio::time::sleep(Duration::from_secs(6)).await;
    let receiver = receiver(&scene, 1, 1);
    let receiving = receiver.receive();
    tokio::pin!(receiving);
    // It holds the probe for a second.
    assert!(timeout(Duration::from_millis(900), &mut receiving).await.is_err());
    assert!(breakers.acquire().now_or_never().is_none());
    assert!(timeout(Duration::from_millis(300), &mut receiving).await.is_err());
    drop(breakers.acquire().now_or_never().expect("the turn of another"));
    scene.queue.gives(Ok(delivery(job(), false)));
    let taken = timeout(SOON, receiving).await.unwrap().unwrap();
    assert!(breakers.acquire().now_or_never().is_none(), "one at a time");
    drop(taken.permits);
    assert!(breakers.acquire().now_or_never().is_some());
}
