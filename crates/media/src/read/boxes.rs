//! Boxes of ISO media files: MP4, MOV and HEIF.

use std::io::{self, SeekFrom};
use std::ops::Range;

use super::Source;

/// Maximum tracks to record: more than any film has; keeps the facts small.
pub(super) const MOST_TRACKS: usize = 64;

/// Reads a box's header at `at`: its name and the range of its content, which must end by `end`.
pub(super) fn open(file: &mut impl Source, at: u64, end: u64) -> io::Result<([u8; 4], Range<u64>)> {
    let mut head = [0; 8];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut head)?;
    let [a, b, c, d, name @ ..] = head;
    let short = u32::from_be_bytes([a, b, c, d]);
    let (header, length) = match short {
        0 => (8, end - at),
        1 => {
            let mut long = [0; 8];
            file.read_exact(&mut long)?;
            (16, u64::from_be_bytes(long))
        }
        short => (8, short.into()),
    };
    match at.checked_add(length) {
        Some(stop) if length >= header && stop <= end => Ok((name, at + header..stop)),
        _ => Err(io::Error::other(format!(
            "the box {:?} at {at} claims {length} bytes, {} are there",
            String::from_utf8_lossy(&name),
            end - at
        ))),
    }
}

/// The boxes in a buffer, up to one that does not fit.
pub(super) fn within(content: &[u8]) -> impl Iterator<Item = (&[u8; 4], &[u8])> {
    let mut rest = content;
    std::iter::from_fn(move || {
        let (head, tail) = rest.split_first_chunk::<8>()?;
        let (length, name) = head.split_first_chunk::<4>()?;
        let length = match u32::from_be_bytes(*length) {
            0 => rest.len(),
            length => length as usize,
        };
        let content = tail.get(..length.checked_sub(8)?)?;
        rest = &rest[length..];
        Some((name.first_chunk()?, content))
    })
}

pub(super) fn short(header: &[u8], at: usize) -> Option<u64> {
    number(header, at).map(u64::from)
}

pub(super) fn long(header: &[u8], at: usize) -> Option<u64> {
    Some(short(header, at)? << 32 | short(header, at + 4)?)
}

pub(super) fn number(header: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?))
}
