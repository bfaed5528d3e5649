//! What the documents show can be read by the program.

use std::path::Path;

use common::config::Config;
use common::job::Job;

pub(crate) fn document(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)).unwrap()
}

/// The fenced blocks of one language, indentation removed.
fn blocks(text: &str, language: &str) -> Vec<String> {
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
        let loaded = Config::load(Some(file.path()), &[]).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(loaded.warnings.is_empty(), "{name}: {:?}", loaded.warnings);
        loaded.config.imatag.wire().unwrap();
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
        common::imatag::Profile::load("imatag", overrides).unwrap();
    }
}

#[test]
fn every_failure_class_is_documented() {
    let protocol = document("docs/protocol.md");
    for class in common::outcome::FailureClass::ALL {
        assert!(protocol.contains(&format!("`{}`", class.name())), "{}", class.name());
    }
}
