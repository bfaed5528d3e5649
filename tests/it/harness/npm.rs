//! Packages of npm, as their lock file in `tests` has them.

use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::Command;

/// A copy of this folder of `tests` with its packages, so that none lie about in the sources.
pub(crate) async fn installed(folder: &str) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    let mut install = Command::new("npm");
    install.args(["ci", "--ignore-scripts", "--prefer-offline"]).current_dir(&copy).stdin(Stdio::null());
    let installed = install.output().await.expect("npm is missing: apt-get install npm");
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    copy
}
