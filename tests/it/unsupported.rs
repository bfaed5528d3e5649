//! Files of a type that the wire profile does not list: left out at the listing, by their extensions alone.

use nix::sys::signal::Signal;
use sample_files::{Format, file};
use sandbox::NewAsset;

use crate::harness::broker::free_ports;
use crate::harness::fleet::{Fleet, ended, signal};
use crate::harness::page::shows;
use crate::harness::{Bench, assert_clean, is_protected, picture, quick};

fn calls(bench: &Bench, name: &str) -> u64 {
    bench.sandbox.stats().requests.get(name).copied().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_extension_of_an_unlisted_type_gets_no_download_and_no_job_and_any_other_is_decided_by_content() {
    let bench = Bench::new(quick()).await;
    let long = NewAsset {
        name: format!("one.wav{}", "n".repeat(100_000)),
        ..NewAsset::new("one.wav", file(Format::Wav, 1, 0, 0))
    };
    let wav = bench.sandbox.add_asset(long).unwrap();
    let unheard = |seed| NewAsset { file_name: format!("{seed}.unheard"), ..picture("two.jpg", seed) };
    let open = [bench.sandbox.add_asset(picture("one.jpg", 1)), bench.sandbox.add_asset(unheard(2))];
    let open = open.map(Result::unwrap);
    let planned = bench.run(&["plan", "--full", "--json"]).await.assert_code(0).summary();
    assert_eq!(
        (&planned["selected"], &planned["skipped"]["unsupported"]),
        (&2.into(), &1.into()),
        "{planned}"
    );
    assert_eq!(planned["unsupported_by_extension"]["wav"]["assets"], 1, "{planned}");
    let read = bench.run(&["plan", "--full"]).await;
    let line =
        read.assert_code(0).out.lines().skip_while(|line| !line.contains("limits.content_types")).nth(1);
    assert!(line.is_some_and(|line| line.contains("wav ")), "{read:#?}");
    let ran = bench.sync().await.assert_code(0).summary();
    assert_eq!((&ran["published"], &ran["failed"]), (&2.into(), &0.into()), "{ran}");
    assert_eq!(ran["left_alone"], serde_json::json!({"unsupported": 1}), "{ran}");
    assert_eq!((calls(&bench, "bynder.download"), calls(&bench, "imatag.submit")), (2, 2));
    assert!(open.iter().all(|id| is_protected(&bench.asset(id))));
    assert!(bench.outcomes(&wav).await.is_empty());
    let status = bench.run(&["status", "--json"]).await.assert_code(0).summary();
    assert_eq!(status["runs"][0]["unsupported"], 1, "{status}");
    let report = bench.run(&["report", ran["run_id"].as_str().unwrap()]).await;
    assert!(report.assert_code(0).talk.contains("1 assets got no job"), "{report:#?}");
    // Asked for by id, it is named.
    std::fs::write(bench.path("ids.txt"), &wav).unwrap();
    let file = bench.path("ids.txt");
    let asked = bench.run(&["sync", "--ids-from", file.to_str().unwrap(), "--quiet"]).await;
    let words = ["one.wav", wav.as_str(), "extension wav it is audio/x-wav", "limits.content_types"];
    assert!(words.iter().all(|word| asked.assert_code(0).talk.contains(word)), "{asked:#?}");
    assert!(asked.talk.len() < 2_000, "the name is cut: {} bytes", asked.talk.len());
    assert_eq!(calls(&bench, "bynder.download"), 2);
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_counts_what_it_leaves_out_and_takes_it_up_with_the_next_walk_once_it_is_listed() {
    let fleet = Fleet::new(quick()).await;
    let (bench, [port]) = (&fleet.bench, free_ports());
    let only = |types: &str| {
        format!("mode = 'async'\nlimits = {{ largest_file = '1GiB', content_types = [{types}] }}")
    };
    bench.reconfigure("mode = 'async'", &only("'image/png'"));
    let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    let listen = ("CONNECTOR_HTTP__LISTEN", format!("127.0.0.1:{port}"));
    let variables = [listen, ("CONNECTOR_PRODUCER__EVERY", "1h".to_owned())];
    let producer = fleet.producer_with(&["sync", "--full", "--quiet"], &variables);
    shows(port, "/metrics", r#"connector_assets_skipped_total{reason="unsupported"} 1"#).await;
    signal(&producer, Signal::SIGTERM);
    ended(producer).await.assert_code(0);
    assert_eq!(calls(bench, "bynder.download"), 0);
    bench.reconfigure("'image/png'", "'image/'");
    let _worker = fleet.worker();
    fleet.sync().await.assert_code(0);
    assert!(is_protected(&bench.asset(&id)));
    assert_clean(&bench.sandbox.audit());
}
