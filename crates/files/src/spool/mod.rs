//! The spool: files in transit between two services, in memory if small and otherwise on disk, within a total limit.
//!
//! Files on disk are unlinked as soon as they are created, so a killed process leaves nothing behind.

mod arriving;
mod content;
mod file;
mod hashing;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt, pin_mut};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use arriving::{Arrival, ArrivedPart, Arriving, arrival};
pub use file::{SpoolReader, SpooledFile};
pub use hashing::ExtraHash;

use crate::{disk, private};
use content::Content;
use hashing::Hashing;

/// Files up to this many bytes stay in memory: with 64 steps at once that is 128 MiB at most.
pub const MEMORY_LIMIT: u64 = 2 << 20;

/// Space is reserved in units of 64 KiB, so that a `u32` of units covers any disk.
const UNIT: u64 = 64 << 10;

/// Bytes to write to find out whether the disk is full: more than the reserve that some file systems keep for small files.
const PROBE_BYTES: usize = 1 << 20;

/// How long a file waits for space before it gives up.
const LONGEST_WAIT_FOR_SPACE: Duration = Duration::from_mins(5);

/// A bounded store for files in transit; clones share it.
#[derive(Debug, Clone)]
pub struct Spool {
    directory: PathBuf,
    space: Arc<Semaphore>,
    capacity_units: u32,
}

/// What is known about a file's length before it arrives, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// Announced by the sender; another length is an error.
    Announced(u64),
    /// Estimated from elsewhere to reserve space; another length is no error.
    Expected(u64),
    Unknown,
}

impl Length {
    /// The length that the sender announces, if it does.
    pub fn announced(bytes: Option<u64>) -> Self {
        bytes.map_or(Self::Unknown, Self::Announced)
    }

    /// Uses an estimate if no length is announced.
    #[must_use]
    pub fn or_expected(self, bytes: Option<u64>) -> Self {
        match (self, bytes) {
            (Self::Unknown, Some(bytes)) => Self::Expected(bytes),
            (known, _) => known,
        }
    }
}

/// Why a file could not be received.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError<E> {
    /// The sender failed.
    #[error(transparent)]
    Source(E),
    /// The sender ended early, or sent too much.
    #[error("the file ended after {received} bytes; {expected} were announced")]
    Length {
        /// The announced length.
        expected: u64,
        /// The length that was read.
        received: u64,
    },
    /// Writing to the spool directory failed, most often because the disk is full.
    #[error(
        "cannot write to the spool directory {directory}: {source}; free some space there or set worker.spool_dir"
    )]
    Disk { directory: PathBuf, source: io::Error },
    /// The file is larger than the whole spool.
    #[error("a file of {bytes} bytes is larger than the whole spool; raise worker.spool_max")]
    TooLarge {
        /// The file's length as far as it is known.
        bytes: u64,
    },
    /// Other files use the space.
    #[error("other files hold the spool's space; raise worker.spool_max or set worker.concurrency lower")]
    Full,
}

impl Spool {
    /// Opens the spool and creates its directory; `capacity` bounds the total bytes, in memory and on disk.
    ///
    /// # Errors
    /// The directory cannot be created or written to, or belongs to another user.
    pub fn open(directory: &Path, capacity: u64) -> io::Result<Self> {
        // No names of our own files to list: they are unlinked.
        private::folder(directory, &[])?;
        tempfile::tempfile_in(directory)?;
        let units = u32::try_from(capacity.div_ceil(UNIT)).unwrap_or(u32::MAX >> 3).max(1);
        Ok(Self {
            directory: directory.to_owned(),
            space: Arc::new(Semaphore::new(units as usize)),
            capacity_units: units,
        })
    }

    /// Checks that the directory is writable and the disk not full, with a small temporary file.
    ///
    /// # Errors
    /// Writing failed; the error names the directory.
    pub async fn try_writing(&self) -> io::Result<()> {
        let directory = self.directory.clone();
        let written = tokio::task::spawn_blocking(move || {
            let file = tempfile::tempfile_in(&directory)?;
            file.write_all_at(&vec![1; PROBE_BYTES], 0)?;
            // Some file systems report a full disk only here.
            file.sync_all()
        });
        written.await.map_err(io::Error::other)?.map_err(|error| {
            let directory = self.directory.display();
            io::Error::new(error.kind(), format!("cannot write to the spool directory {directory}: {error}"))
        })
    }

    /// Reserved bytes, in whole units.
    pub fn used(&self) -> u64 {
        (u64::from(self.capacity_units) - self.space.available_permits() as u64) * UNIT
    }

    /// Maximum bytes that can be reserved.
    pub fn capacity(&self) -> u64 {
        u64::from(self.capacity_units) * UNIT
    }

    /// The space on its disk that is free, whoever may take it, in bytes.
    pub fn free(&self) -> io::Result<u64> {
        disk::free(&self.directory)
    }

    /// Receives a stream to its end, and hashes it meanwhile.
    ///
    /// Space for the announced or expected length is reserved before the first byte. A file that turns out longer reserves more
    /// only if it is free, and does not wait: files that wait while they hold space could deadlock.
    ///
    /// # Errors
    /// See [`ReceiveError`]; what was received is dropped.
    pub async fn receive<S, E>(
        &self,
        stream: S,
        length: Length,
        extra: Option<ExtraHash>,
    ) -> Result<SpooledFile, ReceiveError<E>>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        let (arrival, _) = arrival(0);
        self.receive_shown(stream, length, extra, arrival).await
    }

    /// The same, and shows meanwhile what has arrived.
    ///
    /// # Errors
    /// See [`ReceiveError`]; what was received is dropped.
    pub async fn receive_shown<S, E>(
        &self,
        stream: S,
        length: Length,
        extra: Option<ExtraHash>,
        arrival: Arrival,
    ) -> Result<SpooledFile, ReceiveError<E>>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        pin_mut!(stream);
        let (announced, expected) = match length {
            Length::Announced(bytes) => (Some(bytes), bytes),
            Length::Expected(bytes) => (None, bytes),
            Length::Unknown => (None, UNIT),
        };
        let mut space = self.reserve(expected).await?;
        let mut content = Incoming::Memory(Vec::new());
        let mut hashing = Hashing::new(extra);
        let mut received: u64 = 0;
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(ReceiveError::Source)?;
            received += chunk.len() as u64;
            if let Some(expected) = announced.filter(|expected| received > *expected) {
                return Err(ReceiveError::Length { expected, received });
            }
            let reserved = space.num_permits() as u64 * UNIT;
            if received > reserved {
                space.merge(self.grow(received, received - reserved)?);
            }
            hashing.update(&chunk);
            content = self.append(content, chunk, received).await?;
            if let Incoming::Disk(file) = &content {
                arrival.note(&Content::Disk(Arc::clone(file)), received);
            }
        }
        if let Some(expected) = announced.filter(|expected| received != *expected) {
            return Err(ReceiveError::Length { expected, received });
        }
        let (sha256, extra) = hashing.finish();
        let content = Content::from(content);
        arrival.note(&content, received);
        Ok(SpooledFile::new(content, received, sha256, extra, space))
    }

    async fn reserve<E>(&self, bytes: u64) -> Result<OwnedSemaphorePermit, ReceiveError<E>> {
        let units = self.units(bytes)?;
        let acquire = Arc::clone(&self.space).acquire_many_owned(units);
        match tokio::time::timeout(LONGEST_WAIT_FOR_SPACE, acquire).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(ReceiveError::Full),
        }
    }

    fn grow<E>(&self, total: u64, more: u64) -> Result<OwnedSemaphorePermit, ReceiveError<E>> {
        self.units::<E>(total)?;
        Arc::clone(&self.space).try_acquire_many_owned(self.units(more)?).map_err(|_| ReceiveError::Full)
    }

    fn units<E>(&self, bytes: u64) -> Result<u32, ReceiveError<E>> {
        let units = u32::try_from(bytes.div_ceil(UNIT).max(1)).unwrap_or(u32::MAX);
        if units > self.capacity_units { Err(ReceiveError::TooLarge { bytes }) } else { Ok(units) }
    }

    async fn append<E>(
        &self,
        content: Incoming,
        chunk: Bytes,
        total: u64,
    ) -> Result<Incoming, ReceiveError<E>> {
        let offset = total - chunk.len() as u64;
        match content {
            Incoming::Memory(mut held) if total <= MEMORY_LIMIT => {
                held.extend_from_slice(&chunk);
                Ok(Incoming::Memory(held))
            }
            Incoming::Memory(held) => {
                let directory = self.directory.clone();
                let spilled = tokio::task::spawn_blocking(move || {
                    let file = tempfile::tempfile_in(directory)?;
                    file.write_all_at(&held, 0)?;
                    file.write_all_at(&chunk, offset)?;
                    Ok(Incoming::Disk(Arc::new(file)))
                });
                self.on_disk(spilled.await)
            }
            Incoming::Disk(file) => {
                let written = tokio::task::spawn_blocking(move || {
                    file.write_all_at(&chunk, offset)?;
                    Ok(Incoming::Disk(file))
                });
                self.on_disk(written.await)
            }
        }
    }

    fn on_disk<T, E>(
        &self,
        joined: Result<io::Result<T>, tokio::task::JoinError>,
    ) -> Result<T, ReceiveError<E>> {
        joined
            .map_err(io::Error::other)
            .flatten()
            .map_err(|source| ReceiveError::Disk { directory: self.directory.clone(), source })
    }
}

enum Incoming {
    Memory(Vec<u8>),
    Disk(Arc<File>),
}

impl From<Incoming> for Content {
    fn from(incoming: Incoming) -> Self {
        match incoming {
            Incoming::Memory(held) => Self::Memory(held.into()),
            Incoming::Disk(file) => Self::Disk(file),
        }
    }
}
