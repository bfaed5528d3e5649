//! The quick start on one machine, done as it is written.

use std::os::unix::fs::symlink;
use std::process::Stdio;

use sandbox::Options;
use tokio::process::Command;

use crate::documents::{blocks, document};
use crate::harness::serving::stop;
use crate::harness::{Bench, PATIENCE, PROGRAM, Ran, is_protected, picture, quick, until};
use crate::manifests::root;

const PAGE: &str = "docs/quick-start.md";

/// A shell command in a reader's folder: the program is on the path, and the accounts are the sandbox's.
fn reader(bench: &Bench, program: &str) -> Command {
    let announced = bench.sandbox.announcement();
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new(program);
    command.current_dir(bench.folder.path()).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("PATH", format!("{}:{path}", bench.path("bin").display()));
    command.envs([
        ("BYNDER_TOKEN", announced.token),
        ("IMATAG_API_KEY", announced.api_key),
        ("CONNECTOR_BYNDER__DOMAIN", announced.bynder),
        ("CONNECTOR_BYNDER__INDEX_LAG", "50ms".to_owned()),
        ("CONNECTOR_QUEUE__RUNGS", r#"["100ms", "400ms", "1500ms", "15s"]"#.to_owned()),
        ("CONNECTOR_IMATAG__BASE_URL", announced.imatag),
        ("CONNECTOR_IMATAG__DIRECTORY", announced.directory),
        ("CONNECTOR_WORKER__REQUEST_TIMEOUT", "10s".to_owned()),
        ("CONNECTOR_WORKER__SPOOL_DIR", bench.path("spool").display().to_string()),
    ]);
    command
}

/// `scripts/follow` compares what is printed with the page.
#[tokio::test(flavor = "multi_thread")]
async fn the_quick_start_prints_what_it_shows_and_leaves_a_library_that_stays_protected() {
    let bench = Bench::new(Options { assets: 40, seed: 1, ..quick() }).await;
    std::fs::remove_file(bench.path("connector.toml")).unwrap();
    std::fs::create_dir(bench.path("bin")).unwrap();
    symlink(PROGRAM, bench.path("bin/connector")).unwrap();

    let page = document(PAGE);
    let headings: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let (last, before) = headings.split_last().unwrap();
    let mut following = reader(&bench, root().join("scripts/follow").to_str().unwrap());
    following.arg(root().join(PAGE)).args(before);
    let followed = tokio::time::timeout(PATIENCE, following.output()).await.expect("a step does not end");
    Ran::new(followed.unwrap()).assert_code(0);

    let (_, rest) = page.split_once(last).unwrap();
    assert!(*last == "6. Keep it protected" && !rest.contains("```text"), "what it prints is not compared");
    let commands = blocks(&page, "sh");
    let serve = commands.last().unwrap().trim();
    let serving = reader(&bench, "sh").args(["-c", &format!("exec {serve}")]).spawn().unwrap();
    let id = bench.sandbox.add_asset(picture("new.jpg", 1)).unwrap();
    until(|| is_protected(&bench.asset(&id))).await;
    stop(serving).await;
}
