//! A copy of the state in one file, made while a process works with it, and the way back.
//!
//! The file is a compressed archive: what it is ([`Manifest`]), the state file, and the files of the state's archive. SQLite's online
//! backup makes the copy of one moment. The archive's files are read after that: each is on disk before the state names it, and stays.

mod error;
mod restore;
mod write;

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use crate::PORTAL;
use crate::state::DatabaseError;

pub use error::RestoreError;
pub use restore::{Restored, restore};
pub use write::{BackedUp, write};

/// The manifest's name in the file; it comes first.
const MANIFEST: &str = "manifest.json";
/// The longest manifest, in bytes.
const LONGEST_MANIFEST: u64 = 64 << 10;
/// The version of the file's layout.
const LAYOUT: u32 = 1;

/// What a backup is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the layout.
    backup: u32,
    /// The release that wrote it.
    pub release: String,
    /// When.
    pub at: Timestamp,
    /// The format of the state file.
    pub format: u32,
    /// The portal that the state belongs to; absent before the first run.
    pub portal: Option<String>,
}

/// A file of the state's archive, as the state names it.
struct Archived {
    number: i64,
    name: String,
}

fn archived(connection: &Connection) -> Result<Vec<Archived>, DatabaseError> {
    let mut statement = connection.prepare("SELECT archive, file FROM archives ORDER BY archive")?;
    let files = statement.query_map([], |row| Ok(Archived { number: row.get(0)?, name: row.get(1)? }))?;
    Ok(files.collect::<Result<_, _>>()?)
}

fn portal(connection: &Connection) -> Result<Option<String>, DatabaseError> {
    let mut statement = connection.prepare("SELECT value FROM facts WHERE name = ?1")?;
    let mut rows = statement.query([PORTAL])?;
    Ok(rows.next()?.map(|row| row.get(0)).transpose()?)
}
