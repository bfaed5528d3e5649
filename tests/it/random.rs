//! Everything at once, at random: workers killed, stopped and started, connections cut, the broker killed, services
//! failing, people at work. Seconds in every run of the tests; `CONNECTOR_RANDOM_MINUTES=10` for long, and
//! `CONNECTOR_RANDOM_SEED` to repeat a run.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use common::job::Lane;
use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sandbox::faults::{Faults, of_all_kinds};
use tokio::process::Child;

use crate::broker_faults::publish_once_more;
use crate::harness::broker::{Broker, url};
use crate::harness::fleet::{Fleet, ended, signal};
use crate::harness::proxy::Proxy;
use crate::harness::{assert_clean, is_protected, job_of, picture, quick, until};

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// One thing that goes wrong, or right again.
async fn happen(
    random: &mut StdRng,
    broker: &Broker,
    proxy: &Proxy,
    fleet: &Fleet,
    workers: &mut Vec<Child>,
) -> &'static str {
    let through = [("CONNECTOR_BROKER__URL", url(proxy.address()))];
    let chosen = random.random_range(0..workers.len().max(1));
    match random.random_range(0..12_u32) {
        0 | 1 if !workers.is_empty() => {
            workers.swap_remove(chosen).kill().await.unwrap();
            "a worker is killed"
        }
        2 if !workers.is_empty() => {
            let mut leaving = workers.swap_remove(chosen);
            signal(&leaving, Signal::SIGTERM);
            // One that was started just now does not listen for it yet, and ends like any program.
            let status = leaving.wait().await.unwrap();
            assert!(status.success() || status.signal() == Some(Signal::SIGTERM as i32), "{status}");
            "a worker is stopped"
        }
        3..=5 if workers.len() < 5 => {
            workers.push(if random.random() { fleet.worker_with(&through) } else { fleet.worker() });
            "a worker is started"
        }
        6 => {
            proxy.cut();
            "connections are cut"
        }
        7 => {
            broker.kill();
            broker.restart().await;
            "the broker is killed"
        }
        8 => {
            fleet.bench.sandbox.set_faults(of_all_kinds(random.random(), 0.02));
            "the services fail now and then"
        }
        9 => {
            fleet.bench.sandbox.set_faults(Faults::default());
            "the services are well"
        }
        10 => {
            let assets = fleet.bench.sandbox.audit().assets;
            let id = &assets[random.random_range(0..assets.len())].id;
            publish_once_more(fleet, &job_of(&format!("run {}", random.random::<u32>()), id, Lane::Backlog))
                .await;
            "an asset gets another job"
        }
        _ => {
            for seed in 0..random.random_range(1..15) {
                fleet.bench.sandbox.add_asset(picture("more.jpg", random.random::<u64>() ^ seed)).unwrap();
            }
            "people upload"
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_every_asset_ends_protected_once() {
    let seed = variable("CONNECTOR_RANDOM_SEED").unwrap_or_else(rand::random);
    let lasting = variable("CONNECTOR_RANDOM_MINUTES").map_or(Duration::from_secs(25), Duration::from_mins);
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let broker = Broker::start().await;
    let proxy = Proxy::start(broker.address()).await;
    let fleet = Fleet::on(&broker.url(), quick()).await;
    for number in 0..60 {
        fleet.bench.sandbox.add_asset(picture("one.jpg", number)).unwrap();
    }
    fleet.bench.reconfigure("[producer]\n", "[producer]\nevery = '2s'\n");
    let producer = fleet.producer(&["sync", "--full", "--quiet"]);
    let mut workers = vec![fleet.worker(), fleet.worker()];
    let start = Instant::now();
    while start.elapsed() < lasting {
        let what = happen(&mut random, &broker, &proxy, &fleet, &mut workers).await;
        println!("{:>6.1} s: {what}", start.elapsed().as_secs_f64());
        workers.retain_mut(|worker| worker.try_wait().unwrap().is_none());
        // The time between two events is random as well.
        tokio::time::sleep(Duration::from_millis(random.random_range(100..2500))).await;
    }
    fleet.bench.sandbox.set_faults(Faults::default());
    workers.push(fleet.worker());
    until(|| fleet.bench.sandbox.audit().assets.iter().all(is_protected)).await;
    signal(&producer, Signal::SIGTERM);
    ended(producer).await.assert_code(0);
    assert_clean(&fleet.bench.sandbox.audit());
    let doubled: Vec<_> =
        fleet.bench.sandbox.audit().assets.into_iter().filter(|asset| asset.media != 1).collect();
    assert!(doubled.is_empty(), "{doubled:#?}");
}
