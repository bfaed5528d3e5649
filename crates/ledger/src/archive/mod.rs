//! History that was moved out of the state file into compressed files, where reports and lookups still search it.
//!
//! A file is written, and is on disk, before its rows are deleted. The transaction that deletes them also registers the file:
//! before it, only the rows count, and after it, only the file. What is to be written is noted ahead, so that a file which a
//! process left behind when it died is deleted by the next one.

pub(crate) mod file;
mod moving;

#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::path::PathBuf;

use rusqlite::Connection;

use super::{Extent, Ledger};
use crate::state::record::Recorded;
use crate::state::{ARCHIVE, DatabaseError};

pub(super) use file::read;
pub use moving::{Moved, YOUNGEST};

/// A registered file.
#[derive(Debug, Clone)]
pub(super) struct Archive {
    number: i64,
    file: String,
    /// How many keys it has.
    keys: u64,
    /// The latest time of an outcome in it, in nanoseconds.
    last_at: i64,
}

/// The files that were registered after the one with this number.
pub(super) fn after(connection: &Connection, number: i64) -> Result<Vec<Archive>, DatabaseError> {
    let sql = "SELECT archive, file, keys, last_at FROM archives WHERE archive > ?1 ORDER BY archive";
    let mut statement = connection.prepare_cached(sql)?;
    let files = statement.query_map([number], |row| {
        Ok(Archive { number: row.get(0)?, file: row.get(1)?, keys: row.get(2)?, last_at: row.get(3)? })
    })?;
    Ok(files.collect::<Result<_, _>>()?)
}

impl Archive {
    pub(super) fn number(&self) -> i64 {
        self.number
    }

    /// Whether there may be outcomes of a report in it.
    pub(super) fn may_have(&self, extent: &Extent) -> bool {
        match extent {
            Extent::Since(since) => crate::state::record::nanoseconds(*since) <= self.last_at,
            Extent::Run(_) | Extent::Asset(_) => true,
        }
    }
}

impl Ledger {
    /// The folder of the archive.
    pub(super) fn archive_folder(&self) -> PathBuf {
        self.state.path().with_file_name(ARCHIVE)
    }

    /// Gathers from the outcomes in these files; with `text`, from those that contain this id or hash.
    pub(super) async fn archived<T: Default + Send + 'static>(
        &self,
        archives: Vec<Archive>,
        text: Option<String>,
        gather: impl Fn(&mut T, Recorded) + Send + 'static,
    ) -> Result<T, DatabaseError> {
        let folder = self.archive_folder();
        let search = move || {
            let mut found = T::default();
            let mut take = |row| {
                gather(&mut found, row);
                ControlFlow::Continue(())
            };
            for archive in &archives {
                let _ = read(&folder, archive, text.as_deref(), &mut take)?;
            }
            Ok(found)
        };
        tokio::task::spawn_blocking(search)
            .await
            .map_err(|error| DatabaseError::Damaged(error.to_string()))?
    }
}
