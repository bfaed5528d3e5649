//! Reading files in child processes, because anyone with the right to upload can craft a file that is read here.
//!
//! A program that uses [`Readers`] calls [`run_if_asked`] first in `main`: the readers are the program itself, started
//! again with a hidden first argument. A child limits its own memory, CPU time and descriptors (`limits`), then reads one
//! file after another (`child`). The parent passes each file as a descriptor, waits for a bounded answer until a
//! deadline, and replaces a child that gave none (`pool`).

mod calls;
mod child;
mod fault;
mod limits;
mod output;
mod pool;
mod reason;

use std::path::PathBuf;
use std::time::Duration;

pub use child::run_if_asked;
pub use pool::{Reader, Readers};

/// The hidden first argument that starts a program as a reader.
const ARGUMENT: &str = "reader";

/// What a child sends once its limits are set.
const READY: &[u8] = b"ready\n";

/// Maximum length of a request (the enabled checks), in bytes.
const MOST_REQUEST: usize = 4 << 10;

/// Maximum length of the answer about one file, in bytes; many times what a [`Reading`](crate::Reading) takes.
const MOST_ANSWER: usize = 256 << 10;

/// Address space of a reader of ordinary files, in bytes: decoding, plus the file and its metadata.
pub(crate) const SHARE: u64 = 192 << 20;

/// Files larger than this, in bytes, are read one at a time, by the reader that has the rest of the memory.
const LARGE: u64 = 32 << 20;

/// Minimum of [`Options::memory`]: one reader of ordinary files, and one of large files that can parse a document of 64 MiB.
pub const LEAST_MEMORY: u64 = SHARE + LARGEST_SHARE;

/// Minimum memory of the reader of large files, in bytes.
const LARGEST_SHARE: u64 = 256 << 20;

/// How to start readers, and their limits.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program to start, by its absolute path; its `main` begins with [`run_if_asked`].
    pub program: PathBuf,
    /// Memory of all readers in total, in bytes.
    pub memory: u64,
    /// Time limit for reading one file.
    pub deadline: Duration,
}

impl Options {
    /// Starts the running program as the reader, even if its file has been replaced since.
    pub fn of_this_program(memory: u64, deadline: Duration) -> Self {
        Self { program: "/proc/self/exe".into(), memory, deadline }
    }
}
