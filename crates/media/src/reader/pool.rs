//! The parent: a bounded number of children, each of which reads at most one file at a time.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as Socket;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use common::content::Content;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Interest};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::reason::End;
use super::{ARGUMENT, LARGE, LARGEST_SHARE, MOST_ANSWER, Options, READY, SHARE};
use crate::checks::Checks;
use crate::read::Reading;

/// A child is replaced after this many files, so that memory it leaks does not fail a later file.
const MOST_FILES: u32 = 1000;

/// How long a child may take to exit after it has closed its end of the socket.
const ENDING: Duration = Duration::from_secs(1);

/// CPU time that a file is allowed beyond its deadline, in seconds.
const SPARE_SECONDS: u64 = 5;

/// Decoders allocate and free buffers of up to a few MiB for each picture and start a thread for it. With glibc's
/// defaults, the kernel maps and clears these pages anew each time: a quarter of the time for a photograph.
const ALLOCATOR: &str =
    "glibc.malloc.arena_max=1:glibc.malloc.mmap_threshold=4194304:glibc.malloc.trim_threshold=16777216";

/// Reads files in child processes; clones share the children.
#[derive(Debug, Clone)]
pub struct Readers {
    shared: Arc<Pool>,
}

#[derive(Debug)]
struct Pool {
    options: Options,
    ordinary: Children,
    large: Children,
}

/// Children with the same memory limit.
#[derive(Debug)]
struct Children {
    memory: u64,
    turns: Semaphore,
    idle: Mutex<Vec<Running>>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    answers: BufReader<UnixStream>,
    files: u32,
}

/// A permit to read one file, with the child that reads it.
#[derive(Debug)]
pub struct Reader<'a> {
    options: &'a Options,
    children: &'a Children,
    // Declared before the permit so that the child is dropped first: its memory is free when the next one starts.
    running: Option<Running>,
    _turn: SemaphorePermit<'a>,
}

/// Why a child gave no answer.
enum Broken {
    /// It closed its end of the socket.
    Closed,
    /// Its answer was malformed or too long.
    Nonsense,
    /// The parent's end of the socket failed.
    Line(io::Error),
}

impl Readers {
    /// Creates the pool; a child starts only when a file needs it.
    pub fn new(options: Options) -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        let (ordinary, rest) = shares(options.memory, cores);
        let ordinary = Children::new(SHARE, ordinary);
        Self { shared: Arc::new(Pool { options, ordinary, large: Children::new(rest, 1) }) }
    }

    /// Waits for a reader for a file of this length.
    ///
    /// # Errors
    /// No reader can be started; the file is not the cause.
    pub async fn reader(&self, bytes: u64) -> io::Result<Reader<'_>> {
        let Pool { options, ordinary, large } = &*self.shared;
        let children = if bytes > LARGE { large } else { ordinary };
        let turn = children.turns.acquire().await.map_err(io::Error::other)?;
        let running = match children.take() {
            Some(running) => running,
            None => Running::start(options, children.memory).await?,
        };
        Ok(Reader { options, children, running: Some(running), _turn: turn })
    }
}

/// The number of readers of ordinary files, and the memory left for the reader of large files.
fn shares(memory: u64, cores: usize) -> (usize, u64) {
    let most = usize::try_from(memory.saturating_sub(LARGEST_SHARE) / SHARE).unwrap_or(usize::MAX);
    let ordinary = cores.min(most).max(1);
    (ordinary, memory.saturating_sub(SHARE.saturating_mul(ordinary as u64)).max(LARGEST_SHARE))
}

impl Children {
    fn new(memory: u64, turns: usize) -> Self {
        Self { memory, turns: Semaphore::new(turns), idle: Mutex::default() }
    }

    /// Takes an idle child that is alive and has sent nothing unasked.
    fn take(&self) -> Option<Running> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| idle.pop()).find_map(|mut running| {
            let lives = matches!(running.child.try_wait(), Ok(None)) && running.answers.buffer().is_empty();
            lives.then_some(running)
        })
    }

    fn put_back(&self, running: Running) {
        if running.files < MOST_FILES {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(running);
        }
    }
}

impl Reader<'_> {
    /// Reads the file from its beginning. If the child gives no valid answer, the content is [`Content::Unreadable`].
    ///
    /// The descriptor should be read-only.
    ///
    /// # Errors
    /// The socket to the child failed; the file is not the cause.
    pub async fn read(mut self, file: OwnedFd, checks: &Checks) -> io::Result<Reading> {
        let mut reading = Reading { media_type: None, pixels: None, content: Content::Other };
        let Some(mut running) = self.running.take() else { return Ok(reading) };
        let deadline = self.options.deadline;
        let end = match timeout(deadline, running.read(file.as_fd(), checks, &mut reading)).await {
            Ok(Ok(())) => {
                self.children.put_back(running);
                return Ok(reading);
            }
            Ok(Err(Broken::Line(error))) => return Err(error),
            Ok(Err(Broken::Nonsense)) => End::Nonsense,
            Ok(Err(Broken::Closed)) => timeout(ENDING, running.child.wait())
                .await
                .map_or(Ok(End::Nonsense), |ended| ended.map(End::Died))?,
            Err(_elapsed) => End::Late(deadline),
        };
        // Waited for, so that its memory is free before the next child starts.
        running.child.kill().await?;
        reading.content = Content::Unreadable(end.reason());
        Ok(reading)
    }
}

impl Running {
    async fn start(options: &Options, memory: u64) -> io::Result<Self> {
        let (ours, theirs) = Socket::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = std::process::Command::new(&options.program);
        command.arg0("reader");
        let seconds = options.deadline.as_secs() + SPARE_SECONDS;
        let child = Command::from(command)
            .args([ARGUMENT.to_owned(), memory.to_string(), seconds.to_string()])
            .env_clear()
            .env("GLIBC_TUNABLES", ALLOCATOR)
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| no_reader(&error))?;
        let answers = BufReader::new(UnixStream::from_std(ours)?);
        let mut running = Self { child, answers, files: 0 };
        let mut greeting = [0; READY.len()];
        let greeted = timeout(options.deadline, running.answers.read_exact(&mut greeting)).await;
        match greeted.map_err(io::Error::from).flatten() {
            Ok(_) if greeting == READY => Ok(running),
            Ok(_) => Err(no_reader(&"it does not know the argument")),
            Err(error) => Err(no_reader(&error)),
        }
    }

    async fn read(
        &mut self,
        file: BorrowedFd<'_>,
        checks: &Checks,
        reading: &mut Reading,
    ) -> Result<(), Broken> {
        self.files += 1;
        self.ask(file, checks).await?;
        let mut left = MOST_ANSWER;
        reading.media_type = self.line(&mut left).await?;
        reading.pixels = self.line(&mut left).await?;
        reading.content = self.line(&mut left).await?;
        Ok(())
    }

    async fn ask(&self, file: BorrowedFd<'_>, checks: &Checks) -> Result<(), Broken> {
        let mut line = serde_json::to_vec(checks).map_err(|error| Broken::Line(error.into()))?;
        line.push(b'\n');
        let socket = self.answers.get_ref();
        let sent = socket.async_io(Interest::WRITABLE, || {
            let files = [file];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            ancillary.push(SendAncillaryMessage::ScmRights(&files));
            Ok(sendmsg(socket, &[IoSlice::new(&line)], &mut ancillary, SendFlags::NOSIGNAL)?)
        });
        match sent.await {
            // Between two files the socket's buffer is empty, so it takes a whole request at once.
            Ok(sent) if sent == line.len() => Ok(()),
            Ok(_) => Err(Broken::Line(io::ErrorKind::WriteZero.into())),
            Err(error) => Err(Broken::Line(error)),
        }
    }

    /// Reads one line of the answer; `left` is what remains of [`MOST_ANSWER`].
    async fn line<T: DeserializeOwned>(&mut self, left: &mut usize) -> Result<T, Broken> {
        let mut line = Vec::new();
        let read = (&mut self.answers).take(*left as u64).read_until(b'\n', &mut line).await;
        *left -= line.len();
        match read {
            Ok(_) if line.ends_with(b"\n") => serde_json::from_slice(&line).map_err(|_| Broken::Nonsense),
            Ok(_) if *left == 0 => Err(Broken::Nonsense),
            // An error too: a child that dies with an unread request resets the connection.
            Ok(_) | Err(_) => Err(Broken::Closed),
        }
    }
}

fn no_reader(error: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("cannot start a reader of files: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::LEAST_MEMORY;

    #[test]
    fn all_readers_together_stay_within_the_memory() {
        for cores in [1, 2, 8, 64] {
            for memory in [LEAST_MEMORY, 640 << 20, 4 << 30] {
                let (ordinary, rest) = shares(memory, cores);
                assert!((1..=cores).contains(&ordinary));
                assert!(rest >= LARGEST_SHARE);
                assert_eq!(ordinary as u64 * SHARE + rest, memory);
            }
        }
        assert_eq!(shares(640 << 20, 2).0, 2);
    }
}
