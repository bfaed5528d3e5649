//! Replacing a file that other processes read.

use std::io::Write;
use std::path::Path;

use common::failure::Failure;

/// Puts this text in the file's place: whoever reads it meanwhile reads the old one or the new one, whole.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().set_permissions(std::fs::metadata(path)?.permissions())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|error: std::io::Error| {
        Failure::Configuration(format!("cannot write {}: {error}", path.display()))
    })
}
