//! The manifests for Kubernetes: whole in themselves, and the same as the compositions.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::documents::document;
use crate::harness::{Bench, PROGRAM, Ran, is_protected, picture, quick};
use crate::manifests::{WAYS, component, list, pods, rendered, root, selects, settings};

const RULES: [&str; 6] = ["broker", "exposure", "fleet", "jobs", "machine", "services"];

/// The lines of one service of a composition.
fn service(name: &str) -> String {
    let (file, name) = if name == "serve" {
        ("docker-compose.single.yml", "connector")
    } else {
        ("docker-compose.yml", name)
    };
    let of = |text: String| {
        let rest = text.split_once(&format!("\n  {name}:\n")).unwrap().1;
        rest.split("\n\n").next().unwrap().to_owned()
    };
    // The rest of a service of the fleet is what it extends.
    of(document(file))
        + "\n"
        + &if name == "connector" { String::new() } else { of(document("deploy/compose/fleet.yml")) }
}

#[test]
fn the_operators_rules_and_dashboards_are_those_of_the_compositions() {
    let entries = fs::read_dir(root().join("deploy/prometheus/rules")).unwrap().flatten();
    let shipped: BTreeSet<_> = entries.map(|entry| entry.path().file_stem().unwrap().to_owned()).collect();
    // An Alertmanager of the cluster is for others to watch.
    let known = RULES.into_iter().chain(["alerting"]).map(Into::into).collect();
    assert_eq!(shipped, known, "a new file of rules belongs into deploy/kubernetes/monitoring");
    for name in RULES {
        let source = format!("deploy/prometheus/rules/{name}.yml");
        let rules = document(&source);
        let indented =
            rules.lines().map(|line| if line.is_empty() { String::new() } else { format!("  {line}") });
        let text = format!(
            "# Made from {source}: CONNECTOR_RENEW=1 cargo test -p system-tests --test it kubernetes\n\
             # yamllint disable rule:line-length\napiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  \
             name: connector-{name}\n  labels: {{ app.kubernetes.io/name: bynder-imatag-connector }}\nspec:\n{}\n",
            indented.collect::<Vec<_>>().join("\n")
        );
        let made = format!("deploy/kubernetes/monitoring/rules/{name}.yaml");
        if std::env::var_os("CONNECTOR_RENEW").is_some() {
            fs::write(root().join(&made), &text).unwrap();
        }
        assert!(document(&made) == text, "{made} is not {source}; renew it as its head says");
    }
    let manifests = rendered(WAYS[0]);
    let of_kind = |kind: &'static str| manifests.iter().filter(move |manifest| manifest["kind"] == kind);
    assert_eq!(of_kind("PrometheusRule").count(), RULES.len());
    let shown: BTreeSet<_> = of_kind("ConfigMap")
        .filter(|map| map["metadata"]["labels"]["grafana_dashboard"] == "1")
        .flat_map(|map| map["data"].as_object().unwrap().keys().cloned())
        .collect();
    let entries = fs::read_dir(root().join("deploy/grafana/dashboards")).unwrap().flatten();
    assert_eq!(shown, entries.map(|entry| entry.file_name().into_string().unwrap()).collect());
}

#[test]
fn every_pod_is_closed_as_its_container_of_the_composition_is() {
    for way in WAYS {
        for (labels, pod) in pods(&rendered(way)) {
            let name = component(labels);
            assert_eq!(pod["automountServiceAccountToken"], false, "{name}");
            // They would be variables that begin with CONNECTOR_.
            assert_eq!(pod["enableServiceLinks"], false, "{name}");
            let wanted = serde_json::json!({ "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
                "seccompProfile": { "type": "RuntimeDefault" } });
            let mut security = pod["securityContext"].clone();
            let change = security.as_object_mut().unwrap().remove("fsGroupChangePolicy");
            // Otherwise each start opens the state to its group.
            let keeps_state = list(pod, "/containers/0/volumeMounts").any(|mount| mount["name"] == "state");
            assert_eq!(change.is_some_and(|policy| policy == "OnRootMismatch"), keeps_state, "{name}");
            assert_eq!(security, wanted, "{name}");
            assert_eq!(list(pod, "/containers").count(), 1, "{name}");
            let container = &pod["containers"][0];
            let wanted = serde_json::json!({ "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                "capabilities": { "drop": ["ALL"] } });
            assert_eq!(container["securityContext"], wanted, "{name}");
            let image = format!("bynder-imatag-connector:{}", env!("CARGO_PKG_VERSION"));
            assert_eq!(container["image"], image, "{name}");
            for kind in ["requests", "limits"] {
                assert!(container["resources"][kind]["memory"].is_string(), "{name}: {kind}");
            }
            if ["command", "backup"].contains(&name) {
                continue;
            }
            let service = service(name);
            assert!(
                service.contains("    command: [")
                    && document("deploy/compose/fleet.yml").contains("user: \"65532:65532\"")
            );
            let arguments: Vec<_> = list(container, "/args").map(|word| word.as_str().unwrap()).collect();
            assert!(
                service.contains(&format!("    command: [{}]\n", arguments.join(", "))),
                "{name}: {arguments:?}"
            );
            let limit = |key: &str| {
                container["resources"]["limits"][key].as_str().unwrap().to_lowercase().replace('i', "")
            };
            let limits = format!("limits: {{ cpus: \"{}\", memory: {}, ", limit("cpu"), limit("memory"));
            assert!(service.contains(&limits), "{name}: {limits}");
            // A pod that does jobs has the composition's time to end them.
            let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
            if let Some((_, rest)) = service.split_once("stop_grace_period: ") {
                assert!(rest.starts_with(&format!("{grace}s\n")), "{name}");
                let takes = config::WorkerSection::default().grace.0 + worker::AFTER_GRACE;
                assert!(Duration::from_secs(grace) > takes + Duration::from_secs(3), "{name}");
            }
        }
    }
}

#[test]
fn whatever_a_pod_mounts_reads_or_is_asked_at_is_there() {
    for way in WAYS {
        let manifests = rendered(way);
        let names = |kind: &str| -> Vec<_> {
            let found = manifests.iter().filter(|manifest| manifest["kind"] == kind);
            found.map(|manifest| manifest["metadata"]["name"].clone()).collect()
        };
        let (maps, claims) = (names("ConfigMap"), names("PersistentVolumeClaim"));
        let stateful = manifests.iter().find(|manifest| manifest["kind"] == "StatefulSet").unwrap();
        let templates: Vec<_> = list(stateful, "/spec/volumeClaimTemplates")
            .map(|claim| claim["metadata"]["name"].clone())
            .collect();
        assert!(names("Service").contains(&stateful["spec"]["serviceName"]), "{way:?}");
        for (labels, pod) in pods(&manifests) {
            let name = component(labels);
            let volumes: Vec<_> = list(pod, "/volumes").map(|volume| volume["name"].clone()).collect();
            for mount in list(pod, "/containers/0/volumeMounts") {
                let volume = &mount["name"];
                let is_claimed = ["producer", "serve"].contains(&name) && templates.contains(volume);
                assert!(volumes.contains(volume) || is_claimed, "{name}: {volume}");
            }
            for volume in list(pod, "/volumes") {
                let mounted =
                    list(pod, "/containers/0/volumeMounts").any(|mount| mount["name"] == volume["name"]);
                assert!(mounted, "{name}: {volume}");
                if let Some(map) = volume.pointer("/configMap/name") {
                    assert!(maps.contains(map), "{name}: {map}");
                }
                if let Some(claim) = volume.pointer("/persistentVolumeClaim/claimName") {
                    let of_set = format!("state-{}-0", stateful["metadata"]["name"].as_str().unwrap());
                    assert!(*claim == of_set.as_str() || claims.contains(claim), "{name}: {claim}");
                }
            }
            for map in list(pod, "/containers/0/envFrom") {
                assert!(maps.contains(&map["configMapRef"]["name"]), "{name}: {map}");
            }
            let port = |wanted: &Value| list(pod, "/containers/0/ports").any(|port| &port["name"] == wanted);
            for (probe, path) in [("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")] {
                let asked = &pod["containers"][0][probe]["httpGet"];
                let is_process = !["command", "backup"].contains(&name);
                assert_eq!(asked["path"] == path && port(&asked["port"]), is_process, "{name}: {probe}");
            }
        }
    }
}

#[test]
fn every_selector_finds_pods_that_have_the_ports_it_names() {
    let mut looked_at = 0;
    for way in WAYS {
        let manifests = rendered(way);
        let pods = pods(&manifests);
        for manifest in &manifests {
            let (selector, ports): (_, Vec<_>) = match manifest["kind"].as_str().unwrap() {
                "Service" => (
                    "/spec/selector",
                    list(manifest, "/spec/ports").map(|port| &port["targetPort"]).collect(),
                ),
                "PodMonitor" => (
                    "/spec/selector",
                    list(manifest, "/spec/podMetricsEndpoints").map(|port| &port["port"]).collect(),
                ),
                "Deployment" | "StatefulSet" | "PodDisruptionBudget" => ("/spec/selector", Vec::new()),
                "NetworkPolicy" => {
                    let ingress = list(manifest, "/spec/ingress").flat_map(|rule| list(rule, "/ports"));
                    ("/spec/podSelector", ingress.map(|port| &port["port"]).collect())
                }
                _ => continue,
            };
            let selector = manifest.pointer(selector).unwrap();
            let found: Vec<_> = pods.iter().filter(|(labels, _)| selects(selector, labels)).collect();
            assert!(!found.is_empty(), "{manifest:#}");
            let has = |port: &Value| {
                found
                    .iter()
                    .any(|(_, pod)| list(pod, "/containers/0/ports").any(|known| &known["name"] == port))
            };
            assert!(ports.into_iter().all(has), "{manifest:#}");
            looked_at += 1;
        }
        let denies = manifests.iter().any(|policy| {
            policy["kind"] == "NetworkPolicy"
                && policy["spec"]
                    == serde_json::json!({ "podSelector": {}, "policyTypes": ["Ingress", "Egress"] })
        });
        assert!(denies, "{way:?}");
    }
    assert!(looked_at > 15, "{looked_at}");
}

#[test]
fn a_spool_ends_its_growth_before_its_volume_does_and_workers_are_added_up_to_the_fullest_queue() {
    for way in WAYS {
        let manifests = rendered(way);
        let mut spools = 0;
        for (_, pod) in pods(&manifests) {
            for volume in list(pod, "/volumes").filter(|volume| volume["emptyDir"].is_object()) {
                assert_eq!(volume["emptyDir"], serde_json::json!({ "sizeLimit": "21Gi" }));
                spools += 1;
            }
        }
        assert_eq!(spools, 2, "{way:?}");
        assert!(
            settings(&manifests).contains(&("CONNECTOR_WORKER__SPOOL_MAX".to_owned(), "20GiB".to_owned()))
        );
        for scaled in manifests.iter().filter(|manifest| manifest["kind"] == "ScaledObject") {
            let trigger = &scaled["spec"]["triggers"][0]["metadata"];
            let threshold: u64 = trigger["threshold"].as_str().unwrap().parse().unwrap();
            // The producer publishes no more of a backlog at 5000 jobs.
            assert_eq!(threshold * scaled["spec"]["maxReplicaCount"].as_u64().unwrap(), 5000);
            assert!(trigger["query"].as_str().unwrap().contains("max by (queue) (connector_queue_jobs{"));
        }
    }
}

#[test]
fn the_configuration_of_each_pod_is_read_with_secrets_as_a_cluster_lays_them() {
    for way in WAYS {
        let manifests = rendered(way);
        for (labels, pod) in pods(&manifests).into_iter().filter(|(labels, _)| component(labels) != "backup")
        {
            let folder = tempfile::tempdir().unwrap();
            let secrets = folder.path();
            fs::create_dir(secrets.join("..2026")).unwrap();
            symlink("..2026", secrets.join("..data")).unwrap();
            let projected = list(pod, "/volumes/1/projected/sources").map(|source| &source["secret"]);
            let volumes: Vec<_> = projected.chain(pod.pointer("/volumes/1/secret")).collect();
            let items = volumes
                .iter()
                .flat_map(|volume| list(volume, "/items"))
                .map(|item| item["path"].as_str().unwrap());
            let mut items: BTreeSet<_> = items.collect();
            if component(labels) == "command" {
                // All keys of the Secret.
                items.extend(["bynder", "imatag", "broker", "message_key", "page", "notify"]);
            }
            for item in items {
                assert!(document("docker-compose.yml").contains(&format!("\n  {item}: {{ file: ")), "{item}");
                let content = if item == "broker" {
                    "amqps://connector:password@rabbitmq.example/%2f"
                } else {
                    &"a".repeat(64)
                };
                fs::write(secrets.join("..2026").join(item), content).unwrap();
                symlink(format!("..data/{item}"), secrets.join(item)).unwrap();
            }
            let here = |text: &str| text.replace("/run/secrets", secrets.to_str().unwrap());
            let file = secrets.join("connector.toml");
            fs::write(&file, here(&document("deploy/connector.example.toml"))).unwrap();
            let own = list(pod, "/containers/0/env").map(|variable| {
                let text = |key: &str| variable[key].as_str().unwrap().to_owned();
                (text("name"), text("value"))
            });
            let variables: Vec<_> =
                settings(&manifests).into_iter().chain(own).map(|(key, value)| (key, here(&value))).collect();
            for port in list(pod, "/containers/0/ports") {
                let name = port["name"].as_str().unwrap().to_uppercase();
                let listen =
                    (format!("CONNECTOR_{name}__LISTEN"), format!("0.0.0.0:{}", port["containerPort"]));
                assert!(variables.contains(&listen), "{labels}: {listen:?}");
            }
            let mut command = Command::new(PROGRAM);
            command.env_clear().envs(variables).args(["config", "check", "--config"]).arg(&file);
            let checked = command.output().unwrap();
            assert!(checked.status.success() && checked.stderr.is_empty(), "{labels}: {checked:?}");
        }
    }
}

#[test]
fn every_manifest_is_in_the_table_of_the_page() {
    let page = document("docs/kubernetes.md");
    for way in WAYS {
        for manifest in rendered(way) {
            let name = manifest["metadata"]["name"].as_str().unwrap();
            // A generated name ends in a hash.
            let name =
                name.rsplit_once('-').filter(|(_, hash)| hash.len() == 10).map_or(name, |(name, _)| name);
            let listed = format!("| {} | `{name}`", manifest["kind"].as_str().unwrap());
            let is_one_of_many =
                ["connector-dashboard-", "connector-"].iter().any(|start| name.starts_with(start));
            assert!(is_one_of_many || page.contains(&listed), "{listed}");
        }
    }
}

/// Only root can make such volumes: any other user's run of this test proves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_library_is_protected_on_volumes_with_the_owners_and_modes_that_a_kubelet_gives_them() {
    const USER: u32 = 65_532;
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let bench = Bench::new(quick()).await;
    let set_mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    set_mode(bench.folder.path(), 0o755);
    for (name, mode) in
        [("claim", 0o2775), ("empty", 0o2777), ("secrets", 0o3777), ("secrets/..2026", 0o2755)]
    {
        fs::create_dir(bench.path(name)).unwrap();
        chown(bench.path(name), Some(0), Some(USER)).unwrap();
        set_mode(&bench.path(name), mode);
    }
    let token = bench.sandbox.announcement().token.clone();
    let secret = bench.path("secrets/..2026/bynder");
    fs::write(&secret, &token).unwrap();
    chown(&secret, Some(0), Some(USER)).unwrap();
    set_mode(&secret, 0o440);
    symlink("..2026", bench.path("secrets/..data")).unwrap();
    symlink("..data/bynder", bench.path("secrets/bynder")).unwrap();
    let at = |name: &str| bench.path(name).display().to_string();
    bench.reconfigure(&format!("'{token}'"), &format!("{{ file = '{}' }}", at("secrets/bynder")));
    bench.reconfigure(&format!("'{}'", at("state")), &format!("'{}'", at("claim/state")));
    bench.reconfigure(&format!("'{}'", at("spool")), &format!("'{}'", at("empty/spool")));
    for name in ["first.jpg", "second.jpg"] {
        let id = bench.sandbox.add_asset(picture(name, 1)).unwrap();
        let mut command = bench.command(&["sync", "--full", "--quiet"]);
        Ran::new(command.uid(USER).gid(USER).output().await.unwrap()).assert_code(0);
        assert!(is_protected(&bench.asset(&id)), "{name}");
        // As at a mount that changes what is there for the group.
        set_mode(&bench.path("claim/state"), 0o2770);
        for file in fs::read_dir(bench.path("claim/state")).unwrap().flatten() {
            set_mode(&file.path(), 0o660);
        }
    }
}
