//! Faults of a reader, for the project's own tests; see [`common::fault`].

use std::fs::File;
use std::io;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;

use common::content::Content;
use common::fault::ReaderFault;
use rustix::fs::{XattrFlags, setxattr};

use super::output::{send_all, send_line};

/// Fails in the way that the file asks for.
pub(super) fn commit(fault: ReaderFault) -> io::Result<()> {
    match fault {
        ReaderFault::Hang => loop {
            std::thread::park();
        },
        ReaderFault::Abort => std::process::abort(),
        ReaderFault::Overflow => send_line(&deep(1)),
        ReaderFault::Fill => {
            let mut held = Vec::new();
            loop {
                held.push(vec![1_u8; 1 << 20]);
            }
        }
        ReaderFault::Nonsense => send_all(b"nonsense\n"),
        ReaderFault::Endless => loop {
            send_all(&[b' '; 1 << 10])?;
        },
        ReaderFault::Leave => Err(io::ErrorKind::Other.into()),
        ReaderFault::Reach => send_line(&Content::Unreadable(reached().join("; "))),
    }
}

/// Tries to open, write and connect; returns the result of each.
fn reached() -> Vec<String> {
    let ways = [
        ("open", File::open("/proc/self/status").map(drop)),
        ("write", File::create("/tmp/reached").map(drop)),
        ("connect", TcpStream::connect("127.0.0.1:1").map(drop)),
        ("send", UdpSocket::bind("127.0.0.1:0").map(drop)),
        ("attribute", setxattr("/tmp", "user.reached", b"", XattrFlags::empty()).map_err(io::Error::from)),
        ("local", UnixStream::connect("/run/reached").map(drop)),
    ];
    ways.into_iter()
        .map(|(way, end)| {
            format!("{way}: {}", end.map_or_else(|error| error.to_string(), |()| "done".to_owned()))
        })
        .collect()
}

#[expect(unconditional_recursion, reason = "its end is the stack's")]
fn deep(depth: u64) -> u64 {
    std::hint::black_box(deep(std::hint::black_box(depth + 1)) + 1)
}
