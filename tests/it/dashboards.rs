//! Every dashboard keeps to the rules: nothing unexplained, nothing without a unit, no counter taken for a value.

use std::collections::BTreeSet;

use common::outcome::FailureClass;
use serde_json::Value;

use crate::documents::document;
use crate::harness::dashboards::{Dashboard, metrics};

#[test]
fn every_dashboard_can_be_provisioned_and_lets_choose_data_source_and_instance() {
    let dashboards = Dashboard::all();
    let names: Vec<_> = dashboards.iter().map(|dashboard| dashboard.name.as_str()).collect();
    assert_eq!(names, ["dependencies", "library", "pipeline"]);
    for Dashboard { name, json } in &dashboards {
        assert_eq!(json["uid"], format!("connector-{name}"));
        // What is exported for others to import is not what a file provides.
        assert!(json["id"].is_null() && json.get("__inputs").is_none(), "{name}");
        assert_eq!((&json["editable"], &json["schemaVersion"]), (&false.into(), &42.into()), "{name}");
        let variables = json["templating"]["list"].as_array().unwrap();
        let known: Vec<_> = variables.iter().map(|variable| variable["name"].as_str().unwrap()).collect();
        assert_eq!(known, ["datasource", "deployment", "instance", "page_url", "docs_url"], "{name}");
        // New workers have to be found when the time moves on.
        assert!(variables[1..3].iter().all(|variable| variable["refresh"] == 2), "{name}");
        // All instances are those of the deployment.
        let instances = &variables[2];
        assert!(instances["includeAll"] == true && instances.get("allValue").is_none(), "{name}");
        let query = "label_values(connector_build_info{deployment=\"$deployment\"}, instance)";
        assert_eq!(instances["definition"], query, "{name}");
        assert_eq!(variables[1]["multi"], false, "{name}: two deployments in one number");
        let marked: Vec<_> = dashboards[0].annotations().map(|(name, _)| name).collect();
        assert_eq!(marked, ["Runs over the whole library", "Releases", "Pauses"], "{name}");
    }
    let provider = document("deploy/grafana/provisioning/dashboards/connector.yml");
    assert!(provider.contains("\n    folder: Bynder–Imatag connector\n"), "{provider}");
}

/// The names by which the panel shows values of labels.
fn shown_names(panel: &Value) -> BTreeSet<&str> {
    let overrides = panel["fieldConfig"]["overrides"].as_array().unwrap().iter();
    let named = overrides.filter(|one| one["properties"][0]["id"] == "displayName");
    named.map(|one| one["matcher"]["options"].as_str().unwrap()).collect()
}

#[test]
fn no_legend_shows_a_name_from_the_code() {
    let page = document("docs/metrics.md");
    let (_, table) = page.split_once("## Values of labels").unwrap();
    let values = |label: &str| {
        let row = table.lines().find(|line| line.starts_with(&format!("| `{label}` |")));
        let row = row.unwrap_or_else(|| panic!("{label}")).split('|').nth(2).unwrap();
        // A label of several metrics has values for each.
        let parts = row.split(';').map(|part| part.split('`').skip(1).step_by(2).collect::<Vec<_>>());
        parts.collect::<Vec<_>>()
    };
    for dashboard in Dashboard::all() {
        for panel in dashboard.panels() {
            let shown = shown_names(panel.json);
            for target in panel.json["targets"].as_array().unwrap() {
                let legend = target["legendFormat"].as_str().unwrap();
                // RabbitMQ's own names.
                if target["expr"].as_str().unwrap().contains("rabbitmq_") {
                    continue;
                }
                let label = legend.strip_prefix("{{").and_then(|legend| legend.strip_suffix("}}"));
                let Some(label) = label.filter(|label| !label.contains('}')) else { continue };
                let parts = values(label);
                let is_word = |value: &&str| !value.contains('_') || shown.contains(*value);
                assert!(
                    parts.iter().any(|part| part.iter().all(is_word)),
                    "{}: {:?}: {label}",
                    dashboard.name,
                    panel.title
                );
            }
        }
    }
}

#[test]
fn links_lead_to_the_page_and_to_what_to_do_for_each_class() {
    let runbook = document("docs/operations.md");
    for class in FailureClass::ALL {
        let anchor = format!("| `{0}` | <a id=\"class-{0}\"></a>", class.name());
        assert!(runbook.contains(&anchor), "{anchor}");
    }
    let mut by_class = 0;
    for dashboard in Dashboard::all() {
        for panel in dashboard.panels() {
            let links =
                panel.json["fieldConfig"]["defaults"]["links"].as_array().cloned().unwrap_or_default();
            let links: Vec<_> = links.iter().map(|link| link["url"].as_str().unwrap().to_owned()).collect();
            let known = ["${page_url}/failed", "${docs_url}/operations.md#"];
            assert!(links.iter().all(|url| known.iter().any(|start| url.starts_with(start))), "{links:?}");
            if panel.expressions().any(|expression| expression.contains("by (class)")) {
                by_class += 1;
                assert_eq!(links.iter().filter(|url| url.ends_with("${__field.labels.class}")).count(), 2);
            }
        }
    }
    assert_eq!(by_class, 2);
}

#[test]
fn every_panel_says_what_it_shows_in_which_unit_and_what_nothing_means() {
    for dashboard in Dashboard::all() {
        let mut titles = BTreeSet::new();
        for panel in dashboard.panels() {
            let at = format!("{}: {:?}", dashboard.name, panel.title);
            let text =
                |pointer: &str| panel.json.pointer(pointer).and_then(|text| text.as_str()).unwrap_or("");
            assert!(!panel.title.is_empty() && titles.insert(panel.title), "{at}: title");
            assert!(text("/description").len() > 20, "{at}: description");
            for field in ["unit", "noValue"] {
                assert!(!text(&format!("/fieldConfig/defaults/{field}")).is_empty(), "{at}: {field}");
            }
            assert_eq!(text("/datasource/uid"), "${datasource}", "{at}");
            assert!(panel.expressions().count() > 0, "{at}: expressions");
            if panel.json["type"] == "timeseries" {
                let legend = &panel.json["options"]["legend"];
                assert_eq!(legend["calcs"], serde_json::json!(["lastNotNull", "max"]), "{at}");
            }
            let place = &panel.json["gridPos"];
            assert!(place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap() <= 24, "{at}: {place}");
        }
    }
}

#[test]
fn every_counter_is_looked_at_over_a_window_and_every_series_by_deployment() {
    for dashboard in Dashboard::all() {
        for panel in dashboard.panels() {
            for expression in panel.expressions() {
                let at = format!("{}: {:?}: {expression}", dashboard.name, panel.title);
                let is_alerts = expression.starts_with("ALERTS");
                if is_alerts || expression.contains("rabbitmq_") {
                    assert!(expression.contains("$deployment"), "{at}");
                }
                if is_alerts {
                    continue;
                }
                let mut known = metrics(expression).peekable();
                assert!(known.peek().is_some(), "{at}: no metric");
                for (before, metric, behind) in known {
                    let counts =
                        ["_total", "_bucket", "_sum", "_count"].iter().any(|end| metric.ends_with(end));
                    let window = before.ends_with("rate(") || before.ends_with("increase(");
                    assert_eq!(counts, window, "{at}: {metric}");
                    let chosen = behind.starts_with('{')
                        && behind
                            .split('}')
                            .next()
                            .is_some_and(|chosen| chosen.contains("instance=~\"$instance\""));
                    assert_eq!(chosen, !metric.starts_with("rabbitmq_"), "{at}: {metric}");
                }
            }
        }
    }
}
