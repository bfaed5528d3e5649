//! What the command line narrows once stands for nothing else: the rest of the library is not forgotten.

use crate::harness::fleet::{Fleet, ended};
use crate::harness::{Bench, assert_clean, is_protected, picture, quick, until_async};

/// A library of three pictures that nobody has run over yet.
async fn library() -> (Bench, Vec<String>) {
    let bench = Bench::new(quick()).await;
    let ids = fill(&bench);
    (bench, ids)
}

fn fill(bench: &Bench) -> Vec<String> {
    (0..3).map(|number| bench.sandbox.add_asset(picture(&format!("{number}.jpg"), number)).unwrap()).collect()
}

fn protected(bench: &Bench) -> usize {
    bench.sandbox.audit().assets.iter().filter(|asset| is_protected(asset)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_over_a_part_is_no_first_run_and_leaves_the_rest_to_be_found() {
    let (bench, _) = library().await;
    bench.run(&["sync", "--full", "--filter", "names=1*", "--quiet"]).await.assert_code(0);
    assert_eq!(protected(&bench), 1);
    let asked = bench.run(&["sync"]).await;
    assert!(asked.assert_code(8).talk.contains("first run over this library"), "{asked:#?}");
    bench.sync().await.assert_code(0);
    assert_eq!(protected(&bench), 3);
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_outside_the_part_that_a_run_went_over_is_found_by_the_next() {
    let (bench, ids) = library().await;
    bench.reconfigure("[producer]\n", "[producer]\noverlap = '50ms'\n");
    bench.sync().await.assert_code(0);
    bench.sandbox.new_version(&ids[2], &sandbox::NewVersion::default()).unwrap().unwrap();
    bench.until_listed().await;
    bench.run(&["sync", "--filter", "names=0*", "--quiet"]).await.assert_code(0);
    assert_eq!(protected(&bench), 2);
    bench.run(&["sync", "--quiet"]).await.assert_code(0);
    assert_eq!(protected(&bench), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_from_a_later_time_leaves_the_gap_before_it_to_the_next_run() {
    let (bench, ids) = library().await;
    bench.reconfigure("[producer]\n", "[producer]\noverlap = '50ms'\n");
    bench.sync().await.assert_code(0);
    // The listing's dates are whole seconds.
    bench.until_listed().await;
    bench.sandbox.new_version(&ids[2], &sandbox::NewVersion::default()).unwrap().unwrap();
    bench.until_listed().await;
    let cursor = async || bench.run(&["state", "show", "--json"]).await.summary()["cursor"].clone();
    let before = cursor().await;
    let later = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(5)).to_string();
    let ran = bench.run(&["sync", "--since", &later, "--quiet"]).await;
    assert!(ran.assert_code(0).talk.contains("the cursor stays where it is"), "{ran:#?}");
    assert_eq!((protected(&bench), cursor().await), (2, before.clone()));
    bench.run(&["sync", "--quiet"]).await.assert_code(0);
    assert_eq!(protected(&bench), 3);
    // It moves by whole seconds, and stays a second behind the answer.
    let moved = async || {
        bench.run(&["sync", "--quiet"]).await.assert_code(0);
        cursor().await != before
    };
    until_async(moved).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_that_are_named_are_gone_over_whenever_they_changed_and_those_that_do_not_come_are_told() {
    let (bench, ids) = library().await;
    let unknown = "00000000-0000-0000-0000-00000000ABCD";
    std::fs::write(bench.path("ids.txt"), format!("\u{feff}{}\n# a remark\n{unknown}\n", ids[0])).unwrap();
    let (file, empty) = (bench.path("ids.txt"), bench.path("empty.txt"));
    let named = bench.run(&["sync", "--ids-from", file.to_str().unwrap(), "--quiet"]).await;
    named.assert_code(0);
    assert!(named.talk.contains(unknown) && named.talk.contains("were not found"), "{named:#?}");
    assert_eq!(protected(&bench), 1);
    std::fs::write(&empty, "# nobody\n").unwrap();
    let nobody = bench.run(&["sync", "--full", "--ids-from", empty.to_str().unwrap()]).await;
    assert!(nobody.assert_code(2).talk.contains("names no asset"), "{nobody:#?}");
    assert_eq!(protected(&bench), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_ids_than_a_configuration_may_be_long_are_covered_and_do_not_grow_the_state() {
    const MANY: u64 = 120_000;
    let (bench, ids) = library().await;
    let unknown = (0..MANY).map(|n| format!("{n:08X}-0000-0000-{n:016X}\n"));
    let (file, first) = (bench.path("ids.txt"), format!("{}\n", ids[0]));
    std::fs::write(&file, unknown.chain([first]).collect::<String>()).unwrap();
    assert!(file.metadata().unwrap().len() > 4 << 20, "a configuration may be as long");
    let named = bench.run(&["sync", "--ids-from", file.to_str().unwrap(), "--quiet"]).await;
    assert!(named.assert_code(0).talk.contains(&format!("count={MANY}")), "{named:#?}");
    assert_eq!(protected(&bench), 1);
    // The run's row is written anew after each page.
    let state = bench.path("state").join("connector.sqlite");
    assert!(state.metadata().unwrap().len() < 1 << 20, "{}", state.metadata().unwrap().len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_producers_filters_hold_for_every_run() {
    let fleet = Fleet::new(quick()).await;
    for number in 0..2 {
        fleet.bench.sandbox.add_asset(picture(&format!("{number}.jpg"), number)).unwrap();
    }
    let _worker = fleet.worker();
    let scheduled = [("CONNECTOR_PRODUCER__EVERY", "1s".to_owned())];
    let arguments = ["sync", "--full", "--filter", "names=*.jpg", "--quiet"];
    let producer = fleet.producer_with(&arguments, &scheduled);
    crate::harness::until(|| protected(&fleet.bench) == 2).await;
    let late = fleet.bench.sandbox.add_asset(picture("2.jpg", 2)).unwrap();
    crate::harness::until(|| is_protected(&fleet.bench.asset(&late))).await;
    crate::harness::fleet::signal(&producer, nix::sys::signal::Signal::SIGTERM);
    ended(producer).await.assert_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_of_a_part_leaves_what_is_on_record_of_the_whole() {
    let (bench, _) = library().await;
    bench.sync().await.assert_code(0);
    bench.until_listed().await;
    let whole = bench.run(&["verify", "--json"]).await.assert_code(0).summary();
    let part = bench.run(&["verify", "--filter", "types=video", "--json"]).await;
    assert_eq!(part.assert_code(0).summary()["protected"], 0);
    assert!(part.talk.contains("not recorded"), "{part:#?}");
    assert_eq!(bench.run(&["status", "--json"]).await.summary()["last_verification"], whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_goes_by_no_variable_that_is_meant_for_a_real_library() {
    let (bench, _) = library().await;
    let elsewhere = [
        ("CONNECTOR_BYNDER__DOMAIN", bench.sandbox.announcement().bynder),
        ("CONNECTOR_BYNDER__API_TOKEN", bench.sandbox.announcement().token),
        ("CONNECTOR_LIMITS__ASSETS_PER_RUN", "2".to_owned()),
    ];
    bench.run_with(&["demo", "--assets", "10", "--json", "--quiet"], &elsewhere).await.assert_code(0);
    assert_eq!((protected(&bench), bench.sandbox.stats().portal_calls), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_record_of_another_portal_is_refused_until_it_is_reset() {
    let (bench, _) = library().await;
    bench.sync().await.assert_code(0);
    let other = bench.second(quick()).await;
    fill(&other);
    let [here, there] = [&bench, &other].map(|bench| bench.sandbox.announcement());
    let settings = |bench: &Bench| std::fs::read_to_string(bench.path("connector.toml")).unwrap();
    std::fs::write(
        other.path("connector.toml"),
        settings(&other)
            .replace(other.path("state").to_str().unwrap(), bench.path("state").to_str().unwrap()),
    )
    .unwrap();
    for command in [&["sync"][..], &["sync", "--full"]] {
        let refused = other.run(command).await;
        assert!(refused.assert_code(3).talk.contains(&here.bynder), "{refused:#?}");
        assert!(refused.talk.contains(&there.bynder) && refused.talk.contains("state reset"), "{refused:#?}");
    }
    assert_eq!(protected(&other), 0);
    other.run(&["state", "reset"]).await.assert_code(0);
    // The sandboxes give their assets the same ids, so that what the ledger knows of one library seems done in the other.
    other.sync().await.assert_code(0);
    assert_clean(&other.sandbox.audit());
}
