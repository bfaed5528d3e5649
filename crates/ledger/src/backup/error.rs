//! Why a state cannot be restored.

use std::io;
use std::path::PathBuf;

use common::failure::Failure;

use crate::state::{DatabaseError, StateError};

/// Why a state cannot be restored; the present one was not changed.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The state file cannot be written.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// What should be restored is damaged, incomplete, or no backup.
    #[error("{file} cannot be restored: {reason}. The present state was not changed")]
    Unusable {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It is the state of another library.
    #[error(
        "{file} holds the state of {theirs}, and bynder.domain is {ours}; restore it with that portal's configuration. The present \
         state was not changed"
    )]
    OtherPortal {
        /// The file.
        file: PathBuf,
        /// The portal of the backup.
        theirs: String,
        /// The configured portal.
        ours: String,
    },
    /// The system refuses access to the directory.
    #[error(
        "cannot write the restored state: {0}; check the owner and the free space of the state directory"
    )]
    Io(#[from] io::Error),
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::State(error) => error.into(),
            RestoreError::Database(error) => error.into(),
            RestoreError::Unusable { .. } => Self::Usage(error.to_string()),
            RestoreError::OtherPortal { .. } | RestoreError::Io(_) => Self::Configuration(error.to_string()),
        }
    }
}
