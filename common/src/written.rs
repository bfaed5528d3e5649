//! Files that a person writes: configuration, wire profile, secret, certificates. Each is opened once, and judged and read by
//! that one descriptor: a name may lead elsewhere a moment later. A path may lead anywhere, so what is read is bounded; a
//! pipe is as good as a file, since secret stores hand out pipes.

use std::fmt;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::{OFlag, readlinkat};
use nix::sys::statfs::PROC_SUPER_MAGIC;
use nix::unistd::geteuid;

use crate::private::above::{self, Above, has_modes, is_on};

const ROOT: u32 = 0;

/// Many times the certificates that a system trusts, the longest of them.
const LONGEST: u64 = 4 << 20;
/// As the kernel bounds links to links.
const MOST_LINKS: usize = 40;

/// How a file was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// By name on the command line: a file in the folder of another user, who alone writes there, was meant.
    Named,
    /// By its place, which another user may have filled.
    Found,
}

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum NotRead {
    /// Another user decides what it says.
    #[error("{0}")]
    Doubtful(Doubt),
    /// The system refuses, or the content is no text or too long.
    #[error("{0}")]
    Failed(#[from] io::Error),
}

/// The bytes of such a file, and a doubt about it, which a warning says.
///
/// # Errors
/// Another user decides what it says, it cannot be read, or it is longer than 4 MiB.
pub fn read(path: &Path, chosen: Chosen) -> Result<(Vec<u8>, Option<Doubt>), NotRead> {
    let (found, doubt) = judged(path, chosen)?;
    let mut bytes = Vec::new();
    opened(&found)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(io::Error::other("it is longer than 4 MiB, which no file of this kind is").into());
    }
    Ok((bytes, doubt))
}

/// The text of such a file, and a doubt about it.
///
/// # Errors
/// As [`read`], or it is not UTF-8.
pub fn read_to_string(path: &Path, chosen: Chosen) -> Result<(String, Option<Doubt>), NotRead> {
    let (bytes, doubt) = read(path, chosen)?;
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8");
    Ok((String::from_utf8(bytes).map_err(not_text)?, doubt))
}

/// The doubt about such a file, which is not read: for a warning, and before another library reads it by its name.
///
/// # Errors
/// Another user decides what it says, or it cannot be opened.
pub fn look(path: &Path, chosen: Chosen) -> Result<Option<Doubt>, NotRead> {
    judged(path, chosen).map(|(_, doubt)| doubt)
}

/// Who else decides what a file says that the connector obeys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// Every user may write it, by its mode.
    All(u32),
    /// It, or the link to it, belongs to this user.
    Foreign(u32),
    /// Its group may write it, by its mode.
    Group(u32),
    /// By a folder or a link on the way, others can exchange it.
    Above(Above),
}

impl fmt::Display for Doubt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(mode) => write!(formatter, "its mode {mode:o} lets every user change it; chmod o-w it"),
            Self::Foreign(owner) => write!(
                formatter,
                "it, or the link to it, belongs to the user {owner}, who may change it; chown it to this user or root, or name a \
                 copy of your own"
            ),
            Self::Group(mode) => {
                write!(formatter, "its mode {mode:o} lets its group change it; chmod g-w it")
            }
            Self::Above(above) => above.fmt(formatter),
        }
    }
}

/// Opens a file, not yet for reading, and judges it and each link that leads to it.
fn judged(path: &Path, chosen: Chosen) -> Result<(File, Option<Doubt>), NotRead> {
    let me = geteuid().as_raw();
    let named = path;
    let mut path = path.to_owned();
    let mut owners = Vec::new();
    let mut is_planted = false;
    for _ in 0..MOST_LINKS {
        let mut file = handle(&path, OFlag::O_NOFOLLOW)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let found = file.metadata()?;
        if has_modes(&file) && ![me, ROOT].contains(&found.uid()) {
            owners.push(found.uid());
            is_planted |= may_be_filled(folder, &administrators(me, chosen, &found));
        }
        if found.is_symlink() {
            if !is_on(&file, &[PROC_SUPER_MAGIC]) {
                path = folder.join(readlinkat(&file, "").map_err(io::Error::from)?);
                continue;
            }
            // Such a link is the open file itself, and its text no path.
            file = handle(&path, OFlag::empty())?;
            owners.extend(Some(file.metadata()?.uid()).filter(|_| has_modes(&file)));
        }
        let mode = if has_modes(&file) { file.metadata()?.mode() & 0o7777 } else { 0 };
        return match doubt_about(me, &owners, mode) {
            Some(doubt @ Doubt::All(_)) => Err(NotRead::Doubtful(doubt)),
            Some(doubt @ Doubt::Foreign(_)) if is_planted => Err(NotRead::Doubtful(doubt)),
            doubt => {
                // Its owner, of a named one, may as well own the way to it.
                let friend = administrators(me, chosen, &file.metadata()?).last().copied().unwrap_or(ROOT);
                let is_foreign = !owners.is_empty();
                match above::of_others(named, friend, is_foreign)? {
                    Some(above) if above.decides(is_foreign) => Err(NotRead::Doubtful(Doubt::Above(above))),
                    above => Ok((file, doubt.or(above.map(Doubt::Above)))),
                }
            }
        };
    }
    Err(io::Error::from(nix::Error::ELOOP).into())
}

/// A handle that names the file and does nothing to it: no pipe is waited for, and no device begins to work.
fn handle(path: &Path, flag: OFlag) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags((OFlag::O_PATH | flag).bits()).open(path)
}

/// The same file for reading, whatever bears its name by now. A pipe is waited for only here.
fn opened(handle: &File) -> io::Result<File> {
    File::open(format!("/proc/self/fd/{}", handle.as_raw_fd()))
}

/// Who may have put there what belongs to another user, without a doubt that it was meant. A named file is obeyed in the
/// folder of its owner, too: no pipe, no link, and none that others may write.
fn administrators(me: u32, chosen: Chosen, found: &Metadata) -> Vec<u32> {
    let is_own_file = chosen == Chosen::Named && found.is_file() && found.mode() & 0o022 == 0;
    [me, ROOT].into_iter().chain(is_own_file.then(|| found.uid())).collect()
}

/// Whether another user than these may have put a file into a folder; also where that is not known.
fn may_be_filled(folder: &Path, by: &[u32]) -> bool {
    fs::metadata(folder).map_or(true, |found| is_open_to_others(by, found.uid(), found.mode()))
}

fn is_open_to_others(trusted: &[u32], owner: u32, mode: u32) -> bool {
    !trusted.contains(&owner) || mode & 0o022 != 0
}

fn doubt_about(me: u32, owners: &[u32], mode: u32) -> Option<Doubt> {
    let foreign = owners.iter().copied().find(|owner| ![me, ROOT].contains(owner));
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
    use std::os::unix::fs::{PermissionsExt, lchown, symlink};

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
            assert_eq!(doubt_about(me, &owners, mode), wanted, "{me} {owners:?} {mode:o}");
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
            assert_eq!(is_open_to_others(&[me, ROOT], owner, mode), wanted, "{me} {owner} {mode:o}");
        }
    }

    /// What a look says, with the reason of a refusal as well.
    fn said(path: &Path, chosen: Chosen) -> Result<Option<Doubt>, Doubt> {
        look(path, chosen).map_err(|error| match error {
            NotRead::Doubtful(doubt) => doubt,
            NotRead::Failed(error) => panic!("{}: {error}", path.display()),
        })
    }

    #[test]
    fn a_file_or_a_pipe_that_every_user_may_write_is_refused_and_one_of_a_group_is_only_warned_about() {
        let folder = tempfile::tempdir().unwrap();
        let [file, pipe] = ["file", "pipe"].map(|name| folder.path().join(name));
        fs::write(&file, "").unwrap();
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in [file, pipe] {
            for (mode, wanted) in
                [(0o600, Ok(None)), (0o660, Ok(Some(Doubt::Group(0o660)))), (0o602, Err(Doubt::All(0o602)))]
            {
                fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
                assert_eq!(said(&path, Chosen::Named), wanted);
            }
        }
        assert_eq!(said(Path::new("/dev/null"), Chosen::Found), Ok(None), "anybody may write it");
    }

    /// Only root can give a file away: any other user's run of this test proves nothing.
    #[test]
    fn what_another_user_may_have_put_there_is_refused_also_by_name_but_in_its_owners_folder() {
        const OTHER: u32 = 12_345;
        const THIRD: u32 = 23_456;
        if !geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["mine", "file", "written by its group"] {
            fs::write(path(name), "").unwrap();
        }
        fs::set_permissions(path("written by its group"), Permissions::from_mode(0o664)).unwrap();
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        symlink("mine", path("link")).unwrap();
        symlink("link", path("own link to link")).unwrap();
        symlink("file", path("own link to file")).unwrap();
        for name in ["file", "written by its group", "pipe", "link"] {
            lchown(path(name), Some(OTHER), None).unwrap();
        }
        let (warned, refused) = (&Ok(Some(Doubt::Foreign(OTHER))), &Err(Doubt::Foreign(OTHER)));
        for (owner, mode, found, named, named_file) in [
            (ROOT, 0o755, warned, warned, warned),
            (ROOT, 0o775, refused, refused, refused),
            (ROOT, 0o1777, refused, refused, refused),
            (THIRD, 0o755, refused, refused, refused),
            (OTHER, 0o755, refused, refused, warned),
            (OTHER, 0o775, refused, refused, refused),
        ] {
            fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            lchown(folder.path(), Some(owner), None).unwrap();
            for name in ["pipe", "link", "own link to link", "written by its group"] {
                assert_eq!(said(&path(name), Chosen::Found), *found, "{name} {owner} {mode:o}");
                assert_eq!(said(&path(name), Chosen::Named), *named, "{name} {owner} {mode:o}");
            }
            for name in ["file", "own link to file"] {
                assert_eq!(said(&path(name), Chosen::Found), *found, "{name} {owner} {mode:o}");
                assert_eq!(said(&path(name), Chosen::Named), *named_file, "{name} {owner} {mode:o}");
            }
            for chosen in [Chosen::Found, Chosen::Named] {
                let is_refused = matches!(said(&path("mine"), chosen), Err(Doubt::Above(_)));
                assert_eq!(is_refused, owner != ROOT, "{owner} {mode:o}");
            }
        }
    }

    /// Only root can give a folder away: any other user's run of this test proves nothing.
    #[test]
    fn what_another_user_can_exchange_is_refused_but_in_the_folders_of_a_named_files_owner() {
        const OTHER: u32 = 12_345;
        if !geteuid().is_root() {
            return;
        }
        let outer = tempfile::tempdir().unwrap();
        let path = |name: &str| outer.path().join(name);
        for folder in ["own", "own/inner", "own/theirs", "theirs", "theirs/inner"] {
            fs::create_dir(path(folder)).unwrap();
            for name in ["mine", "file"] {
                fs::write(path(folder).join(name), "").unwrap();
            }
        }
        symlink("../own", path("theirs/link")).unwrap();
        symlink("theirs/link", path("own link")).unwrap();
        for name in [
            "theirs",
            "theirs/link",
            "theirs/inner",
            "theirs/file",
            "theirs/inner/file",
            "own/file",
            "own/inner/file",
            "own/theirs",
            "own/theirs/file",
        ] {
            lchown(path(name), Some(OTHER), None).unwrap();
        }
        for name in ["theirs/mine", "theirs/inner/mine", "theirs/link/mine", "own link/mine"] {
            for chosen in [Chosen::Found, Chosen::Named] {
                let doubt = said(&path(name), chosen).unwrap_err();
                assert!(matches!(doubt, Doubt::Above(_)), "{name} {doubt}");
                assert!(doubt.to_string().contains("belongs to the user 12345"), "{name} {doubt}");
            }
        }
        let warned = Ok(Some(Doubt::Foreign(OTHER)));
        for name in ["theirs/file", "theirs/inner/file", "own link/file"] {
            assert_eq!(said(&path(name), Chosen::Named), warned, "{name}");
            assert!(said(&path(name), Chosen::Found).is_err(), "{name}");
        }
        assert_eq!(said(&path("own/file"), Chosen::Found), warned);
        // Where a group may write, and all the more where all may, its folder may be one that another user put there.
        let above = |said: Result<Option<Doubt>, Doubt>| match said {
            Ok(doubt) => Ok(matches!(doubt, Some(Doubt::Above(_)))),
            Err(doubt) => Err(matches!(doubt, Doubt::Above(_))),
        };
        for (group, mode, mine, file) in [
            (0, 0o755, Ok(false), Ok(false)),
            (0, 0o775, Ok(false), Ok(false)),
            (OTHER, 0o775, Ok(true), Err(true)),
            (0, 0o777, Err(true), Err(true)),
        ] {
            lchown(path("own"), None, Some(group)).unwrap();
            fs::set_permissions(path("own"), Permissions::from_mode(mode)).unwrap();
            for (name, wanted) in [("own/inner/mine", mine), ("own/inner/file", file)] {
                assert_eq!(above(said(&path(name), Chosen::Found)), wanted, "{name} {group} {mode:o}");
            }
            let named = said(&path("own/theirs/file"), Chosen::Named);
            assert_eq!(named.is_err(), file.is_err(), "{group} {mode:o}: {named:?}");
        }
    }

    #[test]
    fn pipes_and_the_links_of_container_secrets_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let text = |path: &Path| read_to_string(path, Chosen::Found).unwrap();
        fs::create_dir(path("..2026")).unwrap();
        fs::write(path("..2026/token"), "t0ken").unwrap();
        symlink("..2026", path("..data")).unwrap();
        symlink("..data/token", path("token")).unwrap();
        assert_eq!(text(&path("token")), ("t0ken".to_owned(), None));

        let (reader, mut writer) = io::pipe().unwrap();
        io::Write::write_all(&mut writer, b"t0ken").unwrap();
        drop(writer);
        let substituted = format!("/dev/fd/{}", reader.as_raw_fd());
        assert_eq!(text(Path::new(&substituted)), ("t0ken".to_owned(), None));

        // A store writes only once somebody reads.
        nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let pipe = path("pipe");
        let store = std::thread::spawn(move || fs::write(pipe, "t0ken"));
        assert_eq!(text(&path("pipe")), ("t0ken".to_owned(), None));
        store.join().unwrap().unwrap();
    }

    #[test]
    fn what_is_read_is_what_was_judged_whatever_bears_the_name_by_then() {
        let folder = tempfile::tempdir().unwrap();
        let [path, other] = ["file", "other"].map(|name| folder.path().join(name));
        fs::write(&path, "judged").unwrap();
        fs::write(&other, "other").unwrap();
        let (found, _) = judged(&path, Chosen::Found).unwrap();
        fs::rename(&other, &path).unwrap();
        let text = io::read_to_string(opened(&found).unwrap()).unwrap();
        assert_eq!(text, "judged");
    }

    #[test]
    fn links_in_a_circle_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("link");
        symlink("link", &path).unwrap();
        assert!(read(&path, Chosen::Named).is_err());
    }

    #[test]
    fn a_device_without_end_is_no_file_that_a_person_wrote() {
        let error = read_to_string(Path::new("/dev/zero"), Chosen::Named).unwrap_err();
        assert!(error.to_string().contains("longer than 4 MiB"), "{error}");
    }
}
