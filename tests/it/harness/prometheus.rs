//! A real Prometheus with the rules and the scrape jobs that are shipped; only where to find whom is its own.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::{Child, Command};

use super::broker::free_ports;
use super::client;
use super::until_async;

/// A Prometheus server, gone with this.
pub(crate) struct Prometheus {
    _child: Child,
    _folder: tempfile::TempDir,
    address: String,
    client: reqwest::Client,
}

impl Prometheus {
    /// Starts it, scraping each job's targets by its name in the name service and on the port found here.
    pub(crate) async fn start(targets: &[(&str, u16)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [port] = free_ports();
        let config = folder.path().join("prometheus.yml");
        std::fs::write(&config, configuration(targets)).unwrap();
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        // As in the composition; Prometheus 3 needs no switch for the first.
        command.arg("--enable-feature=expand-external-labels");
        command.arg(format!("--web.user-assets={}", deployed("../../docs").display()));
        command.env("CONNECTOR_DOCS_URL", format!("http://{address}/user"));
        command.env("CONNECTOR_GRAFANA_URL", "http://grafana.example");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().expect("apt-get install prometheus");
        let prometheus = Self { _child: child, _folder: folder, address, client: client() };
        until_async(async || prometheus.ask("/-/ready", &[]).await.is_ok()).await;
        prometheus
    }

    /// The values that an expression gives now, one a series.
    pub(crate) async fn query(&self, expression: &str) -> Vec<f64> {
        let series = self.series(expression).await;
        series.iter().map(|series| series["value"][1].as_str().unwrap().parse().unwrap()).collect()
    }

    /// The queues of the series that an expression gives now.
    pub(crate) async fn queues(&self, expression: &str) -> BTreeSet<String> {
        self.labels(expression, "queue").await
    }

    /// The values of a label of the series that an expression gives now.
    pub(crate) async fn labels(&self, expression: &str, label: &str) -> BTreeSet<String> {
        let series = self.series(expression).await;
        series.iter().map(|series| series["metric"][label].as_str().unwrap().to_owned()).collect()
    }

    async fn series(&self, expression: &str) -> Vec<Value> {
        let answer = self.json("/api/v1/query", &[("query", expression)]).await;
        let result = answer["data"]["result"].as_array();
        result.unwrap_or_else(|| panic!("{expression}: {answer}")).clone()
    }

    /// The names of all metrics known.
    pub(crate) async fn names(&self) -> Vec<String> {
        let answer = self.json("/api/v1/label/__name__/values", &[]).await;
        serde_json::from_value(answer["data"].clone()).unwrap()
    }

    /// The alert rules, as Prometheus reads them.
    pub(crate) async fn rules(&self) -> Vec<Value> {
        let answer = self.json("/api/v1/rules", &[]).await;
        let groups = answer["data"]["groups"].as_array().unwrap();
        groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).cloned().collect()
    }

    /// The alerts that are pending or fire, with their texts filled in.
    pub(crate) async fn alerts(&self) -> Vec<Value> {
        self.json("/api/v1/alerts", &[]).await["data"]["alerts"].as_array().unwrap().clone()
    }

    async fn json(&self, path: &str, query: &[(&str, &str)]) -> Value {
        serde_json::from_str(&self.ask(path, query).await.unwrap()).unwrap()
    }

    pub(crate) async fn ask(&self, path: &str, query: &[(&str, &str)]) -> reqwest::Result<String> {
        let request = self.client.get(format!("http://{}{path}", self.address)).query(query);
        // One that is not ready answers so, with a status.
        request.timeout(Duration::from_secs(30)).send().await?.error_for_status()?.text().await
    }
}

/// A file below `deploy/prometheus`.
pub(crate) fn deployed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus").join(name).canonicalize().unwrap()
}

/// The shipped configuration with the given targets in place of the name service, looked at every second.
fn configuration(targets: &[(&str, u16)]) -> String {
    let shipped = std::fs::read_to_string(deployed("prometheus.yml")).unwrap();
    let lines = shipped.lines().map(|line| {
        let found = targets.iter().find(|(name, _)| line.contains(&format!("names: [{name}]")));
        match (line.split_once("dns_sd_configs:"), found) {
            (Some((indentation, _)), Some((_, port))) => {
                format!("{indentation}static_configs: [{{ targets: [\"127.0.0.1:{port}\"] }}]")
            }
            _ => line.replace("_interval: 15s", "_interval: 1s"),
        }
    });
    let mut text = lines.collect::<Vec<_>>().join("\n");
    // One that the shipped configuration does not know, as `connector serve`.
    for (name, port) in targets.iter().filter(|(name, _)| !shipped.contains(&format!("names: [{name}]"))) {
        let _ = write!(
            text,
            "\n  - job_name: {name}\n    static_configs: [{{ targets: [\"127.0.0.1:{port}\"] }}]\n"
        );
    }
    text.replace("rules/*.yml", &deployed("rules").join("*.yml").display().to_string())
}
