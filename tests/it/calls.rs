//! What an asset costs of Bynder's request limit, counted by the sandbox and held against the documented table.

use std::collections::BTreeMap;

use crate::harness::{Bench, assert_clean, picture, quick};

const PICTURES: u64 = 150;
const TABLE: &str = include_str!("../../docs/budget.md");
/// Requests elsewhere that each asset of one part costs once, whatever the mode; `imatag.status` once more for each time
/// that its watermark is not ready.
const ELSEWHERE: [&str; 7] = [
    "s3.file",
    "imatag.find",
    "imatag.submit",
    "imatag.status",
    "imatag.download",
    "imatag.storage",
    "s3.part",
];

/// The documented calls an asset, by the sandbox's name for them; `None` for those that many assets share. `heading` is
/// what the table begins with, `column` where the count stands.
fn documented(heading: &str, column: usize) -> BTreeMap<&'static str, Option<u64>> {
    let table = &TABLE[TABLE.find(heading).unwrap()..];
    let rows = table.lines().skip(2).map_while(|line| line.strip_prefix("| `bynder."));
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let count = cells[column].split(':').next().unwrap_or_default();
        (cells[0].trim_end_matches('`'), count.parse().ok())
    })
    .collect()
}

/// Fails unless these assets cost Imatag and storage the documented requests, and no others.
fn assert_elsewhere(bench: &Bench, assets: u64) {
    let mut requests = bench.sandbox.stats().requests;
    requests.retain(|name, _| !name.starts_with("bynder."));
    let status = requests.get_mut("imatag.status").unwrap();
    assert!((assets..=2 * assets).contains(status), "{status} looks for {assets} watermarks");
    *status = assets;
    assert_eq!(requests, ELSEWHERE.map(|name| (name.to_owned(), assets)).into());
    let page = include_str!("../../docs/performance.md");
    for name in ELSEWHERE {
        assert!(page.contains(&format!("`{name}`")), "the page has no {name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_that_goes_elsewhere_costs_the_documented_calls() {
    for (mode, column, most) in [("copy", 1, 19), ("additional", 2, 13)] {
        let bench = Bench::new(quick()).await;
        bench.set_mode(mode);
        // A call that is made again because the machine was busy would be one too many.
        bench.set_request_timeout(15);
        for number in 0..40 {
            bench.sandbox.add_asset(picture(&format!("{number}.jpg"), number)).unwrap();
        }
        bench.sync().await.assert_code(0);
        assert_clean(&bench.sandbox.audit());
        assert_elsewhere(&bench, 40);
        let (made, documented) = (calls(&bench), documented("| call | copy |", column));
        assert_eq!(documented.len(), 7, "{documented:?}");
        for (call, each) in documented {
            let (made, each) = (made.get(call).copied().unwrap_or_default(), each.unwrap());
            // Jobs that saved before the process knew that its saves show look once more; so does the first submit.
            let unsure = if (mode, call) == ("additional", "asset") { 17 } else { 0 };
            assert!((each * 40..=each * 40 + unsure).contains(&made), "{mode}: {made} of bynder.{call}");
        }
        let all: u64 = made
            .iter()
            .filter(|(call, _)| !["list", "poll"].contains(&call.as_str()))
            .map(|(_, count)| count)
            .sum();
        assert!(2 * all <= most * 40 + 32, "{mode}: {all} calls for 40 assets: {made:?}");
    }
}

/// Portal calls so far, by name.
fn calls(bench: &Bench) -> BTreeMap<String, u64> {
    let requests = bench.sandbox.stats().requests;
    let portal = requests
        .into_iter()
        .filter_map(|(name, count)| Some((name.strip_prefix("bynder.")?.to_owned(), count)));
    portal.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_costs_the_documented_calls_and_an_unchanged_one_none() {
    let bench = Bench::alone(quick()).await;
    bench.set_request_timeout(15);
    // A budget that holds the calls back, so that they are shared.
    bench.reconfigure("requests_per_5_minutes = 1000000", "requests_per_5_minutes = 6000");
    bench.reconfigure("[worker]\n", "[worker]\nconcurrency = 32\n");
    for number in 0..PICTURES {
        bench.sandbox.add_asset(picture(&format!("{number}.jpg"), number)).unwrap();
    }
    bench.run(&["sync", "--full", "--json", "--quiet"]).await.assert_code(0);
    assert_clean(&bench.sandbox.audit());
    println!("version {:?}", bench.sandbox.stats().requests);
    assert_elsewhere(&bench, PICTURES);
    let (first, documented) = (calls(&bench), documented("| call | step |", 2));
    let all: u64 = first.values().sum();
    println!("{:.2} portal calls an asset, over {PICTURES}: {first:?}", all as f64 / PICTURES as f64);
    for (call, each) in &documented {
        let made = first.get(*call).copied().unwrap_or_default();
        match each {
            // The page names the looks before a process's first submit and after its first save.
            Some(each) => {
                let looks = if *call == "asset" { 2 } else { 0 };
                assert_eq!(made, each * PICTURES + looks, "bynder.{call}");
            }
            None => assert!(made > 0, "bynder.{call} is never made"),
        }
    }
    assert!(documented.len() > 5, "{documented:?}");
    assert!(2 * all <= 15 * PICTURES, "{all} calls for {PICTURES} assets");

    bench.run(&["sync", "--full", "--json", "--quiet"]).await.assert_code(0);
    let second = calls(&bench);
    for call in documented.keys().filter(|call| **call != "list") {
        assert_eq!(second.get(*call), first.get(*call), "bynder.{call} is made for an unchanged asset");
    }
}
