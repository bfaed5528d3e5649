//! What the documents show of a composition can be added to it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value};

use crate::compose::VARIANTS;
use crate::documents::{blocks, document, pages};
use crate::harness::PROGRAM;
use crate::manifests::{list, root};

/// The output of a tool that `./test` installs.
fn tool(name: &str, arguments: &[&str], file: &Path) -> Vec<u8> {
    let program = root().join("target/linters/bin").join(name);
    assert!(program.exists(), "run ./test");
    let output = Command::new(program).args(arguments).arg(file).output().unwrap();
    assert!(output.status.success(), "{}: {output:?}", file.display());
    output.stdout
}

fn parsed(yaml: &Path) -> Value {
    let script = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    serde_json::from_slice(&tool("python", &["-c", script], yaml)).unwrap()
}

fn entries<'a>(value: &'a Value, section: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value[section].as_object().into_iter().flatten()
}

#[test]
fn every_piece_of_yaml_fits_the_format_of_a_composition_and_changes_what_is_there() {
    let whole = ["docker-compose.yml", "docker-compose.single.yml"].map(|name| parsed(&root().join(name)));
    let folder = tempfile::tempdir().unwrap();
    let mut found = 0;
    for page in pages() {
        for piece in blocks(&document(&page), "yaml") {
            let file = folder.path().join(format!("{}.yml", page.replace('/', "-")));
            std::fs::write(&file, &piece).unwrap();
            tool("check-jsonschema", &["--builtin-schema", "vendor.compose-spec"], &file);
            let piece = parsed(&file);
            for section in ["services", "networks"] {
                for (name, _) in entries(&piece, section) {
                    let is_there = whole.iter().any(|whole| whole[section].get(name).is_some());
                    assert!(is_there, "{page}: {name}");
                }
            }
            for (name, service) in entries(&piece, "services") {
                for secret in list(service, "/secrets") {
                    assert!(piece["secrets"][secret.as_str().unwrap()].is_object(), "{page}: {secret}");
                }
                if let Some(image) = service["image"].as_str() {
                    assert_pins(image);
                }
                if let Some(variables) = service["environment"].as_object() {
                    assert_can_be_set(&page, variables, &whole[0]["services"][name], service);
                }
            }
            found += 1;
        }
    }
    assert!(found >= 4, "{found}");
}

/// Fails unless it is an image of the composition, with a digest.
fn assert_pins(image: &str) {
    let (image, digest) = image.split_once('@').unwrap();
    let fleet = document("deploy/compose/fleet.yml");
    assert!(fleet.contains(&format!("image: {image}\n")) && digest.starts_with("sha256:"), "{image}");
}

/// Fails unless the program takes these variables with the example's configuration, and those without a value were set.
fn assert_can_be_set(page: &str, variables: &Map<String, Value>, before: &Value, after: &Value) {
    let folder = tempfile::tempdir().unwrap();
    let here = |text: &str| text.replace("/run/secrets", folder.path().to_str().unwrap());
    let added: BTreeSet<_> = list(after, "/secrets").filter_map(Value::as_str).collect();
    for secret in ["bynder", "imatag"].into_iter().chain(added) {
        std::fs::write(folder.path().join(secret), secret.repeat(8)).unwrap();
    }
    let configuration = folder.path().join("connector.toml");
    std::fs::write(&configuration, here(&document("deploy/connector.example.toml"))).unwrap();
    let mut command = Command::new(PROGRAM);
    // What the composition gives in any case.
    command.env_clear().env("CONNECTOR_PAGE__LISTEN", "127.0.0.1:9092");
    for (name, value) in variables {
        match value {
            Value::Null => assert!(before["environment"].get(name).is_some(), "{page}: {name} is not set"),
            value => {
                command.env(name, here(value.as_str().unwrap()));
            }
        }
    }
    let checked = command.args(["config", "check", "--config"]).arg(&configuration).output().unwrap();
    assert!(checked.status.success() && checked.stderr.is_empty(), "{page}: {checked:?}");
}

#[test]
fn each_list_of_compositions_names_the_first_and_what_leaves_a_part_of_it_out() {
    let mut named = BTreeSet::new();
    for page in pages() {
        for list in blocks(&document(&page), "text") {
            let Some(list) = list.trim().strip_prefix("COMPOSE_FILE=") else { continue };
            let (first, others) = list.split_once(':').unwrap();
            assert_eq!(first, "docker-compose.yml", "{page}");
            named.extend(others.split(':').map(ToOwned::to_owned));
        }
    }
    assert_eq!(named, VARIANTS.map(ToOwned::to_owned).into());
}
