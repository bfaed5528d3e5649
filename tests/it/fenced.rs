//! The fenced blocks of the documents: which test reads each kind, and what a test can find wrong in it.

use std::collections::BTreeMap;

use common::job::Step;
use common::marker::Marker;

use crate::arrows::{crates, needed_by};
use crate::compose_variants::page_followed;
use crate::documents::{blocks, document, pages};
use crate::manifests::rendered;

/// A fenced block, with the line on which it begins and the heading above it.
struct Block {
    line: usize,
    heading: String,
    language: String,
    text: String,
    /// Whether a block with commands comes before it below the same heading.
    follows_commands: bool,
}

fn fenced(page: &str) -> Vec<Block> {
    let (mut found, mut heading, mut commands) = (Vec::<Block>::new(), String::new(), false);
    let mut open = false;
    for (line, text) in (1..).zip(page.lines()) {
        // The other sign for a fence stays in front of the language: the tests do not look for it.
        let fence =
            text.trim().strip_prefix("```").or(Some(text.trim()).filter(|text| text.starts_with("~~~")));
        match fence {
            Some(_) if open => open = false,
            Some(language) => {
                let language = language.to_owned();
                let block = Block {
                    line,
                    heading: heading.clone(),
                    text: String::new(),
                    follows_commands: commands,
                    language,
                };
                commands |= block.language == "sh";
                found.push(block);
                open = true;
            }
            None if open => {
                let block = found.last_mut().unwrap();
                block.text += text;
                block.text.push('\n');
            }
            None if text.starts_with('#') => {
                text.trim_start_matches('#').trim().clone_into(&mut heading);
                commands = false;
            }
            None => {}
        }
    }
    found
}

/// Whether a test reads such a block on this page.
fn is_read(page: &str, block: &Block, script: &str) -> bool {
    match (&*block.language, page) {
        // `documents` and `pieces`, on every page; `command_reference`, which writes this one.
        ("toml" | "yaml", _) | ("text", "docs/commands.md") => true,
        // `documents` and the arguments of `connector`, which has no other pages.
        ("sh", _) => page == "README.md" || page.rsplit_once('/').is_some_and(|(folder, _)| folder == "docs"),
        // Printed by the commands above it, which `quick_start` and `scripts/first-day` follow.
        ("text", "docs/quick-start.md") => block.follows_commands,
        ("text", "docs/quick-start-compose.md" | "docs/maintenance.md" | "docs/running.md") => {
            let is_followed = page_followed(script, &block.heading).as_deref() == Some(page);
            // The variable is for `pieces`.
            block.follows_commands && is_followed || block.text.starts_with("COMPOSE_FILE=")
        }
        // By `documents`, `notify`, `unconsumed`, `checks` and, for the texts, below; one each.
        ("json", "docs/queue.md" | "docs/configuration.md")
        | ("promql", "docs/queue.md")
        | ("text", "README.md" | "docs/checks.md" | "docs/kubernetes.md" | "docs/protocol.md") => {
            let alike = fenced(&document(page));
            alike.iter().filter(|other| other.language == block.language).count() == 1
        }
        // The second is a drawing of what the page says in words.
        ("text", "docs/architecture.md") => ["Crates", "A fleet"].contains(&&*block.heading),
        _ => false,
    }
}

#[test]
fn every_fenced_block_of_a_document_is_of_a_kind_that_a_test_reads() {
    let script = document("scripts/first-day");
    let mut unread = Vec::new();
    for page in pages() {
        let blocks = fenced(&document(&page));
        let blocks = blocks.iter().filter(|block| !is_read(&page, block, &script));
        unread.extend(blocks.map(|block| format!("{page}:{}: ```{}", block.line, block.language)));
    }
    assert!(unread.is_empty(), "no test reads these: {unread:#?}");
}

/// The text of a page that has one.
fn only_text(page: &str) -> String {
    let [block] = blocks(&document(page), "text").try_into().unwrap();
    block
}

#[test]
fn the_documented_record_is_read_as_one_of_the_marker() {
    let digits = "0123456789abcdef".repeat(4);
    let record = only_text("docs/protocol.md")
        .replace("<sha256 of the original>", &digits)
        .replace("<sha256 of the watermarked file>", &digits.replace('0', "f"))
        .replace("<version>", "3")
        .replace("<bytes>", "1234");
    let marker = Marker::parse(Some(&record));
    let found = marker.record_of(3, 1234).unwrap_or_else(|| panic!("{marker:?}: {record}"));
    assert_eq!(found.to_string(), record.trim());
}

#[test]
fn the_readme_shows_the_steps_in_their_order() {
    let text = only_text("README.md");
    let first_words = text.lines().filter_map(|line| line.split_whitespace().next());
    let shown: Vec<_> = first_words.filter_map(Step::named).collect();
    assert!(shown.iter().rev().eq(&Step::LATEST_FIRST), "{shown:?}");
}

#[test]
fn the_page_on_architecture_shows_each_crate_of_the_product_above_those_that_it_needs() {
    let text = blocks(&document("docs/architecture.md"), "text").remove(0);
    let folder_name = |folder: &str| folder.rsplit('/').next().unwrap().to_owned();
    // Names are in the first columns, what they are for comes after them.
    let columns = text.lines().filter(|line| !line.starts_with('─')).map(|line| &line[..26]);
    let names: Vec<_> = columns.flat_map(str::split_whitespace).collect();
    let row_of: BTreeMap<_, _> = names.iter().zip(0..).map(|(name, row)| ((*name).to_owned(), row)).collect();
    let own = crates();
    let tools = ["bench", "laws", "sample-files", "sandbox", "tests"];
    let product: BTreeMap<_, _> = own
        .values()
        .map(|folder| (folder_name(folder), folder))
        .filter(|(name, _)| !tools.contains(&&**name))
        .collect();
    assert!(row_of.keys().eq(product.keys()), "{names:?}");
    for (name, folder) in product {
        let needed = needed_by(folder).into_iter().filter_map(|needed| own.get(&needed));
        for other in needed.map(|folder| folder_name(folder)) {
            let is_further_down = row_of.get(&other).is_none_or(|row| *row > row_of[&name]);
            assert!(is_further_down, "{name} needs {other}");
        }
    }
}

#[test]
fn the_page_on_kubernetes_shows_the_pods_of_the_fleet() {
    let text = only_text("docs/kubernetes.md");
    let mut shown = BTreeMap::<_, u64>::new();
    for name in text.lines().skip(1).filter_map(|row| row.split('-').next()) {
        *shown.entry(name.to_owned()).or_default() += 1;
    }
    let manifests = rendered(&["fleet"]);
    let lasting = manifests.iter().filter(|manifest| manifest["spec"]["replicas"].is_u64());
    let run = lasting.map(|manifest| {
        (
            manifest["metadata"]["name"].as_str().unwrap().to_owned(),
            manifest["spec"]["replicas"].as_u64().unwrap(),
        )
    });
    assert_eq!(shown, run.collect());
}
