//! Files that a person writes: configuration, wire profile, secret, certificates. A path may lead anywhere, so what is read
//! is bounded; a pipe is as good as a file, since secret stores hand out pipes.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_without_end_is_no_file_that_a_person_wrote() {
        let error = read_to_string(Path::new("/dev/zero")).unwrap_err();
        assert!(error.to_string().contains("longer than 4 MiB"), "{error}");
    }
}
