//! How much space there is, and how much is taken.

use std::io;
use std::path::Path;

use nix::sys::statvfs::statvfs;

/// The space on the folder's disk that this user may still take, in bytes.
pub fn free(folder: &Path) -> io::Result<u64> {
    let found = statvfs(folder)?;
    Ok(found.blocks_available() * found.fragment_size())
}

/// The length of all files in the folder and below it, in bytes. Files that disappear meanwhile do not count.
pub fn used(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)?.flatten() {
        let Ok(found) = entry.metadata() else { continue };
        bytes += if found.is_dir() { used(&entry.path()).unwrap_or_default() } else { found.len() };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_below_a_folder_count_and_links_out_of_it_do_not() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("state");
        std::fs::create_dir_all(folder.join("archive")).unwrap();
        std::fs::write(folder.join("database"), "12345").unwrap();
        std::fs::write(folder.join("archive/old"), "123").unwrap();
        std::fs::write(outer.path().join("other"), vec![0; 1 << 16]).unwrap();
        std::os::unix::fs::symlink(outer.path(), folder.join("link")).unwrap();
        let bytes = used(&folder).unwrap();
        assert!((8..1 << 16).contains(&bytes), "{bytes}");
        assert!(free(&folder).unwrap() > 0);
        assert!(free(&folder.join("nowhere")).is_err());
    }
}
