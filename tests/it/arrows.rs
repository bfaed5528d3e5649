//! What may know what: of the crates, where the compiler does not hold them apart, and of the modules of `common`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::documents::document;

/// Every file below a folder of sources, with its path.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                return sources(&path);
            }
            let source = std::fs::read_to_string(&path).unwrap();
            vec![(path, source)]
        })
        .collect()
}

/// The modules of a crate that a source names, but for its comments and its tests.
fn modules(source: &str, of: &str) -> BTreeSet<String> {
    let source = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let code: String = source.lines().map(|line| line.split("//").next().unwrap()).collect();
    code.split(&format!("{of}::")).skip(1).flat_map(first_names).filter(|name| !name.is_empty()).collect()
}

/// The first name of a path, or of each in a list of them.
fn first_names(path: &str) -> Vec<String> {
    let is_of_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    let name = |path: &str| path.trim_start().split(|letter| !is_of_name(letter)).next().unwrap().to_owned();
    let Some(list) = path.strip_prefix('{') else { return vec![name(path)] };
    let (mut names, mut depth) = (vec![name(list)], 1);
    for (at, letter) in list.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            ',' if depth == 1 => names.push(name(&list[at + 1..])),
            _ => {}
        }
    }
    names
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What a crate of this folder names in its manifest, its tests aside.
pub(crate) fn needed_by(folder: &str) -> BTreeSet<String> {
    let manifest: toml::Table = document(&format!("{folder}/Cargo.toml")).parse().unwrap();
    manifest["dependencies"].as_table().unwrap().keys().cloned().collect()
}

/// The names of this project's crates, with the folder of each.
pub(crate) fn crates() -> BTreeMap<String, String> {
    let workspace: toml::Table = document("Cargo.toml").parse().unwrap();
    let members = workspace["workspace"]["members"].as_array().unwrap().iter();
    members
        .map(|member| {
            let folder = member.as_str().unwrap();
            let manifest: toml::Table = document(&format!("{folder}/Cargo.toml")).parse().unwrap();
            (manifest["package"]["name"].as_str().unwrap().to_owned(), folder.to_owned())
        })
        .collect()
}

#[test]
fn a_lower_crate_needs_no_higher_one() {
    let layers = [
        "common",
        "tasks files sample_files",
        "http_client cli ledger",
        "bynder imatag media notify queue",
        "amqp budget config decide",
        "breakers rabbitmq telemetry traces",
        "wiring sandbox laws",
        "standing restore",
        "page",
        "worker producer",
        "connector",
        "bench system-tests",
    ];
    let layer = |name: &str| layers.iter().position(|layer| layer.split(' ').any(|member| member == name));
    for (name, folder) in crates() {
        let own = layer(&name).unwrap_or_else(|| panic!("{name} has no layer"));
        for needed in needed_by(&folder) {
            if let Some(other) = layer(&needed) {
                assert!(other < own, "{name} needs {needed}");
            }
        }
    }
}

#[test]
fn plain_types_and_decisions_need_no_runtime_no_network_and_no_database() {
    for other in ["tokio", "tokio-util", "reqwest", "lapin", "rusqlite", "axum"] {
        for pure in ["common", "crates/decide"] {
            assert!(!needed_by(pure).contains(other), "{pure}: {other}");
        }
    }
}

#[test]
fn what_reads_files_knows_plain_types_alone() {
    let own = crates();
    let used: Vec<_> = needed_by("crates/media").into_iter().filter(|name| own.contains_key(name)).collect();
    assert_eq!(used, ["common"]);
    for (_, source) in sources(&root().join("crates/media/src")) {
        for module in modules(&source, "common") {
            assert!(["check", "content", "fault", "hash", "prose"].contains(&&*module), "common::{module}");
        }
    }
}

/// What it judges must not have its own code for a judge: it has what starts a program, a task and a log,
/// and the files of its library.
#[test]
fn the_sandbox_shares_no_code_with_the_client_that_it_audits() {
    let own = crates();
    let used: BTreeSet<_> = needed_by("sandbox").into_iter().filter(|name| own.contains_key(name)).collect();
    assert_eq!(used, ["cli", "sample_files", "tasks"].map(str::to_owned).into());
}

/// The folders of modules below this one, itself included, each with its path in the code.
fn folders(folder: &Path, path: &str) -> Vec<(PathBuf, String)> {
    let below = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below = below.filter(|path| path.is_dir()).flat_map(|inner| {
        let name = inner.file_name().unwrap().to_str().unwrap();
        folders(&inner, &format!("{path}::{name}"))
    });
    [(folder.to_owned(), path.to_owned())].into_iter().chain(below).collect()
}

/// Each module of a folder, with those of the same folder that it names.
fn arrows_of(folder: &Path, path: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, source) in sources(folder) {
        let file = file.strip_prefix(folder).unwrap();
        let name = file.iter().next().unwrap().to_str().unwrap();
        let is_test = file.ends_with("tests.rs") || file.iter().any(|part| part == "tests");
        if !["lib.rs", "main.rs", "mod.rs"].contains(&name) && !is_test {
            let depth = file.components().count() - usize::from(file.ends_with("mod.rs"));
            let upwards = vec!["super"; depth].join("::");
            // One step further leaves the folder.
            let source = source.replace(&format!("super::{upwards}::"), "");
            let named = arrows.entry(name.trim_end_matches(".rs").to_owned()).or_default();
            named.extend(modules(&source, path));
            named.extend(modules(&source, &upwards));
        }
    }
    let known: BTreeSet<_> = arrows.keys().cloned().collect();
    for (module, named) in &mut arrows {
        named.retain(|other| known.contains(other) && other != module);
    }
    arrows
}

#[test]
fn no_modules_of_a_folder_need_each_other() {
    for (name, folder) in crates() {
        for (folder, path) in folders(&root().join(folder).join("src"), "crate") {
            let mut arrows = arrows_of(&folder, &path);
            // What needs nothing that is left is in no cycle.
            while let Some(leaf) =
                arrows.iter().find(|(_, named)| named.is_empty()).map(|(leaf, _)| leaf.clone())
            {
                arrows.remove(&leaf);
                for named in arrows.values_mut() {
                    named.remove(&leaf);
                }
            }
            assert!(arrows.is_empty(), "a cycle of {name} {path} is among these: {arrows:#?}");
        }
    }
}
