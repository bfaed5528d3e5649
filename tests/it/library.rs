//! How much of the library is protected: counted by each walk over all of it, and shown from then on.

use sample_files::{Format, file};
use sandbox::{NewAsset, Options};

use ledger::Ledger;
use ledger::state::State;

use crate::harness::scrape::Scrape;
use crate::harness::serving::{Serving, stop};
use crate::harness::{Bench, picture, quick};

/// What a scrape says of the library, by state, and when it was counted.
fn counted(scrape: &Scrape) -> (Vec<(String, u64)>, u64) {
    let series = "connector_library_assets{state=\"";
    let states = scrape.text.lines().filter_map(|line| line.strip_prefix(series)?.split_once("\"} "));
    let states = states.map(|(state, count)| (state.to_owned(), count.parse().unwrap()));
    (states.collect(), scrape.total("connector_library_timestamp_seconds").cast_unsigned())
}

async fn until_counted(serving: &Serving, wanted: &[(&str, u64)]) -> u64 {
    let wanted: Vec<_> = wanted.iter().map(|(state, count)| ((*state).to_owned(), *count)).collect();
    loop {
        let scrape = Scrape::of(serving.port).await;
        let (found, at) = counted(&scrape);
        if found == wanted {
            return at;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_is_counted_by_a_whole_walk_alone_and_the_count_outlives_the_process() {
    let serving = Serving::new(quick()).await;
    let bench = &serving.bench;
    let names = "[filters]\nnames = ['p*']\n";
    bench.reconfigure("[queue]\n", &format!("{names}[queue]\n"));
    let opted_out = NewAsset { marker: Some("opted-out; ".to_owned()), ..picture("p3.jpg", 3) };
    let without_file = NewAsset { file: None, ..NewAsset::new("p4.jpg", Vec::new()) };
    let unlisted = NewAsset::new("p5.wav", file(Format::Wav, 1, 0, 0));
    let others = [picture("p1.jpg", 1), picture("p2.jpg", 2), picture("q.jpg", 4)];
    for asset in others.into_iter().chain([opted_out, without_file, unlisted]) {
        bench.sandbox.add_asset(asset).unwrap();
    }
    let running = serving.start(&[], &[]);
    serving.until_answered("/readyz", "first run").await;
    assert_eq!(counted(&Scrape::of(serving.port).await), (Vec::new(), 0), "nothing was counted yet");
    stop(running).await;

    let running = serving.start(&["--full"], &[]);
    let states = |filtered_out, unsupported| {
        let before = [("failed", 1), ("filtered_out", filtered_out), ("opted_out", 1), ("protected", 2)];
        [&before[..], &[("unprotected", 0), ("unsupported", unsupported)]].concat()
    };
    let at = until_counted(&serving, &states(1, 1)).await;
    stop(running).await;
    let running = serving.start(&[], &[]);
    assert_eq!(until_counted(&serving, &states(1, 1)).await, at, "it is not counted again");
    stop(running).await;

    // What Bynder itself leaves out is not listed.
    bench.reconfigure(names, &format!("{names}types = ['image']\n"));
    let running = serving.start(&["--full"], &[]);
    assert!(until_counted(&serving, &states(2, 0)).await >= at);
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_asset_is_counted_once_however_often_the_walk_is_interrupted() {
    const ARCHIVE: u64 = 2100;
    let bench = Bench::new(Options { archive: ARCHIVE, ..quick() }).await;
    for number in 0..3 {
        bench.sandbox.add_asset(picture("new.jpg", number)).unwrap();
    }
    let mut deaths = 0;
    for point in (4..).step_by(4) {
        let crash = [("CONNECTOR_CRASH_AT", format!("{point}"))];
        let ran = bench.run_with(&["sync", "--full", "--quiet"], &crash).await;
        if ran.code.is_some() {
            ran.assert_code(0);
            break;
        }
        deaths += 1;
    }
    assert!(deaths > 3, "only {deaths} deaths");
    let state = State::open_to_read(&bench.path("state")).unwrap().unwrap();
    let counts = Ledger::new(state).library().await.unwrap().unwrap().counts;
    // A job of an earlier run may have been open.
    let assets = counts.protected + counts.unprotected;
    assert_eq!((assets, counts.total()), (ARCHIVE + 3, ARCHIVE + 3), "{counts:?}");
    assert!(counts.protected >= ARCHIVE, "{counts:?}");
}
