//! Replacing a file that other processes read.

use std::path::Path;

use common::failure::Failure;
use files::private;

/// Replaces an existing file with this text, and keeps its mode.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let written = std::fs::metadata(path)
        .and_then(|found| private::replace(path, text.as_bytes(), Some(found.permissions())));
    written.map_err(|error| Failure::Configuration(format!("cannot write {}: {error}", path.display())))
}
