//! Copies of the state file in its directory, from before a command changed it.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{COPIES, DatabaseError, State, StateError};
use files::private;

/// Copies to keep, with the next one.
const MOST: usize = 10;

impl State {
    /// Copies one snapshot of the whole state into a new file.
    ///
    /// # Errors
    /// The file exists already, or cannot be written.
    pub async fn copy_to(&self, path: &Path) -> Result<(), DatabaseError> {
        // SQLite would make it readable for everyone.
        private::create_named(path).map_err(DatabaseError::unavailable)?;
        let path = path.display().to_string();
        self.blocking(move |connection| {
            connection.execute("VACUUM INTO ?1", [path])?;
            Ok(())
        })
        .await
    }

    /// The path of a copy of this state that is made now.
    ///
    /// # Errors
    /// The folder of copies cannot be used.
    pub fn new_copy(&self) -> Result<PathBuf, StateError> {
        new_copy(self.path().parent().unwrap_or(Path::new(".")))
    }
}

/// The path of a copy that is made now, after the oldest were deleted.
pub(crate) fn new_copy(directory: &Path) -> Result<PathBuf, StateError> {
    let folder = directory.join(COPIES);
    let made = private::folder(&folder, &["2"])
        .and_then(|()| private::unshared(&folder))
        .and_then(|()| drop_oldest(&folder));
    made.map_err(|source| StateError::Io { directory: folder.clone(), source })?;
    Ok(folder.join(Timestamp::now().strftime("%Y%m%dT%H%M%S.%6fZ.sqlite").to_string()))
}

/// The file names are times, so they sort by age.
fn drop_oldest(copies: &Path) -> io::Result<()> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(copies)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "sqlite"));
    paths.sort();
    let surplus = (paths.len() + 1).saturating_sub(MOST);
    paths.into_iter().take(surplus).try_for_each(std::fs::remove_file)
}
