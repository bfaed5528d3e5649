//! Read-only connections, so that queries and changes do not wait for each other.

use std::path::PathBuf;

use deadpool::managed::{Manager, Metrics, Object, Pool, PoolError, RecycleResult};
use rusqlite::{Connection, OpenFlags};

use super::{DatabaseError, StateError, connect, run};

/// How many queries run at once; more have to wait.
const MOST_READERS: usize = 4;

/// A pool of read-only connections to one file.
#[derive(Debug, Clone)]
pub(super) struct Readers {
    pool: Pool<Opener>,
}

#[derive(Debug)]
pub(super) struct Opener {
    path: PathBuf,
}

impl Readers {
    /// Creates the pool, and opens no connection yet.
    pub(super) fn new(path: PathBuf) -> Result<Self, StateError> {
        let built = Pool::builder(Opener { path: path.clone() }).max_size(MOST_READERS).build();
        let pool = built.map_err(|error| StateError::Damaged { path, reason: error.to_string() })?;
        Ok(Self { pool })
    }

    pub(super) async fn take(&self) -> Result<Object<Opener>, DatabaseError> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => error,
            other => DatabaseError::unavailable(other.to_string()),
        })
    }
}

impl Manager for Opener {
    type Type = Connection;
    type Error = DatabaseError;

    async fn create(&self) -> Result<Connection, DatabaseError> {
        let path = self.path.clone();
        run(move || Ok(connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?.0)).await
    }

    async fn recycle(&self, _: &mut Connection, _: &Metrics) -> RecycleResult<DatabaseError> {
        Ok(())
    }
}
