//! What the dashboards ask is answered: by a real Prometheus that looks at a fleet with its broker and at `connector serve`, two
//! deployments that stay apart.

use sandbox::{NewAsset, Options};

use crate::harness::broker::{Broker, free_ports};
use crate::harness::dashboards::{Dashboard, filled_in};
use crate::harness::fleet::Fleet;
use crate::harness::prometheus::Prometheus;
use crate::harness::serving::Serving;
use crate::harness::{Bench, picture, quick, until_async};

/// Limits, so that what they leave is shown.
const LIMITS: &str = "[limits]\nassets_per_run = 1000\nassets_per_day = 1000\n";
/// The deployment of `connector serve`.
const ALONE: &str = "alone";
/// A deployment that is not there.
const NOBODY: &str = "nobody";

/// A deployment as the variables of a dashboard name it.
struct Deployment<'a> {
    name: &'a str,
    instances: String,
}

impl<'a> Deployment<'a> {
    /// Its instances are those that the dashboards' own variable finds.
    async fn of(prometheus: &Prometheus, name: &'a str, processes: usize) -> Self {
        let query = format!("connector_build_info{{deployment=\"{name}\"}}");
        until_async(async || prometheus.labels(&query, "instance").await.len() == processes).await;
        let instances: Vec<_> = prometheus.labels(&query, "instance").await.into_iter().collect();
        Self { name, instances: format!("({})", instances.join("|")) }
    }

    fn asks(&self, expression: &str) -> String {
        filled_in(expression, self.name, &self.instances)
    }

    /// The number that a panel with one query and one series shows.
    async fn shows(&self, prometheus: &Prometheus, title: &str) -> f64 {
        let dashboards = Dashboard::all();
        let panel = dashboards.iter().flat_map(Dashboard::panels).find(|panel| panel.title == title).unwrap();
        let values = prometheus.query(&self.asks(panel.expressions().next().unwrap())).await;
        assert_eq!(values.len(), 1, "{title}: {values:?}");
        values[0]
    }
}

/// All that is asked: where, the query, and whether an answer has to come.
fn questions() -> Vec<(String, String, bool)> {
    let mut questions = Vec::new();
    for dashboard in Dashboard::all() {
        for panel in dashboard.panels() {
            for expression in panel.expressions() {
                let place = format!("{}: {:?}", dashboard.name, panel.title);
                questions.push((place, expression.to_owned(), !panel.may_be_empty()));
            }
        }
        for (name, expression) in dashboard.annotations() {
            questions.push((format!("{}: {name}", dashboard.name), expression.to_owned(), name != "Pauses"));
        }
    }
    questions
}

/// A new picture, and one without a file: something is protected at once, and something fails.
fn add_pictures(bench: &Bench) {
    for asset in [picture("new.jpg", 1), NewAsset { file: None, ..NewAsset::new("lost.jpg", Vec::new()) }] {
        bench.sandbox.add_asset(asset).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_is_answered_for_a_fleet_and_for_one_machine_and_for_each_of_them_alone() {
    let [working, producing] = free_ports();
    let (broker, exporter) = Broker::start_watched().await;
    let fleet = Fleet::on(&broker.url(), Options { assets: 60, ..quick() }).await;
    fleet.configure(LIMITS);
    fleet.bench.reconfigure("[producer]\n", "[producer]\nevery = '2s'\n");
    let serving = Serving::beside(&fleet.bench, quick()).await;
    serving.bench.reconfigure("[queue]\n", &format!("{LIMITS}[queue]\nprefix = '{ALONE}'\n"));
    serving.bench.sandbox.add_asset(picture("first.jpg", 2)).unwrap();
    let targets =
        [("worker", working), ("producer", producing), ("rabbitmq", exporter), ("connector", serving.port)];
    let prometheus = Prometheus::start(&targets).await;
    let listen = |port| [("CONNECTOR_HTTP__LISTEN", format!("127.0.0.1:{port}"))];
    let _worker = fleet.worker_with(&listen(working));
    // Counters have to be seen before they move.
    until_async(async || !prometheus.query("up{job='connector-worker'} == 1").await.is_empty()).await;
    let _producer = fleet.producer_with(&["sync", "--full", "--quiet"], &listen(producing));
    let _serving = serving.start(&["--full"], &[]);
    let (one, other) =
        (Deployment::of(&prometheus, &fleet.prefix, 2).await, Deployment::of(&prometheus, ALONE, 1).await);
    // How long new pictures were unprotected: those that the walk over the library does not find.
    let walked = "connector_run_last_success_timestamp_seconds{mode='full'} > 0";
    until_async(async || prometheus.query(walked).await.len() == 2).await;
    for bench in [&fleet.bench, &serving.bench] {
        add_pictures(bench);
        bench.run(&["verify", "--quiet"]).await;
    }
    for (place, expression, has_answer) in questions() {
        let of_broker =
            ["rabbitmq_", "connector_broker_connected"].iter().any(|name| expression.contains(name));
        for deployment in [&one, &other] {
            let asked = deployment.asks(&expression);
            println!("{place}: {asked}");
            if !has_answer {
                prometheus.query(&asked).await;
                continue;
            }
            if of_broker && deployment.name == ALONE {
                assert!(prometheus.query(&asked).await.is_empty(), "it has no broker");
                continue;
            }
            // A quantile of nothing is no number.
            until_async(async || prometheus.query(&asked).await.iter().any(|value| !value.is_nan())).await;
        }
        let nobody = filled_in(&expression, NOBODY, NOBODY);
        assert!(prometheus.query(&nobody).await.is_empty(), "{place} shows other deployments: {expression}");
    }
    for (deployment, assets) in [(&one, 60.0), (&other, 1.0)] {
        let workers = deployment.shows(&prometheus, "Workers").await;
        assert!((0.9..1.1).contains(&workers), "{}: {workers}", deployment.name);
        let protectable = deployment.shows(&prometheus, "Assets to protect").await;
        assert!((assets / 2.0..=assets).contains(&protectable), "{}: {protectable}", deployment.name);
    }
    until_async(async || other.shows(&prometheus, "Protected").await >= 1.0).await;
    assert!(one.shows(&prometheus, "Protected").await < 1.0, "some of its assets fail");
}
