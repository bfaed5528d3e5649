//! Several files in one: a compressed tar archive that other users cannot read, complete or not there.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, Header};

/// An archive that is being written.
pub struct Pack<'a> {
    tar: Builder<GzEncoder<BufWriter<&'a mut File>>>,
    now: u64,
}

impl<'a> Pack<'a> {
    pub fn new(file: &'a mut File) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self { tar: Builder::new(GzEncoder::new(BufWriter::new(file), Compression::default())), now }
    }

    /// Adds the next `bytes` of a reader under this name.
    ///
    /// # Errors
    /// Reading or writing fails, or the reader ends earlier.
    pub fn add(&mut self, name: &str, bytes: u64, from: impl Read) -> io::Result<()> {
        let mut header = Header::new_gnu();
        header.set_size(bytes);
        header.set_mode(0o600);
        header.set_mtime(self.now);
        let mut from = Counted { from: from.take(bytes), bytes: 0 };
        self.tar.append_data(&mut header, name, &mut from)?;
        if from.bytes < bytes {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{name} became shorter")));
        }
        Ok(())
    }

    /// Adds a file as it is now.
    ///
    /// # Errors
    /// As [`Pack::add`].
    pub fn add_file(&mut self, name: &str, path: &Path) -> io::Result<()> {
        let file = File::open(path)?;
        self.add(name, file.metadata()?.len(), file)
    }

    /// Ends the archive.
    ///
    /// # Errors
    /// Writing fails.
    pub fn finish(self) -> io::Result<()> {
        self.tar.into_inner()?.finish()?.flush()
    }
}

/// The archive's writer ignores a reader that ends early.
struct Counted<R> {
    from: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.bytes += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_became_shorter_is_an_error_and_no_wrong_archive() {
        let mut file = tempfile::tempfile().unwrap();
        let mut pack = Pack::new(&mut file);
        pack.add("whole", 3, &b"abc"[..]).unwrap();
        assert_eq!(pack.add("cut", 4, &b"abc"[..]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
