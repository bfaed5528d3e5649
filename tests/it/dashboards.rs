//! Every dashboard keeps to the rules: nothing unexplained, nothing without a unit, no counter taken for a value.

use std::collections::BTreeSet;

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
        assert_eq!(known, ["datasource", "instance"], "{name}");
        // New workers have to be found when the time moves on.
        assert_eq!(variables[1]["refresh"], 2, "{name}");
    }
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
            let place = &panel.json["gridPos"];
            assert!(place["x"].as_u64().unwrap() + place["w"].as_u64().unwrap() <= 24, "{at}: {place}");
        }
    }
}

#[test]
fn every_counter_is_looked_at_over_a_window_and_every_series_of_ours_by_instance() {
    for dashboard in Dashboard::all() {
        for panel in dashboard.panels() {
            for expression in panel.expressions() {
                let at = format!("{}: {:?}: {expression}", dashboard.name, panel.title);
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
