//! What is added to the composition to leave a part of it out, what holds on any machine, and the days that a script follows.

use std::collections::BTreeSet;

use crate::compose::{VARIANTS, compositions, keys, service};
use crate::documents::document;

/// The services that a variant leaves out.
fn left_out(variant: &str) -> BTreeSet<&str> {
    let out = variant.lines().filter_map(|line| line.strip_suffix(": { profiles: [left-out] }"));
    out.map(str::trim).collect()
}

#[test]
fn with_a_broker_of_its_own_a_fleet_waits_for_no_other_and_sends_nothing_in_plain_text() {
    let [fleet, broker] = ["docker-compose.yml", VARIANTS[0]].map(document);
    assert_eq!(left_out(&broker), ["rabbitmq"].into());
    for name in keys(&fleet, "services") {
        let waits = service(&fleet, &name).contains("depends_on:");
        assert_eq!(waits, broker.contains(&format!("\n  {name}: *program\n")), "{name}");
    }
    let (_, program) = broker.split_once("x-program: &program\n").unwrap();
    let program = program.split("\n\n").next().unwrap();
    assert!(program.contains("rabbitmq: { condition: service_healthy, required: false }"), "{program}");
    assert!(program.contains("CONNECTOR_BROKER__ALLOW_PLAIN: \"${BROKER_ALLOW_PLAIN:-false}\""), "{program}");
}

#[test]
fn a_monitoring_of_its_own_finds_at_a_port_whatever_the_compositions_prometheus_asks() {
    let [monitoring, prometheus] = [VARIANTS[1], "deploy/prometheus/prometheus.yml"].map(document);
    let out = left_out(&monitoring);
    assert_eq!(out, ["alertmanager", "grafana", "prometheus"].into());
    let asked = prometheus.split("- job_name: ").skip(1).map(|job| {
        let (_, names) = job.split_once("names: [").unwrap();
        let (_, port) = job.split_once("port: ").unwrap();
        let port: String = port.chars().take_while(char::is_ascii_digit).collect();
        (names.split(']').next().unwrap(), port)
    });
    for (name, port) in asked.filter(|(name, _)| !out.contains(name)) {
        assert!(service(&monitoring, name).contains(&format!("}}:{port}\"]")), "{name}: {port}");
    }
}

#[test]
fn what_is_mounted_from_the_folder_can_be_read_where_selinux_is_on_and_the_machines_own_keeps_its_label() {
    for text in compositions() {
        for mount in text.split("type: bind\n").skip(1) {
            let of_machine = mount.trim_start().starts_with("source: ${SSL_CERT_");
            let labelled = mount.split_once("bind: {").unwrap().1.split('}').next().unwrap();
            assert_eq!(labelled.contains("selinux: z"), !of_machine, "{mount}");
        }
        for mount in text.split([' ', '"']).map(str::trim).filter(|word| word.starts_with('.')) {
            assert!(!mount.contains(":ro") || mount.ends_with(":ro,z"), "{mount}");
        }
    }
}

/// The headings of a page below which a block begins with `sh` and holds a command for the composition.
fn headings_with_commands(page: &str) -> Vec<String> {
    let (mut heading, mut open, mut found) = ("", false, Vec::new());
    for line in page.lines() {
        match line {
            "```sh" => open = true,
            "```" => open = false,
            _ if open => {
                let has_command = line.starts_with("docker compose ") && !line.contains(" -f ");
                if has_command && found.last().is_none_or(|last| last != heading) {
                    found.push(heading.to_owned());
                }
            }
            _ if line.starts_with('#') => heading = line.trim_start_matches('#').trim(),
            _ => {}
        }
    }
    found
}

/// The page below whose heading of this name `scripts/first-day` does what is written.
pub(crate) fn page_followed(script: &str, heading: &str) -> Option<String> {
    let (before, _) = script.split_once(&format!("\"{heading}\""))?;
    let (_, call) = before.rsplit_once("follow ")?;
    let page = call.split(' ').next()?;
    let named = |variable| script.split_once(&format!("\n{variable}="))?.1.lines().next();
    Some(format!("docs/{}", page.strip_prefix('$').map_or(Some(page), named)?))
}

#[test]
fn every_documented_command_for_the_composition_is_run_by_a_script() {
    let script = document("scripts/first-day");
    let mut found = 0;
    for page in
        ["docs/quick-start-compose.md", "docs/running.md", "docs/maintenance.md", "docs/operations.md"]
    {
        for heading in headings_with_commands(&document(page)) {
            assert_eq!(page_followed(&script, &heading).as_deref(), Some(page), "{heading}");
            found += 1;
        }
    }
    assert!(found > 10, "{found}");
    assert!(document("scripts/compose-smoke").contains("\nscripts/first-day\n"));
}
