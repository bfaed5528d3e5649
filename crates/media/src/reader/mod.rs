//! Reading files in child processes, because anybody who may upload a file decides what is read here.
//!
//! A program that uses [`Readers`] calls [`run_if_asked`] as the first thing in `main`: the readers are the program
//! itself, started once more with a hidden first argument. A child limits its own memory, processor time and
//! descriptors ([`limits`]), and then reads one file after another ([`child`]); the parent hands each file over as a
//! descriptor, waits for a bounded answer until a deadline, and replaces a child that gave none ([`pool`]).

mod child;
mod fault;
mod limits;
mod pool;
mod reason;

use std::path::PathBuf;
use std::time::Duration;

pub use child::run_if_asked;
pub use pool::{Reader, Readers};

/// The hidden first argument of a program that is to read files.
const ARGUMENT: &str = "reader";

/// What a child says when its limits are set.
const READY: &[u8] = b"ready\n";

/// The longest request: the checks that are wanted.
const MOST_REQUEST: usize = 4 << 10;

/// The longest answer about one file, many times what a [`Reading`](crate::Reading) takes.
const MOST_ANSWER: usize = 256 << 10;

/// Address space of a reader of ordinary files: what decoding may take, and the file with its metadata beside it.
pub(crate) const SHARE: u64 = 192 << 20;

/// Files larger than this are read one at a time, by the reader that has the rest of the memory.
const LARGE: u64 = 32 << 20;

/// The least of [`Options::memory`]: a reader of ordinary files, and one of large ones with a document of 64 MiB.
pub const LEAST_MEMORY: u64 = SHARE + LARGEST_SHARE;

/// The least that the reader of large files has.
const LARGEST_SHARE: u64 = 256 << 20;

/// How files are read.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program to start, by its absolute path; its `main` begins with [`run_if_asked`].
    pub program: PathBuf,
    /// Memory of all readers together, in bytes.
    pub memory: u64,
    /// The longest that reading one file may take.
    pub deadline: Duration,
}

impl Options {
    /// Readers that are the running program, even when its file was replaced meanwhile.
    pub fn of_this_program(memory: u64, deadline: Duration) -> Self {
        Self { program: "/proc/self/exe".into(), memory, deadline }
    }
}
