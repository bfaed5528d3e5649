//! The composition: nothing in it is undocumented, and nothing documented is missing.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use common::failure::Failure;

use crate::documents::document;
use crate::harness::broker::free_ports;
use crate::harness::serving::{Serving, stop};
use crate::harness::{client, quick, until_async};

const COMPOSITIONS: [&str; 4] = [
    "docker-compose.yml",
    "docker-compose.demo.yml",
    "deploy/compose/fleet.yml",
    "docker-compose.single.yml",
];

/// What is added to docker-compose.yml to leave a part of it out.
pub(crate) const VARIANTS: [&str; 2] = ["deploy/compose/own-broker.yml", "deploy/compose/own-monitoring.yml"];

/// Passed on from where compose runs.
const PROXIES: [&str; 4] = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"];
const CERTIFICATES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// What turns traces on.
const TRACES: [&str; 3] = ["COMPOSE_PROFILES", "OTEL_EXPORTER_OTLP_ENDPOINT", "CONNECTOR_TRACES__ALLOW_HTTP"];

pub(crate) fn compositions() -> Vec<String> {
    COMPOSITIONS.iter().chain(&VARIANTS).map(|name| document(name)).collect()
}

/// What stands in backticks at the beginning of a cell of the page's tables.
fn documented(page: &str, column: usize) -> BTreeSet<String> {
    let rows = page.lines().filter(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.trim_matches('|').split('|').nth(column));
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// The keys directly below a key of the outermost level.
pub(crate) fn keys(text: &str, section: &str) -> BTreeSet<String> {
    let lines = text.lines().skip_while(|line| *line != format!("{section}:")).skip(1);
    let lines = lines.take_while(|line| line.is_empty() || line.starts_with([' ', '#']));
    let keys = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   ") && !line.contains('#'));
    keys.map(|line| line.trim().split(':').next().unwrap_or_default().to_owned()).collect()
}

/// What stands in all lists of ports, each of which has to be on one line.
fn published(text: &str) -> Vec<&str> {
    let lists = text.lines().filter_map(|line| line.trim().strip_prefix("ports:"));
    let entries = lists.flat_map(|list| {
        list.trim().strip_prefix('[').and_then(|list| list.strip_suffix(']')).expect(list).split(',')
    });
    entries.map(|entry| entry.trim().trim_matches('"')).collect()
}

#[test]
fn every_variable_is_explained_in_the_example_and_in_the_page_on_running_it_and_no_other() {
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let mut used = BTreeSet::new();
    for text in compositions() {
        // In braces and without; two dollar signs are one, and no variable.
        let rests = text
            .match_indices('$')
            .filter(|(at, _)| !text[..*at].ends_with('$'))
            .map(|(at, _)| &text[at + 1..]);
        let names = rests.filter(|rest| !rest.starts_with('$')).map(|rest| rest.trim_start_matches('{'));
        used.extend(names.map(|rest| rest.split(|c| !is_name(c)).next().unwrap().to_owned()));
    }
    let example = document(".env.example");
    // What is not set by default is commented out: an empty value is not the same as none.
    let explained = example.lines().filter(|line| !line.starts_with("# "));
    let explained: BTreeSet<_> = explained
        .filter_map(|line| Some(line.trim_start_matches('#').split_once('=')?.0.to_owned()))
        .collect();
    let passed_on = PROXIES.iter().chain(&CERTIFICATES).chain(&TRACES);
    used.extend(passed_on.chain(&["COMPOSE_FILE"]).map(|name| (*name).to_owned()));
    assert_eq!(explained, used);
    let page = document("docs/running.md");
    let page: BTreeSet<_> = documented(&page, 0).union(&documented(&page, 1)).cloned().collect();
    assert!(used.is_subset(&page), "{used:?} {page:?}");
}

#[test]
fn every_service_volume_and_port_is_in_the_page_on_running_it() {
    let page = document("docs/running.md");
    for text in compositions() {
        for service in keys(&text, "services") {
            assert!(documented(&page, 0).contains(&service), "service {service}");
        }
        for volume in keys(&text, "volumes") {
            assert!(documented(&page, 2).contains(&volume), "volume {volume}");
        }
        for published in published(&text) {
            let (address, rest) = published.split_once(':').unwrap();
            assert_eq!(address, "127.0.0.1", "only this machine's own browser has any business there");
            let port = rest.rsplit(':').next().unwrap();
            assert!(page.contains(&format!("| {port} | `")), "port {port}");
        }
    }
}

#[tokio::test]
async fn the_demos_configuration_opens_the_demos_sandbox() {
    let demo: toml::Table = document("deploy/demo/connector.toml").parse().unwrap();
    let sandbox = sandbox::start(sandbox::Options { seed: 1, ..quick() }).await.unwrap();
    let announced = sandbox.announcement();
    let text = |section: &str, key: &str| demo[section][key].as_str().unwrap().to_owned();
    assert_eq!(text("bynder", "hash_metaproperty"), announced.hash_metaproperty);
    assert_eq!(text("imatag", "directory"), announced.directory);
    let composition = document("docker-compose.demo.yml");
    let secrets =
        [format!("SANDBOX_TOKEN: {}", announced.token), format!("SANDBOX_API_KEY: {}", announced.api_key)];
    for given in ["--seed, \"1\""].into_iter().chain(secrets.iter().map(String::as_str)) {
        assert!(composition.contains(given), "{given}");
    }
}

#[test]
fn the_example_and_the_demos_configuration_are_read() {
    for name in ["deploy/connector.example.toml", "deploy/demo/connector.toml"] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), document(name)).unwrap();
        let loaded = config::Config::load(Some(file.path()), files::written::Chosen::Named, &[]);
        loaded.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn a_killed_worker_holds_up_no_job_of_the_demo_longer_than_its_last_rung() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), document("deploy/demo/connector.toml")).unwrap();
    let config = config::Config::load(Some(file.path()), files::written::Chosen::Named, &[]).unwrap().config;
    let last = config.queue.rungs.last().unwrap().0;
    assert!(config.imatag.wire().unwrap().submit_patience() < last);
    assert!(config.worker.request_timeout.0 < last);
}

#[test]
fn plain_amqp_is_allowed_where_it_is_used_and_its_network_is_internal() {
    for name in &COMPOSITIONS[..2] {
        let text = document(name);
        // The URL is one of these two; make-secrets writes the other.
        assert_eq!(
            text.matches("amqp://").count() + text.matches("/run/secrets/broker").count(),
            1,
            "{name}"
        );
        assert_eq!(text.matches("CONNECTOR_BROKER__ALLOW_PLAIN: \"true\"").count(), 1, "{name}");
        assert!(text.contains("\n  fleet: { internal: true }\n"), "{name}");
    }
    let fleet = document("deploy/compose/fleet.yml");
    assert!(service(&fleet, "rabbitmq").contains("networks: [fleet, management]"));
}

#[test]
fn a_worker_has_longer_to_stop_than_it_takes() {
    let fleet = document("deploy/compose/fleet.yml");
    let (_, worker) = fleet.split_once("\n  worker:\n").unwrap();
    let grace = worker.split("stop_grace_period: ").nth(1).unwrap().split('s').next().unwrap();
    let takes = config::WorkerSection::default().grace.0 + worker::AFTER_GRACE;
    assert!(Duration::from_secs(grace.parse().unwrap()) > takes + Duration::from_secs(3));
}

#[test]
fn a_machine_alone_has_longer_to_stop_than_it_takes_and_writes_no_core_dumps() {
    let takes = config::WorkerSection::default().grace.0 + worker::AFTER_GRACE;
    let (composition, unit) =
        (document("docker-compose.single.yml"), document("deploy/systemd/connector.service"));
    for (text, key) in [(&composition, "stop_grace_period: "), (&unit, "TimeoutStopSec=")] {
        let grace = text.split(key).nth(1).unwrap().split('s').next().unwrap();
        assert!(Duration::from_secs(grace.parse().unwrap()) > takes + Duration::from_secs(3), "{key}{grace}");
    }
    assert!(composition.contains("ulimits: { core: 0 }") && unit.contains("LimitCORE=0"));
    assert!(
        composition.contains("command: [connector, serve,") && unit.contains("ExecStart=connector serve ")
    );
    assert!(unit.contains("Type=notify\n") && unit.contains("WatchdogSec="));
    assert!(unit.contains("landlock_restrict_self seccomp\n"), "readers restrict themselves");
    let refused = format!(
        "RestartPreventExitStatus={} {}\n",
        Failure::Usage(String::new()).code(),
        Failure::Configuration(String::new()).code()
    );
    assert!(unit.contains(&refused), "a start that cannot succeed is not repeated");
}

#[test]
fn everything_that_is_mounted_is_there_and_found_where_it_is_looked_for() {
    let fleet = document("deploy/compose/fleet.yml");
    let mounts: Vec<_> =
        fleet.lines().filter_map(|line| line.trim().strip_prefix("- ../")?.split_once(':')).collect();
    assert!(mounts.len() > 4, "{mounts:?}");
    for (source, _) in &mounts {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy").join(source);
        assert!(path.exists(), "{source}");
    }
    let dashboards = mounts.iter().find(|(source, _)| *source == "grafana/dashboards").unwrap().1;
    let dashboards = dashboards.strip_suffix(":ro,z").unwrap();
    let provider = document("deploy/grafana/provisioning/dashboards/connector.yml");
    assert!(provider.contains(&format!("path: {dashboards}\n")));
    assert!(fleet.contains(&format!("HOME_DASHBOARD_PATH: {dashboards}/library.json\n")));
}

#[test]
fn the_images_say_which_release_they_hold() {
    let dockerfile = document("Dockerfile");
    let label = format!("org.opencontainers.image.version=\"{}\"", env!("CARGO_PKG_VERSION"));
    assert_eq!(dockerfile.matches(&label).count(), 2);
    let version = concat!("CONNECTOR_VERSION:-", env!("CARGO_PKG_VERSION"), "}\n");
    let image = format!("image: ${{CONNECTOR_IMAGE:-bynder-imatag-connector}}:${{{version}");
    for name in &COMPOSITIONS[2..] {
        assert_eq!(document(name).matches(&image).count(), 1, "{name}");
    }
    let example = document(".env.example");
    assert!(example.contains(concat!("\nCONNECTOR_VERSION=", env!("CARGO_PKG_VERSION"), "\n")), "{example}");
}

#[test]
fn one_service_builds_each_image_and_the_others_take_it() {
    let texts = compositions();
    let fleet = &texts[2];
    let (_, services) = fleet.split_once("\nservices:\n").unwrap();
    assert_eq!(services.matches("\n    build:").count(), 1);
    assert_eq!(services.matches("pull_policy: never").count(), 2);
}

/// The lines of one service.
pub(crate) fn service<'a>(text: &'a str, name: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("\n  {name}:\n")).unwrap();
    rest.split("\n\n").next().unwrap()
}

#[test]
fn the_command_line_has_a_service_with_the_producers_state_a_spool_and_the_working_folder() {
    let texts = compositions();
    let cli = service(&texts[2], "cli");
    for given in [
        "<<: *program",
        "profiles: [tools]",
        "entrypoint: [connector, --config, /etc/connector/connector.toml]",
        "CONNECTOR_PRODUCER__STATE_DIR: /var/lib/connector",
        "CONNECTOR_WORKER__SPOOL_DIR: /var/spool/connector",
        "volumes: [state:/var/lib/connector, /var/spool/connector]",
        "working_dir: /work",
    ] {
        assert!(cli.contains(given), "{given}");
    }
    for text in &texts[..2] {
        let (cli, worker) = (service(text, "cli"), service(text, "worker"));
        assert!(cli.contains("\".:/work:ro,z\""), "{cli}");
        // It reaches and knows what a worker does.
        let shared = worker.lines().filter(|line| line.contains("environment:") || line.contains("secrets:"));
        for line in shared {
            assert!(cli.contains(line.trim_end_matches(']')), "{line}");
        }
    }
}

#[test]
fn proxies_and_certificates_are_passed_on_to_whatever_goes_out_and_stay_unset_where_they_are_not_set() {
    let text = document("docker-compose.yml");
    let single = document("docker-compose.single.yml");
    let (_, network) = text.split_once("x-network: &network\n").unwrap();
    let (network, _) = network.split_once("\n\n").unwrap();
    let proxies = PROXIES.iter().flat_map(|name| [(*name).to_owned(), name.to_lowercase()]);
    for name in proxies.chain(CERTIFICATES.map(str::to_owned)) {
        for place in [network, &single] {
            assert!(place.lines().any(|line| line.trim() == format!("{name}:")), "{name}: {place}");
        }
    }
    for name in CERTIFICATES {
        let mount = format!("source: ${{{name}:-/dev/null}}\n");
        assert!(text.contains(&mount) && single.contains(&mount), "{name}");
    }
    for name in ["producer", "worker", "cli"] {
        assert!(service(&text, name).contains("<<: [*broker, *network, *traces]"), "{name}");
    }
    let page = document("docs/network.md");
    let (_, page) = page.split_once("## Proxies and certificates").unwrap();
    for name in PROXIES.iter().chain(&CERTIFICATES) {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}

#[test]
fn traces_are_kept_only_where_the_page_says_how_to_ask_for_them_and_by_no_port_of_the_machine() {
    let [fleet, _, shared, single] = COMPOSITIONS.map(document);
    let tempo = service(&shared, "tempo");
    assert!(tempo.contains("profiles: [traces]") && !tempo.contains("ports:"), "{tempo}");
    assert!(service(&single, "grafana").contains("profiles: [traces]"));
    let (page, example) = (document("docs/traces.md"), document(".env.example"));
    for (name, value) in TRACES.iter().zip(["traces", "http://tempo:4318", "true"]) {
        assert!(page.contains(&format!("\n{name}={value}")), "{name}");
        assert!(example.contains(&format!("\n#{name}={value}\n")), "{name}");
    }
    for text in [&fleet, &single] {
        for name in &TRACES[1..] {
            assert_eq!(text.matches(&format!("  {name}:\n")).count(), 1, "{name}");
        }
    }
    let settings = document("deploy/tempo/tempo.yml");
    assert!(settings.contains("endpoint: 0.0.0.0:4318\n") && settings.contains("http_listen_port: 3200\n"));
    let source = document("deploy/grafana/provisioning/datasources/tempo.yml");
    assert!(source.contains("url: http://tempo:3200\n"));
}

#[test]
fn no_container_has_a_secret_in_its_environment_or_writes_core_dumps() {
    let texts = compositions();
    for line in texts[0].lines().filter(|line| line.contains("PASSWORD") || line.contains("amqp")) {
        assert!(line.contains("__FILE: /run/secrets/"), "{line}");
    }
    let (_, hardened) = texts[2].split_once("x-hardened: &hardened\n").unwrap();
    assert!(hardened.split("\n\n").next().unwrap().contains("  ulimits: { core: 0 }\n"));
    assert_eq!(texts[2].matches("<<: *hardened").count(), 6, "the broker, what watches, and all programs");
    assert!(service(&texts[1], "sandbox").contains("    ulimits: { core: 0 }\n"));
}

#[test]
fn the_demos_broker_gives_the_fleet_no_more_rights_than_a_real_one_whatever_the_prefix() {
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/rabbitmq/make-secrets");
    let run_script = || std::process::Command::new(script).current_dir(&folder).output().unwrap();
    // As an earlier release's instructions left it.
    let secrets = folder.path().join("secrets");
    std::fs::create_dir(&secrets).unwrap();
    std::fs::set_permissions(&secrets, Permissions::from_mode(0o755)).unwrap();
    assert!(run_script().status.success());
    assert_eq!(secrets.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert!(std::fs::read_to_string(secrets.join("page")).unwrap().trim().len() >= 24);
    let made = std::fs::read_to_string(folder.path().join("secrets/definitions")).unwrap();
    let demo = document("deploy/demo/definitions.json").replace("\"demo\"", "\"connector\"");
    assert_eq!(read(&demo)["permissions"], read(&made)["permissions"]);
    let with_prefix = |prefix: &str| {
        let folder = tempfile::tempdir().unwrap();
        let ran = std::process::Command::new(script).arg(prefix).current_dir(&folder).output().unwrap();
        let made = std::fs::read_to_string(folder.path().join("secrets/definitions"));
        ran.status.success().then(|| read(&made.unwrap())["permissions"][0]["read"].clone())
    };
    assert_eq!(with_prefix("acme.eu").unwrap(), r"^(acme\.eu|connector)\.");
    for wrong in ["a\"b", "x|.*", r"a\d", "a b", "ä", ".*", "a\nb"] {
        assert_eq!(with_prefix(wrong), None, "{wrong:?}");
    }
    let again = run_script();
    let said = String::from_utf8(again.stderr).unwrap();
    assert!(!again.status.success() && said.contains("secrets/broker exists"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_that_a_composition_publishes_answers_to_its_token_alone() {
    let variable = |text: &str, name: &str| {
        let (_, rest) = text.split_once(&format!("      {name}: ")).unwrap();
        rest.lines().next().unwrap().to_owned()
    };
    let [fleet, demo, _, single] = COMPOSITIONS.map(document);
    let tokens = variable(&single, "CONNECTOR_PAGE__TOKENS");
    assert_eq!(variable(&fleet, "CONNECTOR_PAGE__TOKENS"), tokens);
    assert!(variable(&demo, "DEMO_PAGE_TOKEN").len() >= 24);
    let serving = Serving::new(quick()).await;
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "the-token-of-this-composition\n").unwrap();
    let tokens: String = serde_json::from_str(&tokens).unwrap();
    let tokens = tokens.replace("/run/secrets/page", token.path().to_str().unwrap());
    let [port] = free_ports();
    let listen = variable(&single, "CONNECTOR_PAGE__LISTEN").replace("9092", &port.to_string());
    let running = serving
        .start(&["--full"], &[("CONNECTOR_PAGE__LISTEN", &*listen), ("CONNECTOR_PAGE__TOKENS", &tokens)]);
    let client = client();
    let status = async |token: &str| {
        let asked = client.get(format!("http://localhost:{port}/api/v1/overview")).bearer_auth(token);
        asked.send().await.map_or(0, |answer| answer.status().as_u16())
    };
    until_async(async || status("the-token-of-this-composition").await == 200).await;
    assert_eq!(status("the-token-of-another-composition").await, 401);
    let anyone = client.get(format!("http://localhost:{port}/failed")).send().await.unwrap();
    assert_eq!(anyone.headers()["location"], "/login?next=%2Ffailed");
    stop(running).await;
}
