//! What the documents show can be read by the program.

use std::collections::BTreeSet;
use std::path::Path;

use common::job::Job;
use config::Config;
use serde_json::Value;

use crate::harness::fleet::{PRODUCER, WORKER};

pub(crate) fn document(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)).unwrap()
}

/// The fenced blocks of one language, indentation removed.
pub(crate) fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        match (line.trim(), &mut open) {
            ("```", Some(block)) => {
                blocks.push(std::mem::take(block));
                open = None;
            }
            (start, None) if start.strip_prefix("```") == Some(language) => open = Some(String::new()),
            (_, Some(block)) => {
                block.push_str(line);
                block.push('\n');
            }
            _ => {}
        }
    }
    blocks
}

#[test]
fn every_documented_configuration_is_read() {
    for name in ["README.md", "docs/configuration.md"] {
        let samples = blocks(&document(name), "toml");
        assert!(!samples.is_empty(), "{name}");
        // What a page shows piece by piece goes into one file.
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), samples.concat()).unwrap();
        let loaded = Config::load(Some(file.path()), files::written::Chosen::Named, &[])
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(loaded.warnings.is_empty(), "{name}: {:?}", loaded.warnings);
        loaded.config.imatag.wire().unwrap();
    }
}

/// Puts the keys of one table into another, section by section.
fn merge(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(there)), toml::Value::Table(more)) => merge(there, more),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

#[test]
fn every_piece_of_a_configuration_in_the_documents_fits_into_a_whole_one() {
    let whole = blocks(&document("README.md"), "toml")[0].clone();
    for page in pages() {
        for sample in blocks(&document(&page), "toml") {
            let mut table: toml::Table = whole.parse().unwrap();
            merge(&mut table, sample.parse().unwrap_or_else(|error| panic!("{page}: {error}")));
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), table.to_string()).unwrap();
            Config::load(Some(file.path()), files::written::Chosen::Named, &[])
                .unwrap_or_else(|error| panic!("{page}: {error}"));
        }
    }
}

/// A wrong option is another exit code than a configuration that is not there.
#[test]
fn every_documented_command_of_producer_and_worker_can_be_typed() {
    let mut tried = BTreeSet::new();
    for page in pages() {
        let lines = blocks(&document(&page), "sh").concat();
        for line in lines.lines().filter_map(|line| line.split(" #").next()) {
            let words: Vec<_> = line.split_whitespace().collect();
            let at = words.iter().rposition(|word| matches!(*word, "producer" | "worker"));
            let Some((at, program)) =
                at.map(|at| (at, if words[at] == "worker" { WORKER } else { PRODUCER }))
            else {
                continue;
            };
            // In a container, in a pod or as a job; otherwise it is the name of a service, of a pod or of an image.
            if !matches!(
                words[..at],
                [] | [.., "run", "--rm", "producer" | "worker"] | [.., "--"] | [.., "job", _]
            ) {
                continue;
            }
            let arguments = words[at + 1..].iter().take_while(|word| !matches!(**word, "|" | ">" | "&&"));
            let mut command = std::process::Command::new(program);
            let output = command.args(arguments).args(["--config", "nowhere.toml"]).output().unwrap();
            assert_eq!(output.status.code(), Some(3), "{page}: {line}: {output:?}");
            tried.insert(line.to_owned());
        }
    }
    assert!(tried.len() >= 4, "{tried:?}");
}

#[test]
fn every_documented_script_is_one_for_a_shell() {
    for page in pages() {
        for script in blocks(&document(&page), "sh") {
            let output = std::process::Command::new("bash").args(["-n", "-c", &script]).output().unwrap();
            assert!(output.status.success(), "{page}: {script}{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn the_page_on_operations_says_what_to_do_about_each_failure_class_and_exit_code() {
    let page = document("docs/operations.md");
    for class in common::outcome::FailureClass::ALL {
        assert!(page.contains(&format!("\n| `{}` | ", class.name())), "{}", class.name());
    }
    for code in [0, 1, 2, 3, 4, 5, 6, 8] {
        assert!(page.contains(&format!("\n| {code} | ")), "{code}");
    }
}

#[test]
fn the_documented_message_is_a_job_as_it_is_published() {
    let samples = blocks(&document("docs/queue.md"), "json");
    let job = Job::decode(samples[0].as_bytes()).unwrap();
    assert_eq!(String::from_utf8(job.encode().unwrap()).unwrap(), samples[0].trim());
}

#[test]
fn the_documented_overrides_fit_the_builtin_profile() {
    for sample in blocks(&document("docs/imatag.md"), "toml") {
        let table: toml::Table = sample.parse().unwrap();
        let overrides = table["imatag"]["profile_overrides"].as_table().unwrap();
        imatag::Profile::load("imatag", overrides).unwrap();
    }
}

#[test]
fn every_failure_class_is_documented() {
    let protocol = document("docs/protocol.md");
    for class in common::outcome::FailureClass::ALL {
        assert!(protocol.contains(&format!("`{}`", class.name())), "{}", class.name());
    }
}

/// Every key of a configuration file by the schema of its types, dotted.
fn keys_of(schema: &Value, part: &Value, prefix: &str, keys: &mut BTreeSet<String>) {
    let part = match part["$ref"].as_str() {
        Some(place) => schema.pointer(place.trim_start_matches('#')).unwrap(),
        None => part,
    };
    if let Some(some) =
        part["anyOf"].as_array().filter(|parts| parts.iter().any(|part| part["type"] == "null"))
    {
        return keys_of(schema, &some[0], prefix, keys);
    }
    if part["items"].is_object() && part["items"]["$ref"].is_string() {
        return keys_of(schema, &part["items"], prefix, keys);
    }
    match part["properties"].as_object() {
        Some(properties) => {
            for (name, part) in properties {
                keys_of(schema, part, format!("{prefix}.{name}").trim_start_matches('.'), keys);
            }
        }
        None => {
            keys.insert(prefix.to_owned());
        }
    }
}

/// Every key of a table, dotted; tables that are values of one key are no sections.
fn keys_in(table: &toml::Table, prefix: &str, known: &BTreeSet<String>, keys: &mut BTreeSet<String>) {
    for (name, value) in table {
        let key = format!("{prefix}.{name}").trim_start_matches('.').to_owned();
        let sections = match value {
            toml::Value::Array(entries) => entries.iter().filter_map(toml::Value::as_table).collect(),
            toml::Value::Table(table) => vec![table],
            _ => Vec::new(),
        };
        if sections.is_empty() || known.contains(&key) {
            keys.insert(key);
            continue;
        }
        for section in sections {
            keys_in(section, &key, known, keys);
        }
    }
}

#[test]
fn the_page_on_configuration_shows_every_key_and_no_other() {
    let schema = serde_json::to_value(config::schema()).unwrap();
    let mut known = BTreeSet::new();
    keys_of(&schema, &schema, "", &mut known);
    // In words beside the token or key whose place they take, and on a page of its own.
    known.retain(|key| !key.contains(".oauth.") && key != "imatag.profile_overrides");
    let page = blocks(&document("docs/configuration.md"), "toml").concat();
    // Keys that have no place in the sample are shown behind a number sign.
    let is_key = |rest: &str| rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
    let lines = page.lines().map(|line| line.strip_prefix("# ").filter(|rest| is_key(rest)).unwrap_or(line));
    let table: toml::Table = lines.collect::<Vec<_>>().join("\n").parse().unwrap();
    let mut shown = BTreeSet::new();
    keys_in(&table, "", &known, &mut shown);
    assert_eq!(shown, known);
}

#[test]
fn the_published_schema_is_that_of_the_types() {
    let schema = serde_json::to_string_pretty(&config::schema()).unwrap();
    assert!(
        document("docs/connector.schema.json").trim() == schema.trim(),
        "renew it: cargo run -p connector -- config schema > docs/connector.schema.json"
    );
}

/// The pages, by their paths from the root.
pub(crate) fn pages() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut pages = Vec::new();
    for folder in ["", "docs/", "docs/decisions/"] {
        let names = std::fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().file_name());
        let names = names.map(|name| format!("{folder}{}", name.to_str().unwrap()));
        pages.extend(
            names.filter(|name| Path::new(name).extension().is_some_and(|extension| extension == "md")),
        );
    }
    pages
}

#[test]
fn no_link_leads_out_of_the_book() {
    for page in pages().into_iter().filter(|page| page.starts_with("docs/")) {
        let depth = page.matches('/').count() - 1;
        assert!(!prose(&page).contains(&format!("]({}../", "../".repeat(depth))), "{page}");
    }
}

#[test]
fn every_page_is_in_the_book_once() {
    let summary = document("docs/SUMMARY.md");
    let mut linked: Vec<_> = summary.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    linked.sort_unstable();
    let mut pages = pages();
    pages.retain(|page| page.starts_with("docs/") && page != "docs/SUMMARY.md");
    pages.sort_unstable();
    assert_eq!(linked, pages.iter().map(|page| page.strip_prefix("docs/").unwrap()).collect::<Vec<_>>());
}

/// A page without its fenced blocks.
fn prose(page: &str) -> String {
    document(page).split("```").step_by(2).collect()
}

/// The names in `{…}` written out.
fn written_out(path: &str) -> Vec<String> {
    let Some((before, rest)) = path.split_once('{') else { return vec![path.to_owned()] };
    let (names, after) = rest.split_once('}').unwrap();
    names.split(',').map(|name| format!("{before}{name}{after}")).collect()
}

#[test]
fn every_file_that_a_document_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = [
        "bench",
        "common",
        "connector",
        "crates",
        "deploy",
        "docs",
        "fuzz",
        "producer",
        "sandbox",
        "scripts",
        "tests",
        "worker",
    ];
    let mut found = 0;
    // The page on what changed names what is gone.
    for page in pages().into_iter().filter(|page| page != "CHANGELOG.md") {
        let text = prose(&page);
        let names = text.split('`').skip(1).step_by(2).filter_map(|name| name.split([':', ' ']).next());
        let paths =
            names.filter(|name| name.split_once('/').is_some_and(|(folder, _)| folders.contains(&folder)));
        for path in paths.flat_map(written_out) {
            assert!(root.join(&path).exists(), "{page}: {path}");
            found += 1;
        }
    }
    assert!(found > 100, "{found}");
}

/// The anchor of a heading, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().chars();
    let kept = kept.filter(|letter| letter.is_alphanumeric() || [' ', '-', '_'].contains(letter));
    kept.flat_map(char::to_lowercase).collect::<String>().replace(' ', "-")
}

#[test]
fn every_link_of_a_document_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for page in pages() {
        let text = prose(&page);
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            let (path, place) = target.split_once('#').unwrap_or((target, ""));
            let folder = Path::new(&page).parent().unwrap();
            let path =
                if path.is_empty() { page.clone() } else { folder.join(path).to_str().unwrap().to_owned() };
            assert!(root.join(&path).exists(), "{page}: {target}");
            let is_there = || prose(&path).lines().any(|line| line.starts_with('#') && anchor(line) == place);
            assert!(place.is_empty() || is_there(), "{page}: {target}");
        }
    }
}

#[test]
fn every_bug_that_is_planted_for_the_fuzzers_fits_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = std::fs::read_dir(root.join("fuzz/planted")).unwrap();
    let patches: Vec<_> = folder.map(|entry| entry.unwrap().path().canonicalize().unwrap()).collect();
    assert!(patches.len() > 10);
    for patch in patches {
        let mut checked = std::process::Command::new("git");
        let checked = checked.current_dir(&root).args(["apply", "--check"]).arg(&patch).output().unwrap();
        assert!(
            checked.status.success(),
            "{}: {}",
            patch.display(),
            String::from_utf8_lossy(&checked.stderr)
        );
    }
}

#[test]
fn the_first_command_of_the_readme_runs_the_connector() {
    assert!(document("README.md").contains("\ncargo run -- demo\n"));
    let manifest: toml::Table = document("Cargo.toml").parse().unwrap();
    let members = manifest["workspace"]["default-members"].as_array().unwrap();
    assert_eq!(members, &[toml::Value::from("connector")], "cargo could not tell which program is meant");
    let sources = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../connector/src")).unwrap();
    assert!(sources.flatten().all(|entry| entry.file_name() != "bin"), "a second program");
}
