//! How much memory reading one file may take.

use std::io::{self, Read, SeekFrom};

use super::Source;

/// Maximum memory for decoding a picture or parsing a document, in bytes.
pub(super) const MOST_DECODED: u64 = 128 << 20;

/// Maximum metadata read from one file, in bytes.
pub(super) const MOST_METADATA: u64 = 16 << 20;

/// Reads up to this many bytes from the current position: fewer at the end of the file, and [`MOST_METADATA`] at most.
pub(super) fn piece(file: &mut impl Source, bytes: u64) -> io::Result<Vec<u8>> {
    let mut piece = Vec::new();
    file.take(bytes.min(MOST_METADATA)).read_to_end(&mut piece)?;
    Ok(piece)
}

/// The same from a position.
pub(super) fn piece_at(file: &mut impl Source, at: u64, bytes: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(at))?;
    piece(file, bytes)
}
