//! How much memory looking into one file may take.

use std::io::{self, Read};

use super::Source;

/// Most bytes that decoding a picture, or parsing a document, may take.
pub(super) const MOST_DECODED: u64 = 128 << 20;

/// Most bytes of metadata that are read of one file.
pub(super) const MOST_METADATA: u64 = 16 << 20;

/// Reads so many bytes from where the file stands, or less where it ends or they would be too many.
pub(super) fn piece(file: &mut impl Source, bytes: u64) -> io::Result<Vec<u8>> {
    let mut piece = Vec::new();
    file.take(bytes.min(MOST_METADATA)).read_to_end(&mut piece)?;
    Ok(piece)
}
