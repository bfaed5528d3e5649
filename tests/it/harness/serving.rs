//! `connector serve` at work in a library.

use std::time::Duration;

use nix::sys::signal::Signal;
use sandbox::Options;
use serde_json::Value;
use tokio::process::Child;

use super::broker::free_ports;
use super::fleet::{ended, signal};
use super::scrape::get;
use super::{Bench, PATIENCE, until_async};

pub(crate) struct Serving {
    pub(crate) bench: Bench,
    pub(crate) port: u16,
}

impl Serving {
    pub(crate) async fn new(options: Options) -> Self {
        Self::of(Bench::new(options).await)
    }

    /// In another library, which stands as long as this one.
    pub(crate) async fn beside(bench: &Bench, options: Options) -> Self {
        Self::of(bench.second(options).await)
    }

    fn of(bench: Bench) -> Self {
        bench.reconfigure("[producer]\n", "[producer]\nevery = '1s'\n");
        let [port] = free_ports();
        Self { bench, port }
    }

    pub(crate) fn start(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Child {
        let mut command = self.bench.command(&[&["serve"][..], arguments].concat());
        command.env("CONNECTOR_HTTP__LISTEN", format!("127.0.0.1:{}", self.port));
        command.envs(variables.iter().copied()).spawn().unwrap()
    }

    pub(crate) async fn until_answered(&self, path: &str, text: &str) {
        until_async(async || get(self.port, path).await.is_ok_and(|answer| answer.contains(text))).await;
    }

    /// Waits until no job is left and another run has found nothing to do.
    pub(crate) async fn until_idle(&self) {
        let empty = |status: &Value| status["runs_without_jobs"].as_u64().unwrap();
        let before = empty(&self.status().await);
        let waiting = async {
            loop {
                let status = self.status().await;
                let queues = status["queues"].as_object().unwrap();
                if queues.values().all(|count| *count == 0) && empty(&status) > before {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.expect("it never becomes idle");
    }

    /// How many changes were left to later runs because newer ones go first.
    pub(crate) async fn postponed(&self) -> u64 {
        let page = get(self.port, "/metrics").await.unwrap_or_default();
        let series = "connector_assets_skipped_total{reason=\"postponed\"} ";
        page.lines().find_map(|line| line.strip_prefix(series)?.parse().ok()).unwrap_or_default()
    }

    pub(crate) async fn status(&self) -> Value {
        serde_json::from_str(self.run(&["status", "--json"]).await.trim()).unwrap()
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> String {
        self.bench.run(arguments).await.assert_code(0).out.clone()
    }
}

/// Stops it in order.
pub(crate) async fn stop(running: Child) {
    signal(&running, Signal::SIGTERM);
    ended(running).await.assert_code(0);
}
