//! Why the state directory, or a statement in it, fails.

use std::path::PathBuf;
use std::sync::Arc;

use common::failure::Failure;

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another process works in it.
    #[error(
        "the state directory {directory} is in use by process {holder}; stop it first, or name another producer.state_dir"
    )]
    InUse {
        /// The directory.
        directory: PathBuf,
        /// The other process's id, if known.
        holder: String,
    },
    /// Another process converts it to the format of this release.
    #[error(
        "the state file {path} is being converted to the format of this release by process {holder}, whose log says how much \
         is left; try again when it is done. If that process dies, the next one continues"
    )]
    Converting {
        /// The file.
        path: PathBuf,
        /// The other process's id, if known.
        holder: String,
    },
    /// The process was asked to stop while it converted the file.
    #[error(
        "the state file {path} is converted in part: it was stopped, and the next command that needs the state continues it"
    )]
    Stopped {
        /// The file.
        path: PathBuf,
    },
    /// The system refuses access.
    #[error(
        "cannot use the state directory {directory}: {source}; check its owner and free space, or set producer.state_dir"
    )]
    Io {
        /// The directory.
        directory: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file is damaged or is not a database; it is left unchanged.
    #[error(
        "the state file {path} cannot be read ({reason}). It was not changed. Restore it from a backup, or move it away: \
         a new one starts without history, and the markers in Bynder keep protected assets from being done again"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// SQLite's error.
        reason: String,
    },
    /// The file proved damaged when it was converted in part.
    #[error(
        "the state file {path} is damaged ({reason}), which showed as it was converted to the format of this release: it is \
         converted in part, and the release before cannot use it either. Put a copy from before the update in its place, or move \
         it away: a new one starts without history, and the markers in Bynder keep protected assets from being done again"
    )]
    HalfConverted {
        /// The file.
        path: PathBuf,
        /// SQLite's error.
        reason: String,
    },
    /// A newer release wrote it.
    #[error(
        "the state file {path} has format {found}, this release knows up to {known}; use the newer release again"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that this release knows.
        known: u32,
    },
}

/// Why a statement failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DatabaseError {
    /// The disk is full, or the file is busy or gone. This may be temporary.
    #[error(
        "the state directory cannot be written ({0}); check its owner, its mode and the free space of its disk"
    )]
    Unavailable(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// Anything else, most likely a damaged file.
    #[error("the state file cannot be used: {0}")]
    Damaged(String),
}

impl DatabaseError {
    pub(crate) fn unavailable(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable(Arc::from(reason.into()))
    }
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, ReadOnly, SystemIoFailure,
        };
        match error.sqlite_error_code() {
            Some(DiskFull | DatabaseBusy | DatabaseLocked | SystemIoFailure | CannotOpen | ReadOnly) => {
                Self::unavailable(error)
            }
            _ => Self::Damaged(error.to_string()),
        }
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        match error {
            StateError::InUse { .. } | StateError::Converting { .. } | StateError::Stopped { .. } => {
                Self::Temporary(error.to_string())
            }
            StateError::Io { .. }
            | StateError::Damaged { .. }
            | StateError::HalfConverted { .. }
            | StateError::Newer { .. } => Self::Configuration(error.to_string()),
        }
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Unavailable(_) => Self::Temporary(error.to_string()),
            DatabaseError::Damaged(_) => Self::Unexpected(error.to_string()),
        }
    }
}
