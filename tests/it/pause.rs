//! What begins, and what does not, once a person paused the work or a service went out.

use std::time::Duration;

use budget::Budget;
use bynder::Gate;
use common::job::{Job, Lane};
use queue::{JobConsumer, StepSet};
use sandbox::faults::{Action, Faults, Moment, Rule};
use serde_json::json;

use crate::broker_faults::{job, publish_once_more};
use crate::harness::broker::free_ports;
use crate::harness::fleet::Fleet;
use crate::harness::page::shows;
use crate::harness::scene::{every, unavailable};
use crate::harness::{Bench, assert_clean, is_protected, picture, quick, until, until_async};

const SYNC: [&str; 4] = ["sync", "--full", "--json", "--quiet"];

fn rule(endpoint: &str, skip: u64, times: Option<u64>, action: Action) -> Rule {
    Rule { endpoint: endpoint.to_owned(), probability: 1.0, skip, times, moment: Moment::Before, action }
}

fn slow(endpoint: &str, skip: u64, seconds: u64) -> Rule {
    rule(endpoint, skip, None, Action::Delay(Duration::from_secs(seconds)))
}

async fn library(pictures: u64, rules: Vec<Rule>) -> Bench {
    let bench = Bench::new(quick()).await;
    prepare(&bench, pictures, rules);
    bench
}

fn prepare(bench: &Bench, pictures: u64, rules: Vec<Rule>) {
    for number in 0..pictures {
        bench.sandbox.add_asset(picture(&format!("{number}.jpg"), number)).unwrap();
    }
    bench.set_request_timeout(10);
    bench.sandbox.set_faults(Faults { seed: 1, rules });
}

fn requests(bench: &Bench, endpoint: &str) -> u64 {
    bench.sandbox.stats().requests.get(endpoint).copied().unwrap_or_default()
}

fn protected(bench: &Bench) -> usize {
    bench.sandbox.audit().assets.iter().filter(|asset| is_protected(asset)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn on_one_machine_the_status_says_what_cannot_be_used_and_when_it_can_again() {
    let away = Action::Answer { status: 503, body: String::new(), content_type: "text/html".to_owned() };
    let bench = library(20, vec![rule("imatag.*", 0, None, away)]).await;
    let running = bench.spawn(&SYNC);
    until_async(async || {
        bench.run(&["status", "--json"]).await.summary()["services_out"] == json!(["imatag"])
    })
    .await;
    let status = bench.run(&["status"]).await;
    let line = status.out.lines().find(|line| line.starts_with("cannot be used"));
    assert_eq!(line.map(|line| line.split_whitespace().next_back()), Some(Some("imatag")), "{status:#?}");
    bench.sandbox.set_faults(Faults::default());
    until_async(async || bench.run(&["status", "--json"]).await.summary()["services_out"] == json!([])).await;
    let ended = running.wait_with_output().await.unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_watermark_is_paid_for_once_a_person_paused_the_work_not_for_a_file_in_hand_either() {
    let bench = library(4, vec![slow("imatag.submit", 0, 15)]).await;
    bench.set_request_timeout(20);
    bench.reconfigure("[imatag]\n", "[imatag]\nuploads_in_flight = 1\n");
    let running = bench.spawn(&SYNC);
    // One file is on its way, and the next one is fetched and waits for its place.
    until(|| requests(&bench, "imatag.submit") == 1 && requests(&bench, "bynder.download") == 2).await;
    bench.run(&["pause"]).await.assert_code(0);
    until_async(async || {
        let status = bench.run(&["status", "--json"]).await.assert_code(0).summary();
        status["queues"]["in_flight"] == 0
    })
    .await;
    assert_eq!(requests(&bench, "imatag.submit"), 1);
    bench.sandbox.set_faults(Faults::default());
    bench.run(&["resume"]).await.assert_code(0);
    let ended = running.wait_with_output().await.unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert_eq!(protected(&bench), 4);
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_waited_for_jobs_when_it_was_paused_begins_none_that_comes_after() {
    let fleet = Fleet::new(quick()).await;
    let _worker = fleet.worker();
    until(|| fleet.worker_logs().contains("at work")).await;
    fleet.bench.run(&["pause"]).await.assert_code(0);
    until(|| fleet.worker_logs().contains("paused by a person")).await;
    fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    fleet.publish().await.assert_code(0);
    // No event shows that a job was not begun.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(fleet.requests("bynder.download"), 0);
    fleet.bench.run(&["resume"]).await.assert_code(0);
    until(|| protected(&fleet.bench) == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_tried_out_with_whatever_is_left_to_do() {
    // Nothing is left to submit once the slow file is, so only one of the two lanes can try Bynder out.
    let refusal = Action::Answer { status: 401, body: String::new(), content_type: "text/plain".to_owned() };
    let rules = vec![slow("imatag.submit", 1, 3), rule("bynder.save", 0, Some(1), refusal)];
    let fleet = Fleet::new(quick()).await;
    prepare(&fleet.bench, 2, rules);
    fleet.bench.reconfigure("[worker]\n", "[worker]\nconcurrency = 2\n");
    let _worker = fleet.worker();
    fleet.sync().await.assert_code(0);
    assert!(fleet.worker_logs().contains("no further jobs are taken until a probe succeeds"));
    fleet.assert_all_is_well().await;
}

/// A worker that waits for jobs when something stops it takes a job that comes then, and gives it back as it was.
async fn gives_back_as_it_was(stopped: impl AsyncFnOnce(&Fleet, u16)) {
    let fleet = Fleet::new(quick()).await;
    let [port] = free_ports();
    let _worker = fleet.worker_with(&[("CONNECTOR_HTTP__LISTEN", format!("127.0.0.1:{port}"))]);
    until(|| fleet.worker_logs().contains("at work")).await;
    stopped(&fleet, port).await;
    let portal = Some(fleet.settings().portal);
    let job = Job { portal, ..job("1F0A9C2E-77B1-4D3C-9E5512AB34CD56EF") };
    publish_once_more(&fleet, &job).await;
    // No event shows that a job was not begun.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let queue = fleet.queue().await;
    let given_back = async {
        loop {
            let taken = queue.consumer.next(StepSet::ALL).await.unwrap();
            if taken.job.job_id == job.job_id {
                return taken;
            }
            // The job of the service that is out, which is delivered again as soon as it is dropped.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let given_back = tokio::time::timeout(Duration::from_secs(30), given_back).await.expect("it is kept");
    assert!(!given_back.redelivered, "it counts as lost by a worker");
    assert_eq!(given_back.job, job);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_comes_while_a_person_pauses_the_work_is_given_back_as_it_was() {
    gives_back_as_it_was(async |fleet, port| {
        fleet.bench.run(&["pause"]).await.assert_code(0);
        shows(port, "/metrics", "connector_paused{by=\"operator\"} 1").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_comes_while_a_429_silences_the_fleet_is_given_back_as_it_was() {
    gives_back_as_it_was(async |fleet, port| {
        let refused = Budget::of_group(4000.try_into().unwrap());
        let group = fleet.connection().await.egress_group();
        let _membership = group.join(&refused);
        refused.admit(Lane::Fresh, 1).await.unwrap();
        refused.refused();
        shows(port, "/metrics", "connector_paused{by=\"bynder\"} 1").await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_comes_while_a_service_is_out_is_given_back_as_it_was() {
    gives_back_as_it_was(async |fleet, _| {
        fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
        fleet.bench.sandbox.set_faults(every("imatag.*", Moment::Before, unavailable()));
        fleet.publish().await.assert_code(0);
        until(|| fleet.worker_logs().contains("no further jobs are taken")).await;
    })
    .await;
}
