//! The directories of a TIFF file.

use std::io;

use super::Source;
use super::memory::piece_at;

/// Maximum entries to read from a directory.
const MOST_ENTRIES: u64 = 500;

/// The code of the type SHORT.
const SHORT: u64 = 3;

#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) tag: u64,
    pub(super) count: u64,
    is_short: bool,
    /// The value, or its offset.
    value: [u8; 4],
    /// The entry's offset in the file.
    pub(super) at: u64,
}

pub(super) struct Directories<'a, S> {
    pub(super) file: &'a mut S,
    pub(super) is_little: bool,
}

impl<S: Source> Directories<'_, S> {
    pub(super) fn number(&self, bytes: &[u8]) -> u64 {
        let digit = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        if self.is_little { bytes.iter().rev().fold(0, digit) } else { bytes.iter().fold(0, digit) }
    }

    pub(super) fn entries(&mut self, at: u64) -> io::Result<Vec<Entry>> {
        let count = piece_at(self.file, at, 2)?;
        let count = self.number(&count).min(MOST_ENTRIES);
        let entries = piece_at(self.file, at + 2, count * 12)?;
        let entry = |(place, entry): (u64, &[u8])| Entry {
            at: at + 2 + place * 12,
            tag: self.number(&entry[..2]),
            is_short: self.number(&entry[2..4]) == SHORT,
            count: self.number(&entry[4..8]),
            value: [entry[8], entry[9], entry[10], entry[11]],
        };
        Ok((0..).zip(entries.chunks_exact(12)).map(entry).collect())
    }

    /// The value of a single SHORT, in the first two of the four bytes.
    pub(super) fn short(&self, entry: &Entry) -> u64 {
        self.number(&entry.value[..2])
    }

    /// The first number of a value stored in the entry: a SHORT or a LONG.
    pub(super) fn first(&self, entry: &Entry) -> u64 {
        if entry.is_short { self.short(entry) } else { self.number(&entry.value) }
    }

    /// The bytes of a value with items of `size` bytes: at most `most` items.
    pub(super) fn content(&mut self, entry: &Entry, size: u64, most: u64) -> io::Result<Vec<u8>> {
        let length = entry.count.min(most) * size;
        if entry.count.saturating_mul(size) <= 4 {
            return Ok(entry.value.to_vec());
        }
        let place = self.number(&entry.value);
        piece_at(self.file, place, length)
    }
}
