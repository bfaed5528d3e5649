//! The published Bynder JavaScript SDK, pointed at the sandbox, notices no difference.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::harness::quick;

const FILES: [&str; 4] = ["package.json", "package-lock.json", ".npmrc", "sdk.test.mjs"];

#[tokio::test(flavor = "multi_thread")]
async fn the_published_sdk_lists_downloads_modifies_and_uploads() {
    let sandbox = sandbox::start(sandbox::Options { assets: 12, ..quick() }).await.unwrap();
    let announcement = sandbox.announcement();
    // A copy, so that no packages lie about in the sources.
    let folder = tempfile::tempdir().unwrap();
    for name in FILES {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk").join(name);
        std::fs::copy(source, folder.path().join(name)).unwrap();
    }
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder.path()).stdin(Stdio::null());
        command.env("SANDBOX_URL", &announcement.bynder).env("SANDBOX_TOKEN", &announcement.token);
        command
    };
    let installed = run("npm", &["ci", "--ignore-scripts", "--prefer-offline"]).output().await.unwrap();
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    let tested = run("node", &["--test", "--test-concurrency=1", "sdk.test.mjs"]).output().await.unwrap();
    assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stdout));
}
