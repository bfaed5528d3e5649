//! The child process: reads one file after another for its parent.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::output::{send_all, send_line};
use super::{ARGUMENT, MOST_REQUEST, READY, fault, limits};
use crate::checks::Checks;
use crate::read;

/// Runs as a reader if the program was started as one; otherwise returns `None`.
///
/// Must be the first call in `main`: the limits do not cover anything that was read, opened or started before.
pub fn run_if_asked() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != ARGUMENT {
        return None;
    }
    // The error is dropped: stderr is `/dev/null`, and the parent only sees the exit status.
    Some(if serve(arguments).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn serve(mut arguments: impl Iterator<Item = OsString>) -> io::Result<()> {
    let mut number = || arguments.next()?.to_str()?.parse().ok();
    let (Some(memory), Some(seconds)) = (number(), number()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    limits::enter(memory)?;
    send_all(READY)?;
    while let Some((checks, file)) = request()? {
        limits::seconds_more(seconds)?;
        answer(file.into(), &checks)?;
    }
    Ok(())
}

/// Receives the next file and the enabled checks; `None` once the parent has closed the socket.
fn request() -> io::Result<Option<(Checks, OwnedFd)>> {
    let (mut line, mut file) = (Vec::new(), None);
    while line.last() != Some(&b'\n') {
        let mut piece = [0; MOST_REQUEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let pieces = &mut [IoSliceMut::new(&mut piece)];
        let received = recvmsg(io::stdin().as_fd(), pieces, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(files) = message {
                file = files.last().or(file);
            }
        }
        if received.bytes == 0 {
            return Ok(None);
        }
        line.extend_from_slice(&piece[..received.bytes]);
    }
    let file = file.ok_or(io::ErrorKind::InvalidData)?;
    Ok(Some((serde_json::from_slice(&line)?, file)))
}

/// Sends three lines, each as soon as it is known: the parent gets type and size even if reading the rest crashes.
fn answer(file: File, checks: &Checks) -> io::Result<()> {
    let fault = common::fault::reader_fault(&file);
    let mut file = BufReader::new(file);
    let media_type = read::kind::media_type(&mut file);
    send_line(&media_type)?;
    send_line(&read::pixels(&mut file, media_type.as_deref(), checks))?;
    if let Some(fault) = fault
        && checks.need_content()
    {
        // As code that has taken over the child would, to open something else in its place.
        drop(file);
        return fault::commit(fault);
    }
    send_line(&read::guarded_content(file, media_type.as_deref(), checks))
}
