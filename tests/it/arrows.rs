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

#[test]
fn what_reads_files_knows_plain_types_alone() {
    let manifest: toml::Table = document("crates/media/Cargo.toml").parse().unwrap();
    let used: Vec<_> = manifest["dependencies"].as_table().unwrap().keys().cloned().collect();
    for other in ["connector", "producer", "worker", "sandbox", "reqwest", "lapin"] {
        assert!(!used.iter().any(|name| name == other), "{other}");
    }
    for (_, source) in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/media/src")) {
        for module in modules(&source, "common") {
            assert!(["check", "content", "fault", "hash"].contains(&&*module), "common::{module}");
        }
    }
}

/// What it judges must not have its own code for a judge.
#[test]
fn the_sandbox_shares_no_code_with_the_client_that_it_audits() {
    for (path, source) in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../sandbox/src")) {
        // A test holds the two parsers of markers against each other.
        if path.ends_with("audit/marker/tests.rs") {
            continue;
        }
        for module in modules(&source, "common") {
            let known = ["output", "program", "task", "telemetry"];
            assert!(known.contains(&&*module), "{}: common::{module}", path.display());
        }
    }
}

/// Each module of `common`, with those that it names.
fn arrows_of_common() -> BTreeMap<String, BTreeSet<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../common/src");
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, source) in sources(&folder) {
        let path = path.strip_prefix(&folder).unwrap();
        let name = path.iter().next().unwrap().to_str().unwrap();
        let is_test = path.ends_with("tests.rs") || path.iter().any(|part| part == "tests");
        if name != "lib.rs" && !is_test {
            arrows
                .entry(name.trim_end_matches(".rs").to_owned())
                .or_default()
                .extend(modules(&source, "crate"));
        }
    }
    let known: BTreeSet<_> = arrows.keys().cloned().collect();
    for (module, named) in &mut arrows {
        named.retain(|other| known.contains(other) && other != module);
    }
    arrows
}

#[test]
fn no_modules_of_common_need_each_other() {
    let mut arrows = arrows_of_common();
    assert!(arrows.values().flatten().count() > 100, "{arrows:?}");
    // What needs nothing that is left is in no cycle.
    while let Some(leaf) = arrows.iter().find(|(_, named)| named.is_empty()).map(|(leaf, _)| leaf.clone()) {
        arrows.remove(&leaf);
        for named in arrows.values_mut() {
            named.remove(&leaf);
        }
    }
    assert!(arrows.is_empty(), "a cycle is among these: {arrows:#?}");
}

#[test]
fn the_plain_types_of_common_need_nothing_but_each_other() {
    let plain: Vec<_> =
        "address asset bounded check content excerpt file_name hash ids job kind marker nearest outcome \
         parse_error service_id span"
            .split(' ')
            .collect();
    let arrows = arrows_of_common();
    for module in &plain {
        // A file's name is cleaned as the terminal's lines are.
        let other = arrows[*module].iter().find(|named| !plain.contains(&&***named) && *named != "output");
        assert_eq!(other, None, "{module}");
    }
}
