//! Protected assets still hold what their markers say, and those that do not are found.

use sandbox::{Edit, NewVersion};
use serde_json::Value;

use crate::harness::fleet::Fleet;
use crate::harness::page::shows;
use crate::harness::{Bench, assert_clean, picture, quick};

/// A protected library of as many assets; their ids.
async fn protected(assets: u64) -> (Bench, Vec<String>) {
    let bench = Bench::new(quick()).await;
    let add = |seed| bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap();
    let ids: Vec<String> = (0..assets).map(add).collect();
    bench.sync().await.assert_code(0);
    bench.until_listed().await;
    (bench, ids)
}

fn downloads(bench: &Bench) -> u64 {
    bench.sandbox.stats().requests.get("bynder.download").copied().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_library_holds_by_listing_alone_and_by_every_file() {
    let (bench, _) = protected(5).await;
    bench.set_request_timeout(15);
    let before = downloads(&bench);
    let listed = bench.run(&["verify", "--json"]).await.assert_code(0).summary();
    assert_eq!((&listed["held"], &listed["hashed"], downloads(&bench)), (&5.into(), &0.into(), before));
    let hashed = bench.run(&["verify", "--sample", "1", "--json"]).await.assert_code(0).summary();
    assert_eq!((&hashed["held"], &hashed["hashed"], downloads(&bench)), (&5.into(), &5.into(), before + 5));
    assert_clean(&bench.sandbox.audit());
    let status: Value = bench.run(&["status", "--json"]).await.assert_code(0).summary();
    assert_eq!(status["last_verification"], hashed);
    bench.run(&["verify", "--sample", "1.1"]).await.assert_code(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_hold_is_named_and_peoples_work_is_told_from_it() {
    let (bench, ids) = protected(5).await;
    let mark = |id: &str, change: fn(&str) -> String| {
        let marker = change(&bench.asset(id).marker.unwrap());
        bench.sandbox.edit(id, Edit { marker: Some(marker), ..Edit::default() }).unwrap();
    };
    // The right length and another file; another length; a newer version; a wish.
    mark(&ids[0], |marker| format!("{} {}", "ab".repeat(32), "cd".repeat(32)) + &marker[129..]);
    mark(&ids[1], |marker| format!("{marker}0"));
    bench.sandbox.new_version(&ids[2], &NewVersion::default()).unwrap().unwrap();
    mark(&ids[3], |marker| format!("opted-out; {marker}"));
    bench.until_listed().await;
    let verified = bench.run(&["verify", "--sample", "1", "--json"]).await;
    let lines: Vec<Value> =
        verified.assert_code(6).out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let found =
        |id: &str| lines.iter().find(|line| line["asset_id"] == id).map(|line| line["finding"].clone());
    assert_eq!(found(&ids[0]), Some("other_file".into()));
    assert_eq!(found(&ids[1]), Some("other_size".into()));
    let sum = verified.summary();
    let counts = ["protected", "held", "broken", "other_version"].map(|name| sum[name].as_u64().unwrap());
    assert_eq!((lines.len(), counts), (3, [4, 2, 2, 1]), "{sum}");
    let said = bench.run(&["verify"]).await;
    assert!(said.assert_code(6).out.contains("other_size: the marker says"), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_shows_what_a_verification_beside_it_found() {
    let fleet = Fleet::new(quick()).await;
    fleet.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    let worker = fleet.worker();
    fleet.sync().await.assert_code(0);
    drop(worker);
    fleet.bench.until_listed().await;
    let verified = fleet.bench.run(&["verify", "--json"]).await.assert_code(0).summary();
    assert_eq!(verified["held"], 1);
    let [port] = crate::harness::broker::free_ports();
    fleet.bench.reconfigure("lost_after = '90s'", "lost_after = '90s'\nevery = '1h'");
    let listen = ("CONNECTOR_HTTP__LISTEN", format!("127.0.0.1:{port}"));
    let _producer = fleet.producer_with(&[], &[listen]);
    shows(port, "/metrics", "connector_verified_assets{result=\"held\"} 1").await;
}
