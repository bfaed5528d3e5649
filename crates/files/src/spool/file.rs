//! Received files.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use futures::Stream;
use nix::sys::memfd::{MFdFlags, memfd_create};
use tokio::sync::OwnedSemaphorePermit;

use super::arriving::Arriving;
use super::content::Content;
use common::hash::ContentHash;

/// A received file. It can be read repeatedly and concurrently; it is deleted with the last clone.
#[derive(Debug, Clone)]
pub struct SpooledFile {
    content: Content,
    bytes: u64,
    sha256: ContentHash,
    extra_hash: Option<String>,
    _space: Arc<OwnedSemaphorePermit>,
}

impl SpooledFile {
    pub(super) fn new(
        content: Content,
        bytes: u64,
        sha256: ContentHash,
        extra_hash: Option<String>,
        space: OwnedSemaphorePermit,
    ) -> Self {
        Self { content, bytes, sha256, extra_hash, _space: Arc::new(space) }
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// SHA-256 of the whole file.
    pub fn sha256(&self) -> ContentHash {
        self.sha256
    }

    /// The requested additional hash, in lower-case hex.
    pub fn extra_hash(&self) -> Option<&str> {
        self.extra_hash.as_deref()
    }

    /// Streams a part of the file in pieces of at most 64 KiB; the part must be within the file.
    pub fn stream(&self, part: Range<u64>) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        self.content.stream(part)
    }

    /// The file as one that has arrived whole.
    pub fn arriving(&self) -> Arriving {
        Arriving::whole(self.content.clone(), self.bytes)
    }

    /// A separate read-only descriptor for another process, positioned at the beginning.
    ///
    /// # Errors
    /// The file cannot be reopened, for example because of too many open files.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        let reopened = |file: &File| File::open(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let opened = match &self.content {
            Content::Memory(held) => {
                let file = File::from(memfd_create(c"spooled", MFdFlags::MFD_CLOEXEC)?);
                file.write_all_at(held, 0)?;
                reopened(&file)?
            }
            Content::Disk(file) => reopened(file)?,
        };
        Ok(opened.into())
    }

    /// A blocking reader over the whole file.
    pub fn reader(&self) -> SpoolReader {
        SpoolReader { content: self.content.clone(), bytes: self.bytes, position: 0 }
    }
}

/// Reads and seeks in a spooled file, with its own position.
#[derive(Debug)]
pub struct SpoolReader {
    content: Content,
    bytes: u64,
    position: u64,
}

impl Read for SpoolReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &self.content {
            Content::Memory(held) => {
                let start = usize::try_from(self.position).unwrap_or(usize::MAX).min(held.len());
                (&held[start..]).read(buffer)?
            }
            Content::Disk(file) => file.read_at(buffer, self.position)?,
        };
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for SpoolReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(offset) => self.bytes.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}
