//! Puts the state of a backup, or of a copy, in the place of the present one.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::bufread::GzDecoder;
use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use super::write::with_keys;
use super::{Archived, LAYOUT, LONGEST_MANIFEST, MANIFEST, Manifest, RestoreError, archived, portal};
use crate::archive::file::{self, PREFIX};
use crate::state::{
    self, ARCHIVE, DATABASE_FILE, DatabaseError, State, StateError, connect, copies, enter_when_free, schema,
};
use common::fault;
use files::private::{self, Exposure};

/// The first bytes of a state file.
const SQLITE: &[u8] = b"SQLite format 3\0";
/// The folder where a backup is unpacked: with a fixed name, so that the next restore removes what a killed one left.
pub(super) const STAGED: &str = ".tmp-restore";
/// As many characters of the portal's address as an error shows.
const LONGEST_PORTAL: usize = 300;
/// How many times as long as its file a backup may be; a state's is about six times.
const MOST_UNPACKED: u64 = 100;
/// How long to wait before SQLite is asked again to write.
const PAUSE: Duration = Duration::from_millis(100);

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// What the backup says of itself; a plain copy of the state file says nothing.
    pub manifest: Option<Manifest>,
    /// Where the state before is kept, if there was one.
    pub kept: Option<PathBuf>,
}

/// Restores a backup, or a copy of the state file alone, for this portal. What is restored is checked before anything is changed, and
/// takes the place of the present state as a whole or not at all. The files of the archive stay.
pub async fn restore(directory: &Path, from: &Path, ours: &str) -> Result<Restored, RestoreError> {
    trusted(from)?;
    let lock = enter_when_free(directory).await?;
    let staged = staging(directory)?;
    let (paths, ours) = ((directory.to_owned(), from.to_owned(), staged.path().to_owned()), ours.to_owned());
    let preparing = tokio::task::spawn_blocking(move || {
        let (directory, from, staged) = paths;
        let manifest = unpack(&from, &staged, &ours)?;
        let restored = check(&from, &staged, &ours)?;
        place_archive(&restored, &directory, &staged, &from)?;
        Ok::<_, RestoreError>((manifest, restored))
    });
    let (manifest, restored) = preparing.await.map_err(io::Error::other)??;
    let (present, kept) = keep(directory, lock).await?;
    present
        .blocking(move |connection| {
            fault::crash_point("restore.before");
            Backup::new(&restored, connection)?.run_to_completion(std::ffi::c_int::MAX, PAUSE, None)?;
            fault::crash_point("restore.after");
            Ok(connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?)
        })
        .await?;
    Ok(Restored { manifest, kept })
}

/// An empty folder without access for other users, which is removed in the end. The state's lock is held.
fn staging(directory: &Path) -> io::Result<TempDir> {
    match fs::remove_dir_all(directory.join(STAGED)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let only_ours = fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().prefix(STAGED).rand_bytes(0).permissions(only_ours).tempdir_in(directory)
}

fn unusable(file: &Path, reason: impl std::fmt::Display) -> RestoreError {
    RestoreError::Unusable { file: file.to_owned(), reason: reason.to_string() }
}

/// Any user may write the file.
const WRITTEN_BY_ALL: u32 = 0o002;

/// Refuses a file whose content another user decides about, as a state directory is refused.
fn trusted(from: &Path) -> Result<(), RestoreError> {
    match private::exposed(from) {
        Some(Exposure::Open(mode)) if mode & WRITTEN_BY_ALL != 0 => Err(unusable(
            from,
            format!("its mode {mode:o} lets any user write it; restore a copy that you trust"),
        )),
        None => Ok(()),
        Some(exposure) if !exposure.is_refused() => Ok(()),
        Some(above @ Exposure::Above(_)) => Err(unusable(from, above)),
        Some(own) => {
            let remedy = "give it to this one (chown), or restore a copy that this user made of it";
            Err(unusable(from, format!("{own}; {remedy}")))
        }
    }
}

/// Writes what the backup holds into the folder, if it may be restored by what it says of itself.
fn unpack(from: &Path, folder: &Path, ours: &str) -> Result<Option<Manifest>, RestoreError> {
    let wrong = |error: io::Error| unusable(from, error);
    // Opening a pipe blocks until another process writes to it, and the state is locked meanwhile.
    if !fs::metadata(from).map_err(wrong)?.is_file() {
        return Err(unusable(from, "it is not a file"));
    }
    let mut file = File::open(from).map_err(wrong)?;
    let mut left = file.metadata().map_err(wrong)?.len().saturating_mul(MOST_UNPACKED);
    let mut begin = Vec::new();
    (&mut file).take(SQLITE.len() as u64).read_to_end(&mut begin).map_err(wrong)?;
    file.rewind().map_err(wrong)?;
    if begin == SQLITE {
        copy(&mut file, &folder.join(DATABASE_FILE))?;
        return Ok(None);
    }
    let mut archive = tar::Archive::new(GzDecoder::new(io::BufReader::new(file)));
    let mut manifest = None;
    // Raw: a backup has no long names and no attributes, which would be read whole, however long they are.
    for entry in archive.entries().map_err(wrong)?.raw(true) {
        let mut entry = entry.map_err(wrong)?;
        let name = entry.path().map_err(wrong)?.to_string_lossy().into_owned();
        if name == MANIFEST {
            let read = serde_json::from_reader::<_, Manifest>(entry.take(LONGEST_MANIFEST));
            let read = read.map_err(|error| unusable(from, common::parse_error::of_json(&error)))?;
            if read.backup > LAYOUT {
                return Err(unusable(from, "a newer release wrote it; use that release"));
            }
            known(from, read.format)?;
            of_this(from, read.portal.as_deref(), ours)?;
            manifest = Some(read);
            continue;
        }
        let archived = name.strip_prefix(ARCHIVE).and_then(|name| name.strip_prefix('/'));
        let path = match (&manifest, archived) {
            (None, _) => return Err(unusable(from, "it is not a backup of the connector")),
            _ if !entry.header().entry_type().is_file() => {
                return Err(unusable(from, "it holds something that is not a file"));
            }
            _ if name == DATABASE_FILE => folder.join(DATABASE_FILE),
            (_, Some(name)) => {
                private::folder(&folder.join(ARCHIVE), &[PREFIX])?;
                file::at(&folder.join(ARCHIVE), name).map_err(wrong)?
            }
            _ => return Err(unusable(from, "it holds files that are not of a backup")),
        };
        left = left.checked_sub(entry.size()).ok_or_else(|| {
            unusable(from, format!("it would be more than {MOST_UNPACKED} times as long unpacked"))
        })?;
        copy(&mut entry, &path).map_err(wrong)?;
    }
    // The check sum is behind the last file.
    io::copy(&mut archive.into_inner().take(left), &mut io::sink()).map_err(wrong)?;
    match manifest {
        Some(manifest) => Ok(Some(manifest)),
        None => Err(unusable(from, "it is not a backup of the connector")),
    }
}

fn copy(from: &mut impl Read, path: &Path) -> io::Result<()> {
    let mut file = private::create(path)?;
    io::copy(from, &mut file)?;
    file.sync_all()
}

/// Fails if this release does not know the format of the state file.
fn known(from: &Path, found: u32) -> Result<(), RestoreError> {
    let known = schema::newest();
    if found > known {
        return Err(StateError::Newer { path: from.to_owned(), found, known }.into());
    }
    Ok(())
}

/// Fails if the state is another portal's.
fn of_this(from: &Path, theirs: Option<&str>, ours: &str) -> Result<(), RestoreError> {
    let Some(theirs) = theirs.filter(|theirs| *theirs != ours) else { return Ok(()) };
    let theirs = theirs.chars().take(LONGEST_PORTAL).collect();
    Err(RestoreError::OtherPortal { file: from.to_owned(), theirs, ours: ours.to_owned() })
}

/// Checks the state file, and brings it to the format of this release.
fn check(from: &Path, folder: &Path, ours: &str) -> Result<Connection, RestoreError> {
    let path = folder.join(DATABASE_FILE);
    let damaged = |error: rusqlite::Error| unusable(from, error);
    let (connection, found) = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(damaged)?;
    if found == 0 {
        return Err(unusable(from, "it holds no state"));
    }
    known(from, found)?;
    // First: the statements of a trigger, a view or an index run as soon as the file is used.
    if let Some(foreign) = schema::foreign(&connection, found).map_err(|error| unusable(from, error))? {
        let reason = format!("its state file is not of a state: the {foreign} differs");
        return Err(unusable(from, reason));
    }
    let well = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0));
    let well = well.map_err(damaged)?;
    if well != "ok" {
        return Err(unusable(from, format!("its state file is damaged ({})", well.replace('\n', " "))));
    }
    let theirs = portal(&connection).map_err(|error| unusable(from, error))?;
    of_this(from, theirs.as_deref(), ours)?;
    drop(connection);
    let connection = state::open(&path)?;
    // A file that was being written then may be the present state's now. And a job that waited then may have been done since: it
    // checks before it repeats anything.
    let sql =
        "DELETE FROM facts WHERE name = 'archiving'; UPDATE jobs SET redelivered = 1 WHERE state = 'ready'";
    connection.execute_batch(sql).map_err(DatabaseError::from)?;
    Ok(connection)
}

/// Puts the files of the archive in their place. A file of the present state with the same name and another content stays, and the
/// restored one gets another name.
fn place_archive(
    restored: &Connection,
    directory: &Path,
    staged: &Path,
    from: &Path,
) -> Result<(), RestoreError> {
    let (folder, staged) = (directory.join(ARCHIVE), staged.join(ARCHIVE));
    let files = archived(restored)?;
    if files.is_empty() {
        return Ok(());
    }
    private::folder(&folder, &[PREFIX]).and_then(|()| private::unshared(&folder))?;
    for Archived { number, name } in files {
        let wrong = |error: io::Error| unusable(from, error);
        let packed = with_keys(&staged, &name).map_err(wrong)?;
        let present = with_keys(&folder, &name).map_err(wrong)?;
        if !packed[1].exists() {
            if present.iter().all(|path| path.exists()) {
                continue;
            }
            let reason = format!("the file {} of its archive is missing", present[1].display());
            return Err(unusable(from, reason));
        }
        let is_there = present[1].exists();
        if is_there && same(&packed[0], &present[0])? && same(&packed[1], &present[1])? {
            continue;
        }
        let mut place = present;
        if is_there {
            let name = free_name(restored, &folder)?;
            restored
                .execute("UPDATE archives SET file = ?1 WHERE archive = ?2", (&name, number))
                .map_err(DatabaseError::from)?;
            place = with_keys(&folder, &name)?;
        }
        packed.iter().zip(&place).try_for_each(|(from, to)| fs::rename(from, to))?;
    }
    File::open(&folder)?.sync_all()?;
    Ok(File::open(directory)?.sync_all()?)
}

/// A name that neither a file of the folder nor the restored state has.
fn free_name(restored: &Connection, folder: &Path) -> Result<String, RestoreError> {
    let mut number = 1;
    let taken: Vec<_> = archived(restored)?.into_iter().map(|file| file.name).collect();
    loop {
        let name = file::name(number);
        if !folder.join(&name).exists() && !taken.contains(&name) {
            return Ok(name);
        }
        number += 1;
    }
}

fn same(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let [mut ours, mut theirs] = [[0; 8 << 10], [0; 8 << 10]];
    loop {
        let read = one.read(&mut ours)?;
        other.read_exact(&mut theirs[..read])?;
        if read == 0 || ours[..read] != theirs[..read] {
            return Ok(read == 0);
        }
    }
}

/// Opens the present state after keeping a copy of it. One that cannot be read is moved to the copies, with its log.
async fn keep(directory: &Path, lock: File) -> Result<(State, Option<PathBuf>), RestoreError> {
    let path = directory.join(DATABASE_FILE);
    let again = lock.try_clone()?;
    if !path.exists() {
        return Ok((State::open_within(directory, lock)?, None));
    }
    match State::open_within(directory, lock) {
        Ok(state) => {
            let kept = state.new_copy()?;
            match state.copy_to(&kept).await {
                Ok(()) => return Ok((state, Some(kept))),
                // What was copied so far is no state.
                Err(DatabaseError::Damaged(_)) => fs::remove_file(&kept)?,
                Err(error) => return Err(error.into()),
            }
        }
        Err(
            StateError::Damaged { .. }
            | StateError::HalfConverted { .. }
            | StateError::Newer { .. }
            | StateError::Stopped { .. },
        ) => {}
        Err(error) => return Err(error.into()),
    }
    let kept = copies::new_copy(directory)?;
    let log = |path: &Path| path.with_extension("sqlite-wal");
    for (from, to) in [(log(&path), log(&kept)), (path, kept.clone())] {
        match fs::rename(from, to) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            moved => moved?,
        }
    }
    Ok((State::open_within(directory, again)?, Some(kept)))
}
