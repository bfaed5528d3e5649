//! Each watermark is paid for: what a run and a day may bring holds whoever dies, and however often it is tried.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::harness::fleet::{Fleet, ended, signal};
use crate::harness::{Bench, assert_clean, is_protected, picture, quick, until};
use nix::sys::signal::Signal;

/// Media at Imatag: what was paid.
fn paid(bench: &Bench) -> u64 {
    bench.sandbox.audit().assets.iter().map(|asset| asset.media as u64).sum()
}

/// A day is one of the real clock, so what would run over midnight waits for it.
async fn away_from_midnight() {
    const LONGEST_TEST: u64 = 180;
    const DAY: u64 = 24 * 60 * 60;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let left = DAY - now % DAY;
    if left < LONGEST_TEST {
        tokio::time::sleep(Duration::from_secs(left)).await;
    }
}

fn fill(bench: &Bench, pictures: u64) -> Vec<String> {
    let add = |number| bench.sandbox.add_asset(picture(&format!("{number}.jpg"), number)).unwrap();
    (0..pictures).map(add).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_ends_the_run_with_its_exit_code_and_its_name_and_the_next_goes_on() {
    let bench = Bench::new(quick()).await;
    away_from_midnight().await;
    fill(&bench, 6);
    bench.configure("[limits]\nassets_per_run = 2\nassets_per_day = 3");
    let run = "limits.assets_per_run = 2; the next run continues";
    let day = "limits.assets_per_day = 3; runs continue after midnight, UTC";
    for (published, words) in [(2, run), (1, day), (0, day)] {
        let ran = bench.sync().await;
        assert_eq!(ran.assert_code(8).summary()["published"], published, "{ran:#?}");
        assert!(ran.talk.contains(words), "{ran:#?}");
    }
    assert_eq!(paid(&bench), 3);
    let plan = bench.run(&["plan", "--full", "--json"]).await;
    let plan = plan.assert_code(0).summary();
    assert_eq!((&plan["selected"], &plan["limit_reached"]), (&0.into(), &true.into()));
    bench.configure("[limits]\nassets_per_run = 2");
    let ran = bench.run(&["sync", "--full", "--max-assets", "1", "--quiet"]).await;
    assert!(ran.assert_code(8).talk.contains("--max-assets = 1; the next run continues"), "{ran:#?}");
    bench.sync().await.assert_code(0);
    assert!(bench.sandbox.audit().assets.iter().all(is_protected));
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_dies_again_and_again_publishes_no_more_than_the_day_allows() {
    let fleet = Fleet::new(quick()).await;
    away_from_midnight().await;
    fill(&fleet.bench, 8);
    fleet.configure("[limits]\nassets_per_day = 3");
    let _workers = [fleet.worker(), fleet.worker()];
    let mut deaths = 0;
    for point in (3..).step_by(3) {
        let variables = [("CONNECTOR_CRASH_AT", format!("{point}"))];
        let mut producer = fleet.producer_with(&["sync", "--full", "--quiet"], &variables);
        match producer.wait().await.unwrap().code() {
            None => deaths += 1,
            code => {
                assert_eq!(code, Some(8));
                break;
            }
        }
    }
    assert!(deaths > 3, "only {deaths} deaths");
    let ran = fleet.sync().await;
    assert_eq!(ran.assert_code(8).summary()["published"], 0, "{ran:#?}");
    until(|| fleet.bench.sandbox.audit().assets.iter().filter(|asset| is_protected(asset)).count() == 3)
        .await;
    fleet.sync().await.assert_code(8);
    assert_eq!(paid(&fleet.bench), 3);
    assert_clean(&fleet.bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_walk_that_a_limit_ended_goes_on_at_the_next_time() {
    let fleet = Fleet::new(quick()).await;
    fill(&fleet.bench, 5);
    fleet.configure("[limits]\nassets_per_run = 2");
    fleet.bench.reconfigure("[producer]\n", "[producer]\nevery = '1s'\n");
    let _worker = fleet.worker();
    let producer = fleet.producer(&["sync", "--full", "--json", "--quiet"]);
    until(|| fleet.bench.sandbox.audit().assets.iter().all(is_protected)).await;
    signal(&producer, Signal::SIGTERM);
    ended(producer).await.assert_code(0);
    assert_clean(&fleet.bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_pays_for_what_was_never_paid_and_for_nothing_twice() {
    let bench = Bench::new(quick()).await;
    away_from_midnight().await;
    let ids = fill(&bench, 2);
    let note = |marker: &str| {
        let edit = sandbox::Edit { marker: Some(marker.to_owned()), ..sandbox::Edit::default() };
        bench.sandbox.edit(&ids[0], edit).unwrap();
    };
    // One fails before it is paid for, the other after; both were counted when they were published.
    note("see ticket 4711");
    bench.until_listed().await;
    let settings = "[limits]\nassets_per_day = 2";
    bench.configure(settings);
    bench.reconfigure("request_timeout = '1s'", "request_timeout = '1s'\nlongest_wait = '1ms'");
    let ran = bench.sync().await;
    assert_eq!(ran.assert_code(6).summary()["failed"], 2, "{ran:#?}");
    assert_eq!(paid(&bench), 1);
    note("");
    bench.configure(settings);
    bench.run(&["failed", "replay", "--yes"]).await.assert_code(0);
    bench.sync().await.assert_code(0);
    assert!(bench.sandbox.audit().assets.iter().all(is_protected));
    assert_eq!(paid(&bench), 2);
    fill(&bench, 1);
    bench.until_listed().await;
    assert_eq!(bench.sync().await.assert_code(8).summary()["published"], 0);
    assert_clean(&bench.sandbox.audit());
}
