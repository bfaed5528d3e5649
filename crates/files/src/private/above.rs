//! Checks whether other users can exchange what is at a path, by the folders above it and the links that lead to
//! it. The check starts at the root: what has been checked cannot be changed by others, so the path leads to the
//! same place when it is used.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use nix::sys::statfs::{FsType, MSDOS_SUPER_MAGIC, fstatfs};
use nix::unistd::{getegid, geteuid};

use super::{ROOT, STICKY};

/// File systems that invent owner and mode, such as Windows folders in a container.
const WITHOUT_MODES: [FsType; 2] = [MSDOS_SUPER_MAGIC, FsType(0x0102_1997)];

/// More steps than a path has that the kernel follows: it limits links to links.
const LONGEST: usize = 4096;

/// A folder or a link by which other users can exchange what is below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Above {
    at: PathBuf,
    hold: Hold,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// It belongs to this user.
    Owner(u32),
    /// It is in a folder that others can write, and belongs to this user.
    Below(u32),
    /// It is a link of this user in a folder that only others write.
    Link(u32),
    /// Its mode lets all users write there.
    All { mode: u32, is_trusted: bool },
    /// Its mode lets this group write there.
    Group { mode: u32, group: u32, is_trusted: bool },
}

impl Above {
    pub(super) fn is_refused(&self) -> bool {
        !matches!(self.hold, Hold::All { is_trusted: true, .. } | Hold::Group { is_trusted: true, .. })
    }

    /// Whether another user decides by it about the content of a file, which may be this user's own.
    pub(crate) fn decides(&self, is_foreign: bool) -> bool {
        match self.hold {
            Hold::Owner(_) | Hold::Below(_) | Hold::All { is_trusted: false, .. } => true,
            // Root or this user gives them access to a place of this user's own files.
            Hold::All { is_trusted: true, .. } | Hold::Group { .. } => is_foreign,
            Hold::Link(_) => false,
        }
    }

    fn is_of_a_group(&self) -> bool {
        matches!(self.hold, Hold::Group { is_trusted: false, .. })
    }
}

impl fmt::Display for Above {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.display();
        match self.hold {
            Hold::Owner(owner) | Hold::Below(owner) | Hold::Link(owner) => write!(
                formatter,
                "{at}, which is above it, belongs to the user {owner}, who can exchange it; name a place below folders of \
                 root or of this user"
            ),
            Hold::All { mode, .. } => write!(
                formatter,
                "{at}, which is above it, has mode {mode:o}, by which every user can exchange it; chmod o-w {at}, or name \
                 another place"
            ),
            Hold::Group { mode, group, .. } => write!(
                formatter,
                "{at}, which is above it, has mode {mode:o}, by which the group {group} can exchange it; chmod g-w {at}, or \
                 name another place"
            ),
        }
    }
}

/// The next step of the path, with its owner.
#[derive(Debug, Clone, Copy)]
enum Below {
    Link(u32),
    Folder(u32),
    /// The last part of the path, which is checked separately.
    Last,
}

/// The users for whom the check is made.
#[derive(Debug, Clone, Copy)]
struct Me {
    user: u32,
    group: u32,
    /// A user who is trusted as root is.
    friend: u32,
}

impl Me {
    fn with(friend: u32) -> Self {
        Self { user: geteuid().as_raw(), group: getegid().as_raw(), friend }
    }
}

/// How other users can exchange what is in a folder: by the folder, or as the owner of a link in it. In a folder
/// that all users share, such as `/tmp`, only the owner can exchange a file.
fn hold(me: Me, (owner, group, mode): (u32, u32, u32), below: Below) -> Option<Hold> {
    let is_ours = |owner: u32| [me.user, ROOT, me.friend].contains(&owner);
    if !is_ours(owner) {
        return Some(Hold::Owner(owner));
    }
    let mode = mode & 0o7777;
    let is_for_all = mode & STICKY != 0;
    match below {
        // Where all users can create links, a trusted user's link may be a trap for this user.
        Below::Link(owner) if !is_ours(owner) || (is_for_all && ![me.user, ROOT].contains(&owner)) => {
            return Some(if mode & 0o022 == 0 { Hold::Link(owner) } else { Hold::Below(owner) });
        }
        Below::Folder(owner) if is_for_all && !is_ours(owner) => return Some(Hold::Below(owner)),
        Below::Link(_) | Below::Folder(_) | Below::Last => {}
    }
    // Root decides whom it gives access to a volume: container volumes are often open to all users, and only their
    // root can change that.
    let is_of_root = owner == ROOT && me.user != ROOT;
    // A home folder may be open to the user's own group.
    let is_trusted = group == me.group || is_of_root;
    match mode {
        _ if is_for_all => None,
        _ if mode & 0o002 != 0 => Some(Hold::All { mode, is_trusted: is_of_root }),
        _ if mode & 0o020 != 0 => Some(Hold::Group { mode, group, is_trusted }),
        _ => None,
    }
}

/// The worst way in which other users can exchange this path, and whether the path exists.
pub(super) fn judge(path: &Path) -> (Option<Above>, io::Result<bool>) {
    let (found, end) = walk(path, Me::with(ROOT));
    (found.iter().find(|above| above.is_refused()).or(found.first()).cloned(), end)
}

/// How another user other than `friend`, or a group, can exchange an existing file or a folder above it: a way that
/// decides about the file, or else one to warn of.
pub(crate) fn of_others(path: &Path, friend: u32, is_foreign: bool) -> io::Result<Option<Above>> {
    let (found, end) = walk(path, Me::with(friend));
    let worst = found.iter().find(|above| above.decides(is_foreign));
    match worst.or(found.iter().find(|above| above.is_of_a_group())) {
        Some(above) if above.decides(is_foreign) => Ok(Some(above.clone())),
        above if end? => Ok(above.cloned()),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

/// All ways in which others can exchange a step of the path, and whether the path exists. A missing folder is an
/// error: a moment ago the path may have led elsewhere.
fn walk(path: &Path, me: Me) -> (Vec<Above>, io::Result<bool>) {
    let mut held = Vec::new();
    let end = step(path, me, &mut held);
    (held, end)
}

fn step(path: &Path, me: Me, held: &mut Vec<Above>) -> io::Result<bool> {
    let mut at = PathBuf::new();
    // Only the working directory itself is above a relative path; it may have been removed.
    let mut rest = if path.is_absolute() { names(path) } else { names(&std::env::current_dir()?.join(path)) };
    for _ in 0..LONGEST {
        let Some(name) = rest.pop_front() else { return Ok(true) };
        if name == ".." {
            at.pop();
            continue;
        }
        if name == "/" {
            at = PathBuf::from(name);
            continue;
        }
        let (here, next) = (fs::metadata(&at)?, at.join(&name));
        let found = fs::symlink_metadata(&next);
        let below = match &found {
            Ok(found) if found.is_symlink() => Below::Link(found.uid()),
            Ok(found) if !rest.is_empty() => Below::Folder(found.uid()),
            _ => Below::Last,
        };
        let by = hold(me, (here.uid(), here.gid(), here.mode()), below);
        if let Some(hold) = by.filter(|_| File::open(&at).map_or(true, |folder| has_modes(&folder))) {
            let at = if matches!(hold, Hold::Below(_) | Hold::Link(_)) { next.clone() } else { at.clone() };
            held.push(Above { at, hold });
        }
        match found {
            Ok(found) if found.is_symlink() => {}
            Ok(_) => {
                at = next;
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && rest.is_empty() => return Ok(false),
            Err(error) => return Err(error),
        }
        let target = fs::read_link(&next)?;
        // A link to an open file, whose text may not be a path.
        if rest.is_empty() && at.starts_with("/proc") && !at.join(&target).exists() {
            return Ok(true);
        }
        let mut way = names(&target);
        way.append(&mut rest);
        rest = way;
    }
    Err(nix::Error::ELOOP.into())
}

fn names(path: &Path) -> VecDeque<OsString> {
    let named = path.components().filter(|part| !matches!(part, Component::CurDir));
    named.map(|part| part.as_os_str().to_owned()).collect()
}

pub(crate) fn is_on(file: &impl AsFd, systems: &[FsType]) -> bool {
    fstatfs(file).is_ok_and(|found| systems.contains(&found.filesystem_type()))
}

/// Whether owner and mode show who can change it: for a device, they show who can use it.
pub(crate) fn has_modes(file: &File) -> bool {
    let is_device =
        |found: &Metadata| found.file_type().is_char_device() || found.file_type().is_block_device();
    !is_on(file, &WITHOUT_MODES) && !file.metadata().is_ok_and(|found| is_device(&found))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, lchown, symlink};

    use super::*;

    #[test]
    fn a_folder_above_is_refused_by_which_other_users_can_exchange_what_is_below() {
        let trusted = |mode, group, is_trusted| Some(Hold::Group { mode, group, is_trusted });
        for (user, folder, below, wanted) in [
            (7, (ROOT, 0, 0o40755), Below::Folder(8), None),
            (7, (7, 7, 0o40755), Below::Last, None),
            (7, (8, 8, 0o40700), Below::Folder(7), Some(Hold::Owner(8))),
            (ROOT, (8, 8, 0o40755), Below::Last, Some(Hold::Owner(8))),
            (7, (ROOT, 0, 0o41777), Below::Folder(7), None),
            (7, (ROOT, 0, 0o41777), Below::Last, None),
            (7, (ROOT, 0, 0o41777), Below::Folder(8), Some(Hold::Below(8))),
            (7, (ROOT, 0, 0o40777), Below::Folder(7), Some(Hold::All { mode: 0o777, is_trusted: true })),
            (7, (7, 7, 0o40777), Below::Last, Some(Hold::All { mode: 0o777, is_trusted: false })),
            (ROOT, (ROOT, 0, 0o40777), Below::Last, Some(Hold::All { mode: 0o777, is_trusted: false })),
            (7, (7, 7, 0o40755), Below::Link(8), Some(Hold::Link(8))),
            (7, (ROOT, 0, 0o41777), Below::Link(8), Some(Hold::Below(8))),
            (7, (7, 7, 0o40755), Below::Link(ROOT), None),
            // The user's own group, as with a umask of 002; and a group that root gives access to a volume.
            (7, (7, 7, 0o40775), Below::Last, trusted(0o775, 7, true)),
            (7, (ROOT, 9, 0o42775), Below::Last, trusted(0o2775, 9, true)),
            (7, (7, 9, 0o42775), Below::Last, trusted(0o2775, 9, false)),
            (ROOT, (ROOT, 9, 0o42775), Below::Last, trusted(0o2775, 9, false)),
        ] {
            let me = Me { user, group: user, friend: ROOT };
            assert_eq!(hold(me, folder, below), wanted, "{me:?} {folder:?} {below:?}");
        }
    }

    #[test]
    fn a_friend_holds_nothing_in_folders_of_root_and_of_the_friend_but_a_link_in_one_that_is_meant_for_all() {
        let me = Me { user: 7, group: 7, friend: 8 };
        for (folder, below, wanted) in [
            ((8, 8, 0o40755), Below::Last, None),
            ((ROOT, 0, 0o40755), Below::Folder(8), None),
            ((8, 8, 0o40755), Below::Link(8), None),
            ((ROOT, 0, 0o41777), Below::Folder(8), None),
            ((ROOT, 0, 0o41777), Below::Link(8), Some(Hold::Below(8))),
        ] {
            assert_eq!(hold(me, folder, below), wanted, "{folder:?} {below:?}");
        }
    }

    #[test]
    fn a_file_of_another_user_is_refused_wherever_strangers_may_write() {
        let decides =
            |hold| [false, true].map(|is_foreign| Above { at: PathBuf::new(), hold }.decides(is_foreign));
        for (is_trusted, of_all) in [(false, [true, true]), (true, [false, true])] {
            assert_eq!(decides(Hold::All { mode: 0o777, is_trusted }), of_all);
            assert_eq!(decides(Hold::Group { mode: 0o775, group: 7, is_trusted }), [false, true]);
        }
        for hold in [Hold::Owner(8), Hold::Below(8)] {
            assert_eq!(decides(hold), [true, true]);
        }
        assert_eq!(decides(Hold::Link(8)), [false, false]);
    }

    #[test]
    fn every_folder_and_link_on_the_way_is_judged_and_one_that_is_not_there_is_none() {
        const OTHER: u32 = 12_345;
        let outer = tempfile::tempdir().unwrap();
        let path = |name: &str| outer.path().join(name);
        fs::create_dir_all(path("a/b")).unwrap();
        symlink("a", path("link")).unwrap();
        symlink("../link/./b", path("a/again")).unwrap();
        symlink("circle", path("circle")).unwrap();
        let at = |name: &str| judge(&path(name)).0.filter(Above::is_refused).map(|above| above.at);
        let is_there = |name: &str| judge(&path(name)).1.ok();
        assert_eq!(
            ["a/again", "link/none", "link/none/state", "none/../a", "circle"].map(is_there),
            [Some(true), Some(false), None, None, None]
        );
        let ways = ["a/b/state", "link/b", "a/again", "a/again/state", "link/../a/b", "link/none/state"];
        assert_eq!(ways.map(at), ways.map(|_| None));
        assert_eq!(at("circle/state"), None);
        let set_mode = |mode| fs::set_permissions(path("a"), Permissions::from_mode(mode)).unwrap();
        set_mode(0o757);
        assert_eq!(ways.map(at), ways.map(|_| Some(path("a"))));
        assert_eq!(at("a"), None, "the mode of what is at the end");
        set_mode(0o1777);
        assert_eq!(ways.map(at), ways.map(|_| None));
        if geteuid().is_root() {
            lchown(path("link"), Some(OTHER), None).unwrap();
            assert_eq!(
                (at("link"), at("link/b/state"), at("a/b")),
                (Some(path("link")), Some(path("link")), None)
            );
            lchown(path("a/b"), Some(OTHER), None).unwrap();
            assert_eq!((at("a/b"), at("a/b/state")), (None, Some(path("a/b"))));
        }
    }
}
