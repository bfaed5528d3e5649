//! Writes a backup.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::{Archived, LAYOUT, MANIFEST, Manifest, archived, portal};
use crate::archive::file::{at, keys_of};
use crate::state::{ARCHIVE, DATABASE_FILE, DatabaseError, State, schema};
use files::pack::Pack;
use files::private;

/// How long to wait before SQLite is asked again for a snapshot that it could not take.
const PAUSE: Duration = Duration::from_millis(100);

/// What was backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackedUp {
    pub manifest: Manifest,
    /// The size of the state file in it, in bytes.
    pub bytes: u64,
    /// The number of archive files in it.
    pub archives: usize,
}

/// Writes a backup of the state into a new file.
///
/// # Errors
/// The file exists, cannot be written, or a file of the archive is missing.
pub async fn write(state: &State, path: &Path) -> Result<BackedUp, DatabaseError> {
    let folder = state.path().with_file_name(ARCHIVE);
    let path = path.to_owned();
    state.blocking(move |connection| back_up(connection, &folder, &path)).await
}

fn back_up(connection: &Connection, folder: &Path, path: &Path) -> Result<BackedUp, DatabaseError> {
    let failed = |error: io::Error| {
        DatabaseError::unavailable(format!("cannot write the backup {}: {error}", path.display()))
    };
    let mut reason = None;
    let written = private::write_new(path, |file| {
        // Where the backup goes, there is room for it. In a folder of its own: SQLite opens a log and a journal by their names, which
        // another user could have put there if all share the folder.
        let own = tempfile::tempdir_in(private::folder_of(path))?;
        let copy = own.path().join(DATABASE_FILE);
        let (manifest, files) = copy_into(connection, &copy).map_err(|error| {
            reason = Some(error);
            io::Error::other("the state cannot be read")
        })?;
        let mut pack = Pack::new(file);
        let text = serde_json::to_vec_pretty(&manifest)?;
        pack.add(MANIFEST, text.len() as u64, &text[..])?;
        pack.add_file(DATABASE_FILE, &copy)?;
        for Archived { name, .. } in &files {
            for path in with_keys(folder, name)? {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                private::check(&path)
                    .and_then(|()| pack.add_file(&format!("{ARCHIVE}/{name}"), &path))
                    .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
            }
        }
        pack.finish()?;
        Ok(BackedUp { manifest, bytes: copy.metadata()?.len(), archives: files.len() })
    });
    written.map_err(|error| reason.take().unwrap_or_else(|| failed(error)))
}

/// A file of the archive, and that of its keys.
pub(super) fn with_keys(folder: &Path, name: &str) -> io::Result<[PathBuf; 2]> {
    let path = at(folder, name)?;
    Ok([keys_of(&path), path])
}

/// Copies one snapshot of the state into an empty file, which needs no log of changes to be complete.
fn copy_into(from: &Connection, path: &Path) -> Result<(Manifest, Vec<Archived>), DatabaseError> {
    let mut copy = Connection::open(path)?;
    // A copy that a crash interrupts is not used, and the finished one is written to disk as part of the backup.
    copy.pragma_update(None, "synchronous", "OFF")?;
    // In one step: after each pause the copy would begin again if the state has changed.
    Backup::new(from, &mut copy)?.run_to_completion(std::ffi::c_int::MAX, PAUSE, None)?;
    copy.pragma_update(None, "journal_mode", "DELETE")?;
    let manifest = Manifest {
        backup: LAYOUT,
        release: env!("CARGO_PKG_VERSION").to_owned(),
        at: Timestamp::now(),
        format: schema::newest(),
        portal: portal(&copy)?,
    };
    let files = archived(&copy)?;
    copy.close().map_err(|(_, error)| error)?;
    Ok((manifest, files))
}
