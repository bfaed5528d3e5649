//! The state directory: one SQLite file, owned by one process at a time.

mod changes;
mod conversion;
pub(crate) mod copies;
#[cfg(any(test, feature = "counting"))]
pub mod counting;
mod error;
mod readers;
pub(crate) mod record;
pub(crate) mod schema;

#[cfg(test)]
mod tests;

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction};

use changes::Changes;
pub use error::{DatabaseError, StateError};
use files::private;
use readers::Readers;

const LOCK_FILE: &str = "lock";
pub(crate) const DATABASE_FILE: &str = "connector.sqlite";
/// The folder of the state's copies, in its directory.
pub const COPIES: &str = "backups";
/// The folder of the state's archive, in its directory.
pub const ARCHIVE: &str = "archive";
/// The beginnings of the names of all files that the connector creates there, including unfinished ones.
pub const OWN_NAMES: [&str; 9] = [
    LOCK_FILE,
    DATABASE_FILE,
    COPIES,
    ARCHIVE,
    "silence.json",
    "services.json",
    "pause.json",
    "notices.json",
    ".tmp",
];
/// How many bytes the log keeps on disk after its changes are in the database.
const LONGEST_LOG: i64 = 16 << 20;
/// KiB of the file that the writing connection keeps in memory: the pages of the indexes that new rows touch all over.
const CACHE: i64 = 16 << 10;
/// How many statements each connection keeps prepared: more than take turns while jobs are recorded.
const STATEMENTS: usize = 64;
/// How long SQLite waits for a write of another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait for another process that holds the lock briefly: one that migrates the file, or a scheduled
/// producer that checks whether its first run was asked for.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often to try meanwhile.
const LOCK_POLL: Duration = Duration::from_millis(20);
/// The most digits of a process id.
const LONGEST_ID: u64 = 20;

/// The state directory, open and locked; clones share it.
#[derive(Debug, Clone)]
pub struct State {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// `None` if there is only one connection: in memory, and next to a working process. Closed before the connection
    /// that writes: only the last connection to close can bring the log into the file, and one that only reads may not.
    readers: Option<Readers>,
    connection: Mutex<Connection>,
    changes: Changes,
    path: PathBuf,
    _lock: Option<File>,
}

impl State {
    /// Opens the directory for work, creates it if it does not exist, and keeps every other process out.
    pub fn open(directory: &Path) -> Result<Self, StateError> {
        let lock = enter(directory)?;
        Self::open_within(directory, lock)
    }

    /// Opens the directory that `lock` holds.
    pub(crate) fn open_within(directory: &Path, lock: File) -> Result<Self, StateError> {
        let io = |source| StateError::Io { directory: directory.to_owned(), source };
        let path = directory.join(DATABASE_FILE);
        prepare(&path).map_err(io)?;
        let connection = open(&path)?;
        let readers = Readers::new(path.clone())?;
        Ok(Self::of(connection, Some(readers), path, Some(lock)))
    }

    /// An empty state, deleted with its last clone.
    pub fn in_memory() -> Result<Self, StateError> {
        let path = PathBuf::from("(in memory)");
        let opened = (|| {
            let mut connection = Connection::open_in_memory()?;
            settle(&connection)?;
            schema::migrate(&mut connection, 0)?;
            Ok(connection)
        })();
        let connection = opened.map_err(|error| unusable(&path, error))?;
        Ok(Self::of(connection, None, path, None))
    }

    fn of(connection: Connection, readers: Option<Readers>, path: PathBuf, lock: Option<File>) -> Self {
        let connection = Mutex::new(connection);
        Self {
            inner: Arc::new(Inner { connection, changes: Changes::default(), readers, path, _lock: lock }),
        }
    }

    /// Like [`State::open`], but waits up to three seconds for another process to leave.
    pub async fn open_when_free(directory: &Path) -> Result<Self, StateError> {
        Self::open_within(directory, enter_when_free(directory).await?)
    }

    /// Opens the state read-only, next to a working process; `None` if there is no state yet.
    ///
    /// # Errors
    /// A file of an earlier release is migrated first, which fails while a process is working in the directory.
    pub fn open_to_read(directory: &Path) -> Result<Option<Self>, StateError> {
        Self::open_shared(directory, OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    /// Opens the state to add to the record, next to a working process; `None` if there is no state yet.
    ///
    /// # Errors
    /// As for [`State::open_to_read`].
    pub fn open_to_append(directory: &Path) -> Result<Option<Self>, StateError> {
        Self::open_shared(directory, OpenFlags::SQLITE_OPEN_READ_WRITE)
    }

    fn open_shared(directory: &Path, access: OpenFlags) -> Result<Option<Self>, StateError> {
        let path = directory.join(DATABASE_FILE);
        match private::check(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            checked => checked
                .and_then(|()| private::unshared(directory))
                .and_then(|()| companions(&path, private::check))
                .map_err(|source| StateError::Io { directory: directory.to_owned(), source })?,
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (_, found) = connect_known(&path, access)?;
            if found == schema::newest() {
                break;
            }
            match Self::open(directory) {
                // The process that has just opened it may be migrating it.
                Err(StateError::InUse { .. }) if Instant::now() < deadline => std::thread::sleep(LOCK_POLL),
                Err(StateError::InUse { holder, .. }) if found == schema::CONVERTING => {
                    return Err(StateError::Converting { path, holder });
                }
                opened => drop(opened?),
            }
        }
        let (connection, _) = connect_known(&path, access)?;
        Ok(Some(Self::of(connection, None, path, None)))
    }

    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Makes a durable change: it is on disk when this returns.
    pub async fn write<T, F>(&self, change: F) -> Result<T, DatabaseError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, DatabaseError> + Send + 'static,
    {
        self.write_then(change, |value| value).await
    }

    /// Like [`State::write`], and then runs `committed`, which updates memory to match. `committed` runs only once the
    /// change is on disk, even if the caller was cancelled. `change` must have no effect outside the file that dropping
    /// its value does not undo, since the commit can fail. Other changes may be made between the two.
    pub async fn write_then<T, U, F, C>(&self, change: F, committed: C) -> Result<U, DatabaseError>
    where
        T: Send + 'static,
        U: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, DatabaseError> + Send + 'static,
        C: FnOnce(T) -> U + Send + 'static,
    {
        changes::make(&self.inner, change, committed).await
    }

    /// Runs a query, all of it on one snapshot of the file.
    ///
    /// While it runs, SQLite cannot reuse the space of its log: a query that waits for anything else makes the log
    /// grow.
    pub async fn read<T, F>(&self, query: F) -> Result<T, DatabaseError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, DatabaseError> + Send + 'static,
    {
        let query = |connection: &Connection| query(&*connection.unchecked_transaction()?);
        match &self.inner.readers {
            Some(readers) => {
                let connection = readers.take().await?;
                let inner = Arc::clone(&self.inner);
                run(move || {
                    let found = query(&connection);
                    // Before the last clone of the state, which brings the log into the file and releases the lock.
                    drop(connection);
                    drop(inner);
                    found
                })
                .await
            }
            None => self.blocking(move |connection| query(connection)).await,
        }
    }

    /// Gives free space back to the disk, if it is more than a quarter of the file; returns whether it was.
    ///
    /// # Errors
    /// There is no room for a copy of what the file holds.
    pub async fn compact(&self) -> Result<bool, DatabaseError> {
        self.blocking(move |connection| {
            let pages = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
            if pages("freelist_count")? * 4 < pages("page_count")? {
                return Ok(false);
            }
            sort_on_disk(connection)?;
            connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")?;
            settle(connection)?;
            Ok(true)
        })
        .await
    }

    pub(crate) async fn blocking<T, F>(&self, work: F) -> Result<T, DatabaseError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, DatabaseError> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        run(move || {
            let mut connection = inner.connection.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut connection)
        })
        .await
    }
}

/// Runs blocking work, which runs to its end even if the caller is cancelled.
pub(crate) async fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DatabaseError> + Send + 'static,
) -> Result<T, DatabaseError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| DatabaseError::Damaged(error.to_string()))?
}

/// Creates the directory if it does not exist, and keeps every other process out for as long as the file is open.
fn enter(directory: &Path) -> Result<File, StateError> {
    let io = |source| StateError::Io { directory: directory.to_owned(), source };
    private::folder(directory, &OWN_NAMES).and_then(|()| private::unshared(directory)).map_err(io)?;
    lock(directory)
}

/// Like [`enter`], but waits up to three seconds for another process to leave.
pub(crate) async fn enter_when_free(directory: &Path) -> Result<File, StateError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match enter(directory) {
            Err(StateError::InUse { .. }) if Instant::now() < deadline => {
                tokio::time::sleep(LOCK_POLL).await;
            }
            entered => return entered,
        }
    }
}

fn lock(directory: &Path) -> Result<File, StateError> {
    let io = |source| StateError::Io { directory: directory.to_owned(), source };
    let mut file = private::open(&directory.join(LOCK_FILE)).map_err(io)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0).and_then(|()| file.rewind()).map_err(io)?;
            write!(file, "{}", std::process::id()).map_err(io)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.take(LONGEST_ID).read_to_string(&mut holder);
            let is_id = !holder.is_empty() && holder.bytes().all(|byte| byte.is_ascii_digit());
            let holder = if is_id { holder } else { "(unknown)".to_owned() };
            Err(StateError::InUse { directory: directory.to_owned(), holder })
        }
        Err(TryLockError::Error(source)) => Err(io(source)),
    }
}

/// SQLite creates its WAL and shared-memory files with the database's mode, but does not change existing ones.
fn prepare(path: &Path) -> std::io::Result<()> {
    private::prepare(path)?;
    companions(path, private::tighten)
}

/// Applies a check to each existing file that SQLite reads together with the database.
fn companions(path: &Path, check: fn(&Path) -> std::io::Result<()>) -> std::io::Result<()> {
    let files = ["-wal", "-shm", "-journal"].map(|end| path.with_extension(format!("sqlite{end}")));
    files.iter().try_for_each(|path| match check(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        checked => checked,
    })
}

pub(crate) fn open(path: &Path) -> Result<Connection, StateError> {
    let (mut connection, found) =
        connect_known(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    let prepared = (|| {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "journal_size_limit", LONGEST_LOG)?;
        connection.pragma_update(None, "cache_size", -CACHE)?;
        schema::migrate(&mut connection, found)
    })();
    let is_converted = prepared.map_err(|error| match unusable(path, error) {
        StateError::Damaged { path, reason }
            if found == schema::CONVERTING || !format(&connection).is_ok_and(|now| now == found) =>
        {
            StateError::HalfConverted { path, reason }
        }
        error => error,
    })?;
    if is_converted { Ok(connection) } else { Err(StateError::Stopped { path: path.to_owned() }) }
}

fn format(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Opens the file with the settings of every connection; returns the format found, too.
pub(crate) fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<(Connection, u32)> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // FULL: a confirmed job must survive a power failure, not only a crash of the process.
    connection.pragma_update(None, "synchronous", "FULL")?;
    settle(&connection)?;
    let found = format(&connection)?;
    Ok((connection, found))
}

/// Like [`connect`], for a file whose format this release knows.
fn connect_known(path: &Path, access: OpenFlags) -> Result<(Connection, u32), StateError> {
    let (connection, found) = connect(path, access).map_err(|error| damaged(path, &error))?;
    let known = schema::newest();
    if found > known {
        return Err(StateError::Newer { path: path.to_owned(), found, known });
    }
    Ok((connection, found))
}

/// Applies the settings of every connection. Temporary tables for sorting and grouping stay in memory, never in a file:
/// the folders that SQLite would use (/var/tmp, /tmp, the working folder) may not exist or be writable.
fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Otherwise a statement whose index has statistics is planned anew for each value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "MEMORY")
}

/// Lets a change of the whole file sort and copy in files of its folder: what it sorts may be larger than the memory, and no
/// other folder is sure to be writable.
fn sort_on_disk(connection: &Connection) -> rusqlite::Result<()> {
    let directory = connection.path().and_then(|path| Path::new(path).parent()).filter(|path| path.is_dir());
    // A database in memory sorts there.
    let Some(directory) = directory else { return Ok(()) };
    connection.pragma_update(None, "temp_store_directory", directory.display().to_string())?;
    connection.pragma_update(None, "temp_store", "FILE")
}

/// A full disk does not damage the file: the migration continues when there is room.
fn unusable(path: &Path, error: DatabaseError) -> StateError {
    match error {
        DatabaseError::Unavailable(source) => {
            let directory = path.parent().unwrap_or(path).to_owned();
            StateError::Io { directory, source: std::io::Error::other(source) }
        }
        DatabaseError::Damaged(reason) => StateError::Damaged { path: path.to_owned(), reason },
    }
}

fn damaged(path: &Path, error: &rusqlite::Error) -> StateError {
    StateError::Damaged { path: path.to_owned(), reason: error.to_string() }
}
