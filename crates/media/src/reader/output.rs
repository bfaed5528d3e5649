//! Sends lines to the parent.

use std::io;
use std::os::fd::AsFd;

use rustix::net::{SendFlags, send};
use serde::Serialize;

pub(super) fn send_line(value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    send_all(&line)
}

pub(super) fn send_all(mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = send(io::stdin().as_fd(), bytes, SendFlags::NOSIGNAL)?;
        bytes = &bytes[sent..];
    }
    Ok(())
}
