//! What the programs report about themselves is what the documentation says, no more and no less.

use std::collections::{BTreeMap, BTreeSet};

use crate::documents::document;
use crate::harness::broker::free_ports;
use crate::harness::fleet::Fleet;
use crate::harness::page::shows;
use crate::harness::scrape::{Scrape, get};
use crate::harness::serving::{Serving, stop};
use crate::harness::{picture, quick};

/// The rows of a page's tables, cell by cell, each cell's words in backticks.
fn rows(page: &str) -> Vec<Vec<Vec<&str>>> {
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells = row.trim_matches('|').split('|');
        cells.map(|cell| cell.split('`').skip(1).step_by(2).collect()).collect()
    })
    .collect()
}

/// Each documented metric with its type and the names of its labels.
fn documented_metrics(page: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let metrics =
        page.lines().filter(|line| line.starts_with("| `connector_") || line.starts_with("| `process_"));
    metrics
        .map(|row| {
            let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
            let labels = cells[2].split(", ").filter(|label| !label.is_empty());
            let labels = labels.map(|label| label.trim_matches('`').to_owned()).collect();
            (cells[0].trim_matches('`').to_owned(), (cells[1].to_owned(), labels))
        })
        .collect()
}

/// Each documented label with the values it may take.
fn documented_values(page: &str) -> BTreeMap<String, BTreeSet<String>> {
    let (_, tables) = page.split_once("## Values of labels").unwrap();
    let rows = rows(tables).into_iter();
    rows.map(|cells| (cells[0][0].to_owned(), cells[1].iter().map(|value| (*value).to_owned()).collect()))
        .collect()
}

/// The results of a verification.
const VERIFIED: [&str; 3] = ["held", "broken", "unchecked"];

/// What has no series before there is a result, or without the setting; a worker never has it.
const LATE: [&str; 3] =
    ["connector_library_assets", "connector_limit_remaining_assets", "connector_verified_assets"];

#[tokio::test(flavor = "multi_thread")]
async fn worker_and_producer_serve_exactly_the_documented_metrics_labels_and_values() {
    let page = document("docs/metrics.md");
    let fleet = Fleet::new(sandbox::Options { assets: 30, ..quick() }).await;
    fleet.configure("[limits]\nassets_per_run = 1000\nassets_per_day = 1000");
    fleet.bench.reconfigure("[producer]\n", "[producer]\nevery = '1s'\n");
    let [working, producing] = free_ports();
    let listen = |port| [("CONNECTOR_HTTP__LISTEN", format!("127.0.0.1:{port}"))];
    let _worker = fleet.worker_with(&listen(working));
    let _producer = fleet.producer_with(&["sync", "--full", "--quiet"], &listen(producing));
    fleet.bench.run(&["verify", "--quiet"]).await;
    // Whatever can be counted has been by then, failures of jobs included.
    crate::harness::until_async(async || fleet.failed().await.len() > 2).await;
    for name in LATE {
        shows(producing, "/metrics", &format!("\n{name}{{")).await;
    }
    for (port, is_late) in [(working, false), (producing, true)] {
        let scrape = Scrape::of(port).await;
        let mut metrics = documented_metrics(&page);
        let mut values = documented_values(&page);
        if !is_late {
            metrics.retain(|name, _| !LATE.contains(&name.as_str()));
            values.retain(|label, _| !["state", "limit"].contains(&label.as_str()));
            values.get_mut("result").unwrap().retain(|result| !VERIFIED.contains(&result.as_str()));
        }
        assert_eq!(scrape.metrics(), metrics);
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        for (label, value) in [
            ("version", env!("CARGO_PKG_VERSION")),
            ("hostname", host.trim()),
            ("deployment", fleet.prefix.as_str()),
        ] {
            values.insert(label.to_owned(), BTreeSet::from([value.to_owned()]));
        }
        assert_eq!(scrape.values(), values);
        assert_no_complaint(&scrape.text);
        let health = get(port, "/healthz").await.unwrap();
        assert!(health.starts_with("HTTP/1.1 200") && health.ends_with("\r\nok"), "{health}");
        let head = get(port, "/metrics").await.unwrap().to_lowercase();
        assert!(head.contains("\r\ncontent-type: text/plain; version=0.0.4"), "{head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_machine_serves_the_documented_metrics_but_for_the_broker_that_it_has_not() {
    let page = document("docs/metrics.md");
    let serving = Serving::new(quick()).await;
    serving.bench.reconfigure("[queue]\n", "[limits]\nassets_per_run = 9\nassets_per_day = 9\n[queue]\n");
    serving.bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    let running = serving.start(&["--full"], &[]);
    shows(serving.port, "/metrics", "\nconnector_library_assets{").await;
    serving.run(&["verify", "--quiet"]).await;
    for name in LATE {
        shows(serving.port, "/metrics", &format!("\n{name}{{")).await;
    }
    let scrape = Scrape::of(serving.port).await;
    let mut metrics = documented_metrics(&page);
    assert!(metrics.remove("connector_broker_connected").is_some());
    assert_eq!(scrape.metrics(), metrics);
    assert_eq!(scrape.values()["deployment"], BTreeSet::from(["connector".to_owned()]));
    assert_no_complaint(&scrape.text);
    stop(running).await;
}

/// Names, units and helps are as Prometheus wants them.
fn assert_no_complaint(text: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let mut command = std::process::Command::new("promtool");
    command.args(["check", "metrics"]).stdin(std::fs::File::open(file.path()).unwrap());
    let output = command.output().expect("apt-get install prometheus");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:#?}");
}
