//! An answer of the broker that comes later than it is waited for, or not at all, leaves nothing behind and holds up no stop.

use std::time::Duration;

use budget::Budget;
use bynder::Gate;
use common::job::Lane;
use ledger::Ledger;
use ledger::state::State;
use nix::sys::signal::Signal;
use queue::{JobConsumer, JobPublisher, StepSet};
use rabbitmq::{self, Settings};

use crate::broker_faults::job;
use crate::harness::broker::{Broker, url};
use crate::harness::fleet::{Fleet, signal};
use crate::harness::proxy::Proxy;
use crate::harness::{quick, until, until_async};
use crate::queue::{PATIENCE, settings};

/// A proxy, and one process that reaches the broker through it, and one that reaches it directly.
async fn two_processes(name: &str) -> (Proxy, Settings, [rabbitmq::Broker; 2]) {
    let proxy = Proxy::start(Broker::shared().await.address()).await;
    let direct = settings(name.to_owned()).await;
    let through = Settings { url: url(proxy.address()).into(), ..direct.clone() };
    let open = async |settings| rabbitmq::Broker::open(settings, PATIENCE).await.unwrap();
    let both = [open(&through).await, open(&direct).await];
    (proxy, direct, both)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_was_given_up_takes_no_message() {
    let (proxy, settings, [late, other]) = two_processes("late").await;
    let directory = tempfile::tempdir().unwrap();
    let publisher = other.publisher(Ledger::new(State::open(directory.path()).unwrap()));
    proxy.silence_server_at_consuming(&format!("{}.submit.backlog", settings.prefix));
    let consumer = late.consumer();
    assert!(consumer.next(StepSet::ALL).await.is_err());
    proxy.silence_server(false);
    publisher.publish(&job("A1")).await.unwrap();
    let other = other.consumer();
    let taken = tokio::time::timeout(PATIENCE, other.next(StepSet::ALL)).await;
    assert!(!taken.expect("nobody reads what took it").unwrap().redelivered);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_is_made_only_while_the_process_stops_makes_no_job_suspect() {
    let (proxy, settings, [late, other]) = two_processes("stopping").await;
    let directory = tempfile::tempdir().unwrap();
    let publisher = other.publisher(Ledger::new(State::open(directory.path()).unwrap()));
    publisher.publish(&job("A1")).await.unwrap();
    proxy.silence_server_at_consuming(&format!("{}.submit.backlog", settings.prefix));
    let consumer = late.consumer();
    {
        let next = consumer.next(StepSet::ALL);
        tokio::pin!(next);
        tokio::select! {
            _ = &mut next => panic!("the broker has not said a word"),
            () = proxy.is_silent() => {}
        }
    }
    until_async(async || publisher.depth().await.is_ok_and(|depth| depth.submit_backlog == 0)).await;
    // The process stops in this moment: its first step comes before the broker's answer.
    tokio::join!(biased; consumer.close(), async { proxy.silence_server(false) });
    drop((consumer, late));
    let other = other.consumer();
    let taken = tokio::time::timeout(PATIENCE, other.next(StepSet::ALL)).await;
    assert!(!taken.expect("nobody sends it back").unwrap().redelivered, "it counts as lost by a worker");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_stopped_does_not_wait_for_a_broker_that_is_away() {
    let broker = Broker::start().await;
    let fleet = Fleet::on(&broker.url(), quick()).await;
    let mut worker = fleet.worker();
    until(|| fleet.worker_logs().contains("at work")).await;
    broker.kill();
    until(|| fleet.worker_logs().contains("the connection to the broker is lost")).await;
    signal(&worker, Signal::SIGTERM);
    // Shorter than any wait for a connection.
    let ended = tokio::time::timeout(Duration::from_secs(20), worker.wait()).await;
    assert!(ended.expect("it waits for the broker").unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_election_that_was_given_up_keeps_nobody_from_minting() {
    let (proxy, settings, [late, other]) = two_processes("late-minter").await;
    let budgets = [(); 2].map(|()| Budget::of_group(4000.try_into().unwrap()));
    let _memberships = [late.egress_group().join(&budgets[0]), other.egress_group().join(&budgets[1])];
    proxy.silence_server_at_consuming(&format!("connector.minter.{}", settings.egress_group));
    let asking = budgets[0].clone();
    let _asking = tokio::spawn(async move { asking.admit(Lane::Fresh, 1).await });
    proxy.is_silent().await;
    // Longer than an answer is waited for, and shorter than a connection lives.
    tokio::time::sleep(Duration::from_secs(13)).await;
    proxy.silence_server(false);
    let admitted = tokio::time::timeout(PATIENCE, budgets[1].admit(Lane::Fresh, 1)).await;
    admitted.expect("nobody mints").unwrap();
}
