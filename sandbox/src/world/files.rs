//! The library's files, which are on disk; the world has only their facts.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use sample_files::Format;

/// A file on the sandbox's disk.
#[derive(Debug, Clone)]
pub(crate) struct StoredFile {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    pub(crate) format: Option<Format>,
}

impl StoredFile {
    pub(crate) fn media_type(&self) -> &'static str {
        match self.format {
            Some(Format::Jpeg) => "image/jpeg",
            Some(Format::Png) => "image/png",
            Some(Format::Tiff) => "image/tiff",
            Some(Format::Mp4) => "video/mp4",
            Some(Format::Pdf) => "application/pdf",
            Some(Format::Wav) => "audio/wav",
            None => "application/octet-stream",
        }
    }
}

/// Reads a file once for its hash, length and format.
pub(crate) fn hash_file(path: &Path) -> io::Result<StoredFile> {
    let mut file = File::open(path)?;
    let (mut hasher, mut start, mut bytes) = (Sha256::new(), Vec::new(), 0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        if start.is_empty() {
            start = buffer[..read.min(16)].to_vec();
        }
        hasher.update(&buffer[..read]);
        bytes += read as u64;
    }
    let sha256 = hex::encode(hasher.finalize());
    Ok(StoredFile { path: path.to_owned(), bytes, sha256, format: Format::detect(&start) })
}
