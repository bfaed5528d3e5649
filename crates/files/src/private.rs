//! Creates all files and folders that other users must not access. Follows no links, since another user may have
//! placed them; only a file that a person named is replaced at the target of that person's own link.

pub(crate) mod above;

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::unistd::{getegid, geteuid};

use above::{Above, has_modes, judge};

const ROOT: u32 = 0;
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// A folder with this bit, such as `/tmp`, is shared by all users.
const STICKY: u32 = 0o1000;

/// Why other users of the machine can access a file or a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exposure {
    /// It belongs to this user, who can read or replace its content.
    Foreign(u32),
    /// Its mode gives others access.
    Open(u32),
    /// A folder above it lets others exchange it.
    Above(Above),
}

impl Exposure {
    /// Whether another user decides about the content, not only a group that root or this user may trust.
    pub fn is_refused(&self) -> bool {
        match self {
            Self::Foreign(_) => true,
            Self::Open(_) => false,
            Self::Above(above) => above.is_refused(),
        }
    }

    fn refusal(&self) -> io::Error {
        let remedy = "work as that user, give it to this one (chown), or name another place";
        let reason = match self {
            Self::Above(_) => self.to_string(),
            Self::Foreign(_) | Self::Open(_) => format!("{self}; {remedy}"),
        };
        io::Error::new(io::ErrorKind::PermissionDenied, reason)
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign(owner) => write!(formatter, "it belongs to the user {owner}"),
            Self::Open(mode) => write!(formatter, "its mode {mode:o} lets other users in"),
            Self::Above(above) => above.fmt(formatter),
        }
    }
}

/// Who can access what belongs to `owner` and has this mode, besides the user `me` and root.
fn exposure(me: u32, owner: u32, mode: u32) -> Option<Exposure> {
    if owner != me && owner != ROOT {
        return Some(Exposure::Foreign(owner));
    }
    // If it belongs to root, this user may have access by its group.
    let others = if owner == me { 0o077 } else { 0o007 };
    (mode & others != 0).then_some(Exposure::Open(mode & 0o7777))
}

/// The mode of this user's own file, if every user can read the file through it and the folders above. The mode of
/// another user's file is not this user's to change.
pub fn is_read_by_all(path: &Path) -> Option<u32> {
    let found = fs::metadata(path).ok().filter(|found| found.uid() == geteuid().as_raw())?;
    let whole = fs::canonicalize(path).ok()?;
    let is_entered = |folder: &Path| fs::metadata(folder).is_ok_and(|found| found.mode() & 0o001 != 0);
    let is_read = found.mode() & 0o004 != 0 && whole.ancestors().skip(1).all(is_entered);
    is_read.then_some(found.mode() & 0o7777)
}

/// Why other users can access this path or exchange it. A path that does not exist can only be exposed by the
/// folders above it.
pub fn exposed(path: &Path) -> Option<Exposure> {
    let above = judge(path).0.map(Exposure::Above);
    match (itself(path).ok().flatten(), above) {
        (Some(Exposure::Open(_)), Some(above)) if above.is_refused() => Some(above),
        (own, above) => own.or(above),
    }
}

fn itself(path: &Path) -> io::Result<Option<Exposure>> {
    let me = geteuid().as_raw();
    // A trailing slash would hide a link.
    let path: PathBuf = path.components().collect();
    let path = &path;
    // Another user's link may lead anywhere.
    let link = fs::symlink_metadata(path).ok().filter(Metadata::is_symlink);
    if let Some(owner) = link.map(|link| link.uid()).filter(|owner| *owner != me && *owner != ROOT) {
        return Ok(Some(Exposure::Foreign(owner)));
    }
    let found = fs::metadata(path)?;
    Ok(exposure(me, found.uid(), found.mode()))
}

/// The mode, if it gives others access.
fn held(path: &Path) -> io::Result<Option<u32>> {
    let own = itself(path);
    let mode = open_mode(own.as_ref().ok().cloned().flatten())?;
    fixed(path)?;
    own.map(|_| mode)
}

/// Creates the folder if it does not exist. Earlier releases made folders that other users can access; such a
/// folder is closed if all names in it begin with one of `own`. Any other may be shared on purpose: `doctor`
/// reports it.
///
/// # Errors
/// The folder cannot be made, belongs to another user, who could read and replace its files, or another user can
/// exchange it by a folder above.
pub fn folder(path: &Path, own: &[&str]) -> io::Result<()> {
    match held(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        held => drop(held?),
    }
    make_missing(path)?;
    if let Some(mode) = held(path)?
        && mode & STICKY == 0
        && holds_only(path, own)?
    {
        close(path, mode);
    }
    Ok(())
}

/// Creates the missing folders, each where no other user can redirect it.
fn make_missing(path: &Path) -> io::Result<()> {
    let parts: Vec<_> = path.ancestors().filter(|part| !part.as_os_str().is_empty()).collect();
    for part in parts.into_iter().rev().filter(|part| !part.exists()) {
        fixed(part)?;
        match DirBuilder::new().mode(FOLDER_MODE).create(part) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made?,
        }
    }
    Ok(())
}

/// Fails if another user can exchange what is at this path. Only the last part of the path may be missing: a folder
/// that is absent for a moment would not be checked.
///
/// # Errors
/// The folder above it and the user who can, or a missing folder.
pub fn fixed(path: &Path) -> io::Result<()> {
    let (above, end) = judge(path);
    open_mode(above.map(Exposure::Above))?;
    end.map(drop)
}

/// Fails if other users can put files into a folder, or if the folder is shared by all, even if they cannot remove
/// any: another library opens files there by their names, and creates some as it needs them.
///
/// # Errors
/// They can, or the folder does not exist.
pub fn unshared(folder: &Path) -> io::Result<()> {
    let found = fs::metadata(folder)?;
    let (mode, group) = (found.mode() & 0o7777, getegid().as_raw());
    let is_open = mode & 0o002 != 0 || mode & 0o020 != 0 && found.gid() != group;
    let has_modes = || File::open(folder).map_or(true, |folder| has_modes(&folder));
    // Root decides whom it gives access to a volume, and shares `/tmp` with all.
    let is_for_all = mode & STICKY != 0 && mode & 0o002 != 0;
    if is_open && (found.uid() == geteuid().as_raw() || is_for_all) && has_modes() {
        let at = folder.display();
        let reason = format!(
            "{at} has mode {mode:o}, by which other users can put files there; chmod go-w {at}, or name another place"
        );
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
    }
    Ok(())
}

/// The mode, if it gives others access.
fn open_mode(found: Option<Exposure>) -> io::Result<Option<u32>> {
    match found {
        Some(refused) if refused.is_refused() => Err(refused.refusal()),
        Some(Exposure::Open(mode)) => Ok(Some(mode)),
        Some(Exposure::Foreign(_) | Exposure::Above(_)) | None => Ok(None),
    }
}

fn holds_only(path: &Path, own: &[&str]) -> io::Result<bool> {
    let is_own = |name: &OsStr| own.iter().any(|start| name.as_encoded_bytes().starts_with(start.as_bytes()));
    fs::read_dir(path)?.try_fold(true, |so_far, entry| Ok(so_far && is_own(&entry?.file_name())))
}

/// Ignores errors: a file system without modes refuses the change.
fn close(path: &Path, mode: u32) {
    let closed = mode & !0o077;
    if fs::set_permissions(path, Permissions::from_mode(closed)).is_ok() {
        let path = path.display();
        tracing::warn!("{path} had mode {mode:o}, which lets other users in; it is {closed:o} now");
    }
}

/// Creates a file that other users cannot read.
///
/// # Errors
/// The name exists, as a file or a link, or the file cannot be created.
pub fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)
}

/// As [`create`], where no other user can exchange the file.
///
/// # Errors
/// As [`create`] and [`fixed`].
pub fn create_named(path: &Path) -> io::Result<File> {
    fixed(path)?;
    create(path)
}

/// Writes a file that does not exist and that other users cannot read. It has its name only once it is complete and on disk.
///
/// # Errors
/// The name exists, as a file or a link, another user can exchange it, or `write` fails: then nothing is left.
pub fn write_new<T>(path: &Path, write: impl FnOnce(&mut File) -> io::Result<T>) -> io::Result<T> {
    fixed(path)?;
    if path.symlink_metadata().is_ok() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it exists already"));
    }
    let folder = folder_of(path);
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    let written = write(file.as_file_mut())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    File::open(folder)?.sync_all()?;
    Ok(written)
}

/// The folder of a file.
pub fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Replaces a file atomically. Other users cannot access the new file unless `permissions` are given. A link stays,
/// and its target is replaced.
///
/// # Errors
/// Another user can exchange the file, the link has no target, the target is not a file, or it cannot be written.
pub fn replace(path: &Path, text: &[u8], permissions: Option<Permissions>) -> io::Result<()> {
    fixed(path)?;
    let target = if path.is_symlink() { fs::canonicalize(path)? } else { path.to_owned() };
    if fs::metadata(&target).is_ok_and(|found| !found.is_file()) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    write_over(&target, text, permissions)
}

fn write_over(target: &Path, content: &[u8], permissions: Option<Permissions>) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder_of(target))?;
    file.write_all(content)?;
    permissions.map_or(Ok(()), |permissions| file.as_file().set_permissions(permissions))?;
    file.as_file().sync_all()?;
    file.persist(target)?;
    Ok(())
}

/// Opens a file for reading and writing; creates a missing one without access for other users.
///
/// # Errors
/// The name is a link, the file has another name or belongs to another user, or it cannot be opened.
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(FILE_MODE);
    let file = options.custom_flags(OFlag::O_NOFOLLOW.bits()).open(path)?;
    let found = file.metadata()?;
    sole(&found)?;
    open_mode(exposure(geteuid().as_raw(), found.uid(), found.mode())).map(|_| file)
}

/// Another user can give any file of this user a second name, and a pipe blocks its readers.
fn sole(found: &Metadata) -> io::Result<()> {
    let wrong = |reason| Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    match found {
        found if found.is_symlink() => wrong("it is a link, which is not followed"),
        found if !found.is_file() => wrong("it is not a file"),
        found if found.nlink() != 1 => wrong("the file has another name as well; put a copy in its place"),
        _ => Ok(()),
    }
}

/// Puts a file with this content into the folder, which is created as by [`folder`]; a file of that name is replaced at once.
///
/// # Errors
/// As for [`folder`], other users can write into the folder, or the file cannot be written.
pub fn put(directory: &Path, own: &[&str], name: &str, content: &[u8]) -> io::Result<()> {
    folder(directory, own)?;
    unshared(directory)?;
    write_over(&directory.join(name), content, None)
}

/// Checks a file in a private folder before another library opens it by its name.
///
/// # Errors
/// The name is a link or not a file's, the file has another name or belongs to another user, or another user can
/// exchange it.
pub fn check(path: &Path) -> io::Result<()> {
    fixed(path)?;
    sole(&fs::symlink_metadata(path)?)?;
    open_mode(itself(path)?).map(drop)
}

/// Removes other users' access to a file before another library opens it by name. Does not open an existing file:
/// closing a descriptor drops all POSIX locks that this process holds on the file.
///
/// # Errors
/// As for [`check`], or the file cannot be created.
pub fn prepare(path: &Path) -> io::Result<()> {
    match create_named(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made.map(drop),
    }
    tighten(path)
}

/// As [`prepare`], for an existing file.
///
/// # Errors
/// As for [`check`].
pub fn tighten(path: &Path) -> io::Result<()> {
    check(path)?;
    if let Some(mode) = open_mode(itself(path)?)? {
        close(path, mode);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
