//! What the alerts ask is answered: by a real Prometheus that looks at a real fleet and its broker.

use std::collections::BTreeSet;

use crate::documents::document;
use crate::harness::broker::{Broker, free_ports};
use crate::harness::dashboards::{Dashboard, metrics};
use crate::harness::fleet::Fleet;
use crate::harness::prometheus::{Prometheus, deployed};
use crate::harness::{picture, quick, until_async};

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_is_evaluated_on_a_fleet_at_work() {
    let [working, producing] = free_ports();
    let (broker, exporter) = Broker::start_watched().await;
    let fleet = Fleet::on(&broker.url(), sandbox::Options { assets: 60, ..quick() }).await;
    fleet.bench.reconfigure("[producer]\n", "[producer]\nevery = '2s'\n");
    let targets = [("worker", working), ("producer", producing), ("rabbitmq", exporter)];
    let prometheus = Prometheus::start(&targets).await;
    let listen = |port| [("CONNECTOR_HTTP__LISTEN", format!("127.0.0.1:{port}"))];
    let _worker = fleet.worker_with(&listen(working));
    // Counters have to be seen before they move.
    until_async(async || !prometheus.query("up{job='connector-worker'} == 1").await.is_empty()).await;
    let _producer = fleet.producer_with(&["sync", "--full", "--quiet"], &listen(producing));
    // An alert is about what it found; the producer reads that from the ledger.
    fleet.bench.run(&["verify", "--quiet"]).await;
    until_async(async || !prometheus.query("connector_verified_assets").await.is_empty()).await;
    // How long new pictures were unprotected: those that the walk over the library does not find.
    let walked = "connector_run_last_success_timestamp_seconds{mode='full'} > 0";
    until_async(async || !prometheus.query(walked).await.is_empty()).await;
    fleet.bench.sandbox.add_asset(picture("new.jpg", 1)).unwrap();
    let rules = prometheus.rules().await;
    let asked = rules.iter().map(|rule| rule["query"].as_str().unwrap().to_owned());
    let known: BTreeSet<_> = prometheus.names().await.into_iter().collect();
    for expression in asked {
        for (_, metric, _) in metrics(&expression) {
            assert!(known.contains(metric), "{metric} is told by nobody: {expression}");
        }
    }
    until_async(async || prometheus.rules().await.iter().all(|rule| rule["health"] == "ok")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_alert_says_how_grave_it_is_and_has_a_runbook() {
    let page = document("docs/operations.md");
    let headings: BTreeSet<_> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let rules = Prometheus::start(&[]).await.rules().await;
    assert!(rules.len() > 10);
    let mut named = BTreeSet::new();
    for rule in rules.iter().filter(|rule| rule["type"] == "alerting") {
        let name = rule["name"].as_str().unwrap();
        assert!(
            ["critical", "warning", "info"].contains(&rule["labels"]["severity"].as_str().unwrap()),
            "{rule}"
        );
        let said = |what: &str| rule["annotations"][what].as_str().unwrap_or_default();
        assert!(!said("summary").is_empty() && !said("summary").contains("{{"), "{rule}");
        assert!(said("description").len() > said("summary").len(), "{rule}");
        assert_eq!(rule["labels"]["service"], "bynder-imatag-connector", "{rule}");
        let runbook =
            format!("{{{{ $externalLabels.connector_docs }}}}/operations.md#{}", name.to_lowercase());
        assert_eq!(said("runbook_url"), runbook);
        let dashboard = said("dashboard_url").strip_prefix("{{ $externalLabels.connector_grafana }}/d/");
        let shown = Dashboard::all().iter().any(|known| dashboard == known.json["uid"].as_str());
        assert!(shown, "{rule}");
        assert!(headings.contains(name), "{name} has no runbook");
        named.insert(name);
    }
    let (_, alerts) = page.split_once("## Alerts").unwrap();
    let alerts = alerts.split("\n## ").next().unwrap();
    let documented: BTreeSet<_> = alerts.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    assert_eq!(named, documented);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_links_to_its_runbook_and_its_dashboard_where_they_are() {
    let prometheus = Prometheus::start(&[]).await;
    let down = async || {
        let alerts = prometheus.alerts().await;
        alerts.into_iter().find(|alert| alert["labels"]["alertname"] == "ConnectorDown")
    };
    until_async(async || down().await.is_some()).await;
    let annotations = down().await.unwrap()["annotations"].clone();
    let (page, anchor) = annotations["runbook_url"].as_str().unwrap().split_once('#').unwrap();
    let path = page.strip_prefix("http://").unwrap().split_once('/').unwrap().1;
    let page = prometheus.ask(&format!("/{path}"), &[]).await.unwrap();
    let headings = page.lines().filter_map(|line| line.strip_prefix("### "));
    assert!(headings.map(str::to_lowercase).any(|heading| heading == anchor), "{anchor}");
    assert_eq!(annotations["dashboard_url"], "http://grafana.example/d/connector-pipeline");
}

/// The names of the files in a folder below `deploy/prometheus`, and their content.
fn files(folder: &str) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(deployed(folder)).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: &std::path::PathBuf| std::fs::read_to_string(path).unwrap();
    entries.map(|path| (path.display().to_string(), read(&path))).collect()
}

#[test]
fn the_shipped_rules_pass_every_check_and_fire_when_they_should_and_only_then() {
    let (rules, cases) = (files("rules"), files("tests"));
    let promtool = |arguments: &[&str], files: &[(String, String)]| {
        let mut command = std::process::Command::new("promtool");
        command.args(arguments).args(files.iter().map(|(path, _)| path));
        let output = command.current_dir(deployed("")).output().expect("apt-get install prometheus");
        assert!(output.status.success(), "{arguments:?}: {output:#?}");
    };
    promtool(&["check", "config", "prometheus.yml"], &[]);
    promtool(&["check", "rules", "--lint=all", "--lint-fatal"], &rules);
    promtool(&["test", "rules"], &cases);
    // Each rule has a case in which it fires and one in which it does not.
    let cases: String = cases.into_iter().map(|(_, text)| text).collect();
    let rules: String = rules.into_iter().map(|(_, text)| text).collect();
    for line in rules.lines() {
        let Some(name) = line.trim().strip_prefix("- alert: ") else { continue };
        let tested: Vec<_> = cases.match_indices(&format!("alertname: {name}\n")).collect();
        let silent = tested
            .iter()
            .filter(|(at, _)| cases[*at..].lines().nth(1).is_some_and(|line| line.ends_with("[]")));
        let silent = silent.count();
        assert!(
            silent > 0 && tested.len() > silent,
            "{name}: {} cases, {silent} of them silent",
            tested.len()
        );
    }
}
