//! Files that a person writes: configuration, wire profile, secret, certificates. A path may lead anywhere, so what is read
//! is bounded; a pipe is as good as a file, since secret stores hand out pipes.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::statfs::{FsType, MSDOS_SUPER_MAGIC, statfs};
use nix::unistd::geteuid;

const ROOT: u32 = 0;
/// File systems that make up owner and mode, as the folders of Windows do in a container.
const WITHOUT_MODES: [FsType; 2] = [MSDOS_SUPER_MAGIC, FsType(0x0102_1997)];

/// Many times the certificates that a system trusts, the longest of them.
const LONGEST: u64 = 4 << 20;

/// The bytes of such a file.
///
/// # Errors
/// It cannot be read, or is longer than 4 MiB.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(io::Error::other("it is longer than 4 MiB, which no file of this kind is"));
    }
    Ok(bytes)
}

/// The text of such a file.
///
/// # Errors
/// As [`read`], or it is not UTF-8.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8");
    String::from_utf8(read(path)?).map_err(not_text)
}

/// Who else decides what a file says that the connector obeys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Every user may write it, by its mode.
    All(u32),
    /// It, or the link to it, belongs to this user.
    Foreign(u32),
    /// Its group may write it, by its mode.
    Group(u32),
}

impl fmt::Display for Doubt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(mode) => write!(formatter, "its mode {mode:o} lets every user change it; chmod o-w it"),
            Self::Foreign(owner) => write!(
                formatter,
                "it, or the link to it, belongs to the user {owner}, who may change it; chown it to this user or root"
            ),
            Self::Group(mode) => {
                write!(formatter, "its mode {mode:o} lets its group change it; chmod g-w it")
            }
        }
    }
}

/// What is doubtful about a file that a person named, which a warning says.
///
/// # Errors
/// Every user may write it, so that it is not obeyed.
pub fn doubt(path: &Path) -> Result<Option<Doubt>, Doubt> {
    let made_up = || statfs(path).is_ok_and(|found| WITHOUT_MODES.contains(&found.filesystem_type()));
    let Ok(found) = fs::metadata(path) else { return Ok(None) };
    if !found.is_file() || made_up() {
        return Ok(None);
    }
    let link = fs::symlink_metadata(path).map_or(ROOT, |link| link.uid());
    match doubt_about(geteuid().as_raw(), [link, found.uid()], found.mode() & 0o7777) {
        Some(refused @ Doubt::All(_)) => Err(refused),
        doubt => Ok(doubt),
    }
}

/// Whether another user may have put a file into a folder; also where that is not known.
pub fn may_be_filled_by_others(folder: &Path) -> bool {
    fs::metadata(folder)
        .map_or(true, |found| is_open_to_others(geteuid().as_raw(), found.uid(), found.mode()))
}

fn is_open_to_others(me: u32, owner: u32, mode: u32) -> bool {
    ![me, ROOT].contains(&owner) || mode & 0o022 != 0
}

fn doubt_about(me: u32, owners: [u32; 2], mode: u32) -> Option<Doubt> {
    let foreign = owners.into_iter().find(|owner| ![me, ROOT].contains(owner));
    match (mode, foreign) {
        _ if mode & 0o002 != 0 => Some(Doubt::All(mode)),
        (_, Some(owner)) => Some(Doubt::Foreign(owner)),
        _ if mode & 0o020 != 0 => Some(Doubt::Group(mode)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_in_doubt_that_another_user_may_change() {
        for (me, owners, mode, wanted) in [
            (7, [7, 7], 0o644, None),
            (7, [ROOT, ROOT], 0o444, None),
            (ROOT, [ROOT, ROOT], 0o644, None),
            (7, [7, 7], 0o664, Some(Doubt::Group(0o664))),
            (7, [8, 7], 0o600, Some(Doubt::Foreign(8))),
            (7, [7, 8], 0o660, Some(Doubt::Foreign(8))),
            (ROOT, [8, 8], 0o600, Some(Doubt::Foreign(8))),
            (7, [8, 8], 0o602, Some(Doubt::All(0o602))),
            (ROOT, [ROOT, ROOT], 0o777, Some(Doubt::All(0o777))),
        ] {
            assert_eq!(doubt_about(me, owners, mode), wanted, "{me} {owners:?} {mode:o}");
        }
    }

    #[test]
    fn a_file_of_another_user_lies_where_root_put_it_or_where_anybody_may() {
        for (me, owner, mode, wanted) in [
            (7, ROOT, 0o40755, false),
            (7, 7, 0o40700, false),
            (7, ROOT, 0o41777, true),
            (7, 7, 0o40775, true),
            (7, 8, 0o40755, true),
            (ROOT, 8, 0o40755, true),
        ] {
            assert_eq!(is_open_to_others(me, owner, mode), wanted, "{me} {owner} {mode:o}");
        }
    }

    #[test]
    fn a_file_that_every_user_may_write_is_refused_and_one_of_a_group_is_only_warned_about() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "").unwrap();
        for (mode, wanted) in
            [(0o600, Ok(None)), (0o660, Ok(Some(Doubt::Group(0o660)))), (0o602, Err(Doubt::All(0o602)))]
        {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(doubt(&path), wanted);
        }
        assert_eq!(doubt(Path::new("/dev/null")), Ok(None), "no file, and anybody may write it");
    }

    #[test]
    fn a_device_without_end_is_no_file_that_a_person_wrote() {
        let error = read_to_string(Path::new("/dev/zero")).unwrap_err();
        assert!(error.to_string().contains("longer than 4 MiB"), "{error}");
    }
}
