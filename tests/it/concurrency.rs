//! The steps at once follow the services, within the configured bound.

use std::time::Duration;

use sandbox::faults::{Action, Faults};

use crate::harness::scene::{rule, slow};
use crate::harness::serving::Serving;
use crate::harness::{assert_clean, is_protected, picture, quick, until};

/// More uploads at once than permits, so that only permits limit them.
const MANY_UPLOADS: &str = "[imatag]\nuploads_in_flight = 100\n";

#[tokio::test(flavor = "multi_thread")]
async fn slow_services_get_more_jobs_at_once_than_a_worker_begins_with() {
    let serving = Serving::new(quick()).await;
    let bench = &serving.bench;
    bench.reconfigure("[imatag]\n", MANY_UPLOADS);
    bench.set_request_timeout(30);
    for seed in 0..600 {
        bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap();
    }
    let delays = [("imatag.submit", 2000), ("*", 200)].map(|(endpoint, milliseconds)| {
        rule(endpoint, None, Action::Delay(Duration::from_millis(milliseconds)))
    });
    bench.sandbox.set_faults(Faults { seed: 1, rules: delays.to_vec() });
    let _serve = serving.start(&["--full"], &[]);
    serving.until_answered("/metrics", "connector_worker_slots 16\n").await;
    until(|| bench.sandbox.stats().most_submits_at_once > 16).await;
    serving.until_answered("/metrics", "connector_worker_slots 64\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_jobs_are_begun_at_once_than_configured() {
    let serving = Serving::new(quick()).await;
    let bench = &serving.bench;
    bench.reconfigure("[imatag]\n", MANY_UPLOADS);
    bench.reconfigure("[worker]\n", "[worker]\nconcurrency = 2\n");
    bench.set_request_timeout(30);
    let assets: Vec<_> =
        (0..30).map(|seed| bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap()).collect();
    bench.sandbox.set_faults(slow("imatag.submit", Duration::from_millis(300)));
    let _serve = serving.start(&["--full"], &[]);
    serving.until_answered("/metrics", "connector_worker_slots 2\n").await;
    until(|| assets.iter().all(|id| is_protected(&bench.asset(id)))).await;
    assert!((1..=2).contains(&bench.sandbox.stats().most_submits_at_once));
    assert_clean(&bench.sandbox.audit());
}
