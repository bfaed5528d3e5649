use std::time::Duration;

use breakers::Trouble;
use common::job::Step;
use common::service::Service;
use http_client::{Operation, RequestObserver, StatusClass};
use queue::{Settlement, StepSet};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::consume::consume;
use crate::fakes::queue::delivery;
use crate::fakes::{Scene, job};

const GRACE: Duration = Duration::from_secs(10);

/// Consumes until `then` has ended; returns how long the end took.
async fn consuming(scene: &Scene, then: impl Future<Output = ()>) -> Duration {
    let stop = CancellationToken::new();
    let stopping = async {
        then.await;
        stop.cancel();
        Instant::now()
    };
    let ((), stopped) = tokio::join!(consume(scene.environment.clone(), stop.clone(), GRACE), stopping);
    stopped.elapsed()
}

#[tokio::test(start_paused = true)]
async fn one_of_several_permits_is_for_submits_and_a_single_one_for_every_step() {
    for (permits, asked) in [(1, vec![StepSet::ALL]), (2, vec![StepSet::ALL, StepSet::SUBMIT])] {
        let scene = Scene::with_permits(Some(permits), |_| ());
        consuming(&scene, sleep(Duration::from_secs(1))).await;
        assert_eq!(*scene.queue.asked.lock().unwrap(), asked, "{permits}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_submits_are_held_for_each_upload_slot() {
    let scene = Scene::with_permits(Some(20), |settings| settings.uploads_in_flight = 3);
    let _slot = scene.imatag.busy().await;
    (0..9).for_each(|_| scene.queue.gives(Ok(delivery(job(), false))));
    consuming(&scene, async {
        sleep(Duration::from_secs(1)).await;
        assert_eq!(scene.portal.count("row"), 6);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn jobs_that_wait_are_begun_once_the_services_can_take_more() {
    let scene = Scene::with_permits(None, |settings| settings.uploads_in_flight = 100);
    let _slot = scene.imatag.busy().await;
    (0..100).for_each(|_| scene.queue.gives(Ok(delivery(job(), false))));
    let at_work =
        |jobs| scene.environment.metrics.render().contains(&format!("connector_jobs_in_flight {jobs}\n"));
    consuming(&scene, async {
        sleep(Duration::from_secs(10)).await;
        assert!(at_work(16));
        let concurrency = &scene.environment.concurrency;
        for _ in 0..1000 {
            concurrency.request_ended(Operation::Asset, StatusClass::Success, Duration::from_millis(200));
        }
        sleep(Duration::from_secs(2)).await;
        assert!(at_work(20));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_takes_no_further_job_and_sends_back_what_does_not_end_within_the_grace() {
    let scene = Scene::with_permits(Some(2), |_| ());
    let _slot = scene.imatag.busy().await;
    scene.queue.gives(Ok(delivery(job(), false)));
    let ended = consuming(&scene, sleep(Duration::from_secs(1))).await;
    assert_eq!(ended, Duration::from_secs(7), "the last seconds are for sending back");
    let Settlement::Wait { job: back, .. } = scene.queue.settlement() else { panic!() };
    assert_eq!((back.step, back.suspect), (Step::Submit, true));
    scene.queue.gives(Ok(delivery(job(), false)));
    assert_eq!(scene.queue.settled.lock().unwrap().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_out_is_probed_and_its_jobs_go_on_once_it_answers() {
    let scene = Scene::new();
    scene.environment.breakers.trip(Service::Bynder, Trouble::Outage, "503");
    scene.queue.gives(Ok(delivery(job(), false)));
    consuming(&scene, async {
        sleep(Duration::from_secs(1)).await;
        assert_eq!(scene.queue.asked.lock().unwrap().len(), 0);
        while scene.queue.settled.lock().unwrap().is_empty() {
            sleep(Duration::from_secs(1)).await;
        }
    })
    .await;
    assert_eq!(scene.portal.count("account"), 1);
}
