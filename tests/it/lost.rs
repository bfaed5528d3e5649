//! Jobs that are lost with the broker's volume, and a record that is older than the library: nothing is forgotten, and
//! nothing is done twice.

use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ledger::Ledger;
use ledger::state::State;
use nix::sys::signal::Signal;
use sandbox::NewAsset;
use sandbox::faults::Faults;
use tokio::process::Child;

use crate::harness::broker::Broker;
use crate::harness::fleet::{Fleet, ended, signal};
use crate::harness::scene::slow;
use crate::harness::{Bench, assert_clean, is_protected, picture, quick, until, until_async};

/// Assets of yesterday: a run over what changed lately does not list them.
fn fill(bench: &Bench, seeds: std::ops::Range<u64>) {
    let created = Timestamp::now() - SignedDuration::from_hours(24);
    for seed in seeds {
        bench.sandbox.add_asset(NewAsset { created, ..picture(&format!("{seed}.jpg"), seed) }).unwrap();
    }
}

fn protected(bench: &Bench) -> usize {
    bench.sandbox.audit().assets.iter().filter(|asset| is_protected(asset)).count()
}

/// A producer that goes over what changed, every second.
fn scheduled(fleet: &Fleet) -> Child {
    fleet.producer_with(&["--quiet"], &[("CONNECTOR_PRODUCER__EVERY", "1s".to_owned())])
}

async fn stopped(producer: Child) {
    signal(&producer, Signal::SIGTERM);
    ended(producer).await.assert_code(0);
}

/// Whether every job in the ledger has an outcome, or an asset that was decided on without it.
async fn is_settled(state: &Path) -> bool {
    let ledger = Ledger::new(State::open_to_read(state).unwrap().unwrap());
    !ledger.has_open().await.unwrap() && ledger.lost_jobs(None, 1).await.unwrap().is_empty()
}

fn assert_done_once(bench: &Bench) {
    let audit = bench.sandbox.audit();
    assert_clean(&audit);
    for asset in &audit.assets {
        assert!(is_protected(asset) && asset.media == 1, "{asset:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_protected_by_delta_runs_alone_although_the_broker_lost_its_volume_twice() {
    let broker = Broker::start().await;
    let fleet = Fleet::on(&broker.url(), quick()).await;
    fill(&fleet.bench, 0..60);
    fleet.bench.reconfigure("lost_after = '90s'", "lost_after = '3s'");
    fleet.bench.set_request_timeout(5);
    fleet.publish().await.assert_code(0);
    fleet.bench.sandbox.set_faults(slow("imatag.submit", Duration::from_millis(300)));
    let few = [("CONNECTOR_WORKER__CONCURRENCY", "2".to_owned())];
    let _workers = [fleet.worker_with(&few), fleet.worker_with(&few)];
    let producer = scheduled(&fleet);
    for done in [10, 25] {
        until(|| protected(&fleet.bench) >= done).await;
        broker.lose_volume().await;
        assert!(protected(&fleet.bench) < 55, "next to nothing was lost; this proves nothing");
    }
    until(|| protected(&fleet.bench) == 60).await;
    fleet.bench.sandbox.set_faults(Faults::default());
    until_async(async || is_settled(&fleet.bench.path("state")).await).await;
    stopped(producer).await;
    assert_done_once(&fleet.bench);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten().filter(|entry| entry.path().is_file()) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn restore(from: &Path, to: &Path) {
    std::fs::remove_dir_all(to).unwrap();
    copy(from, to);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_whose_state_is_yesterdays_copy_forgets_nothing_and_does_nothing_twice() {
    let fleet = Fleet::new(quick()).await;
    fill(&fleet.bench, 0..10);
    fleet.bench.reconfigure("lost_after = '90s'", "lost_after = '3s'");
    fleet.publish().await.assert_code(0);
    let (state, yesterday) = (fleet.bench.path("state"), fleet.bench.path("yesterday"));
    copy(&state, &yesterday);
    let _worker = fleet.worker();
    fill(&fleet.bench, 10..15);
    fleet.sync().await.assert_code(0);
    until(|| protected(&fleet.bench) == 15).await;
    // These are in the queue, and the copy knows nothing of them.
    fleet.bench.sandbox.set_faults(slow("imatag.submit", Duration::from_secs(1)));
    fill(&fleet.bench, 15..20);
    fleet.publish().await.assert_code(0);
    restore(&yesterday, &state);
    let producer = scheduled(&fleet);
    let late = fleet.bench.sandbox.add_asset(picture("late.jpg", 99)).unwrap();
    until(|| is_protected(&fleet.bench.asset(&late)) && protected(&fleet.bench) == 21).await;
    until_async(async || is_settled(&state).await).await;
    stopped(producer).await;
    assert_done_once(&fleet.bench);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_whose_state_is_yesterdays_copy_forgets_nothing_and_does_nothing_twice() {
    let bench = Bench::new(quick()).await;
    fill(&bench, 0..20);
    bench.sandbox.set_faults(slow("imatag.submit", Duration::from_millis(300)));
    let mut running = bench.spawn(&["sync", "--full", "--quiet"]);
    until(|| protected(&bench) > 3).await;
    running.kill().await.unwrap();
    let (state, yesterday) = (bench.path("state"), bench.path("yesterday"));
    copy(&state, &yesterday);
    fill(&bench, 20..25);
    bench.sync().await.assert_code(0);
    assert_eq!(protected(&bench), 25);
    restore(&yesterday, &state);
    fill(&bench, 25..30);
    bench.sync().await.assert_code(0);
    assert!(is_settled(&state).await);
    assert_done_once(&bench);
}
