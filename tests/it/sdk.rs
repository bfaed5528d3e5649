//! The published Bynder JavaScript SDK, pointed at the sandbox, notices no difference.

use std::process::Stdio;

use tokio::process::Command;

use crate::harness::{npm, quick};

#[tokio::test(flavor = "multi_thread")]
async fn the_published_sdk_lists_downloads_modifies_and_uploads() {
    let sandbox = sandbox::start(sandbox::Options { assets: 12, ..quick() }).await.unwrap();
    let announcement = sandbox.announcement();
    let folder = npm::installed("sdk").await;
    let mut command = Command::new("node");
    command.args(["--test", "--test-concurrency=1", "sdk.test.mjs"]).current_dir(folder.path());
    command.env("SANDBOX_URL", &announcement.bynder).env("SANDBOX_TOKEN", &announcement.token);
    let tested = command.stdin(Stdio::null()).output().await.unwrap();
    assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stdout));
}
