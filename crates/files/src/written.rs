//! Reads files that a person writes: configuration, wire profile, secret, certificates. Opens each once, and checks
//! and reads it through that descriptor, since its name may lead elsewhere a moment later. A path may lead
//! anywhere, so the length is limited; a pipe is accepted like a file, since secret stores use pipes.

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

/// Many times the length of a system's certificates, the longest of these files.
pub const LONGEST: u64 = 4 << 20;
/// The kernel's limit of links to links.
const MOST_LINKS: usize = 40;

/// How a file was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// By its name on the command line: a file in the folder of another user is accepted if only that user can
    /// write there.
    Named,
    /// By its place, which another user may have filled.
    Found,
}

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum NotRead {
    /// Another user may have written it.
    #[error("{0}")]
    Doubtful(Doubt),
    /// The system refuses, or the content is not text or too long.
    #[error("{0}")]
    Failed(#[from] io::Error),
}

/// The bytes of such a file, and a doubt about it to warn of.
///
/// # Errors
/// Another user may have written it, it cannot be read, or it is longer than 4 MiB.
pub fn read(path: &Path, chosen: Chosen) -> Result<(Vec<u8>, Option<Doubt>), NotRead> {
    read_up_to(path, chosen, LONGEST)
}

/// As [`read`], of a file that may have this many bytes.
///
/// # Errors
/// As [`read`], for that length.
pub fn read_up_to(path: &Path, chosen: Chosen, longest: u64) -> Result<(Vec<u8>, Option<Doubt>), NotRead> {
    let (found, doubt) = judged(path, chosen)?;
    let mut bytes = Vec::new();
    opened(&found)?.take(longest + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > longest {
        let reason = format!("it is longer than {} MiB, which no file of this kind is", longest >> 20);
        return Err(io::Error::other(reason).into());
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

/// The doubt about such a file, without reading it: for a warning, and before another library reads it by its name.
///
/// # Errors
/// Another user may have written it, or it cannot be opened.
pub fn check(path: &Path, chosen: Chosen) -> Result<Option<Doubt>, NotRead> {
    judged(path, chosen).map(|(_, doubt)| doubt)
}

/// Who else can change a file that controls the connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Doubt {
    /// Its mode lets every user write it.
    All(u32),
    /// It, or the link to it, belongs to this user.
    Foreign(u32),
    /// Its mode lets its group write it.
    Group(u32),
    /// A folder above it, or a link to it, lets others exchange it.
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

/// Opens a file, not yet for reading, and checks it and each link that leads to it.
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
            // Such a link is the open file itself, and its text is not a path.
            file = handle(&path, OFlag::empty())?;
            owners.extend(Some(file.metadata()?.uid()).filter(|_| has_modes(&file)));
        }
        let mode = if has_modes(&file) { file.metadata()?.mode() & 0o7777 } else { 0 };
        return match doubt_about(me, &owners, mode) {
            Some(doubt @ Doubt::All(_)) => Err(NotRead::Doubtful(doubt)),
            Some(doubt @ Doubt::Foreign(_)) if is_planted => Err(NotRead::Doubtful(doubt)),
            doubt => {
                // The owner of a named file may also own the folders above it.
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

/// A handle on the file without effect: it waits for no pipe and starts no device.
fn handle(path: &Path, flag: OFlag) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags((OFlag::O_PATH | flag).bits()).open(path)
}

/// Opens the same file for reading, whatever its name leads to by now. Only this waits for a pipe.
fn opened(handle: &File) -> io::Result<File> {
    File::open(format!("/proc/self/fd/{}", handle.as_raw_fd()))
}

/// The users whose file is accepted without a doubt. A named file may belong to the owner of its folder, too,
/// unless it is a pipe or a link, or others can write it.
fn administrators(me: u32, chosen: Chosen, found: &Metadata) -> Vec<u32> {
    let is_own_file = chosen == Chosen::Named && found.is_file() && found.mode() & 0o022 == 0;
    [me, ROOT].into_iter().chain(is_own_file.then(|| found.uid())).collect()
}

/// Whether a user other than these may have put a file into a folder, or this is unknown.
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
mod tests;
