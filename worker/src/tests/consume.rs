use std::time::Duration;

use breakers::Trouble;
use common::job::Step;
use common::service::Service;
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
    for (concurrency, asked) in [(1, vec![StepSet::ALL]), (2, vec![StepSet::ALL, StepSet::SUBMIT])] {
        let scene = Scene::with(|settings| settings.concurrency = concurrency);
        consuming(&scene, sleep(Duration::from_secs(1))).await;
        assert_eq!(*scene.queue.asked.lock().unwrap(), asked, "{concurrency}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_submits_are_held_for_each_upload_slot() {
    let scene = Scene::with(|settings| (settings.concurrency, settings.uploads_in_flight) = (20, 3));
    let _slot = scene.imatag.busy().await;
    (0..9).for_each(|_| scene.queue.gives(Ok(delivery(job(), false))));
    consuming(&scene, async {
        sleep(Duration::from_secs(1)).await;
        assert_eq!(scene.portal.count("row"), 6);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_takes_no_further_job_and_sends_back_what_does_not_end_within_the_grace() {
    let scene = Scene::with(|settings| settings.concurrency = 2);
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
