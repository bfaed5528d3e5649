//! Counts the pictures of a file by its structure: the frames of an animation, the pages of a TIFF.
//!
//! `None` if a hostile file would take too many steps. In a truncated file, the pictures up to its end count.

use std::io::{self, Read, SeekFrom};

use super::Source;

/// Maximum chunks, blocks and directory entries to step over; a GIF of an hour has fewer.
const MOST_STEPS: u32 = 4_000_000;

/// Bits of `NewSubfileType`: a reduced copy of a page, and a mask.
const NO_PAGE: u64 = 0b101;
const NEW_SUBFILE_TYPE: u64 = 254;

struct Count<S> {
    file: S,
    steps: u32,
}

pub(super) fn of_gif(file: &mut impl Source) -> Option<u64> {
    Count { file, steps: 0 }.count(Count::gif)
}

pub(super) fn of_png(file: &mut impl Source) -> Option<u64> {
    Count { file, steps: 0 }.count(|count, found| {
        // The length excludes the name and the checksum.
        count.chunks(8, found, |head| {
            let [a, b, c, d, name @ ..] = head;
            (name == *b"fcTL", u64::from(u32::from_be_bytes([a, b, c, d])) + 4)
        })
    })
}

pub(super) fn of_webp(file: &mut impl Source) -> Option<u64> {
    Count { file, steps: 0 }.count(|count, found| {
        count.chunks(12, found, |head| {
            let [name @ .., a, b, c, d] = head;
            (name == *b"ANMF", u64::from(u32::from_le_bytes([a, b, c, d])).next_multiple_of(2))
        })
    })
}

pub(super) fn of_tiff(file: &mut impl Source) -> Option<u64> {
    Count { file, steps: 0 }.count(Count::tiff)
}

impl<S: Source> Count<&mut S> {
    /// Counts until the file ends or there were too many steps. Every file has at least one picture.
    fn count(mut self, walk: impl FnOnce(&mut Self, &mut u64) -> io::Result<()>) -> Option<u64> {
        let mut found = 0;
        let walked = walk(&mut self, &mut found);
        let _ = self.file.rewind();
        match walked {
            Err(_) if self.steps > MOST_STEPS => None,
            Ok(()) | Err(_) => Some(found.max(1)),
        }
    }

    fn step(&mut self) -> io::Result<()> {
        self.steps += 1;
        if self.steps > MOST_STEPS { Err(io::Error::other("too many steps")) } else { Ok(()) }
    }

    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        self.file.seek_relative(i64::try_from(bytes).map_err(io::Error::other)?)
    }

    /// Walks over chunks; `read` returns from a head of eight bytes whether the chunk counts and how much to skip.
    fn chunks(&mut self, start: u64, found: &mut u64, read: fn([u8; 8]) -> (bool, u64)) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(start))?;
        loop {
            self.step()?;
            let (is_wanted, length) = read(self.bytes()?);
            *found += u64::from(is_wanted);
            self.skip(length)?;
        }
    }

    fn gif(&mut self, found: &mut u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(10))?;
        let [flags, ..] = self.bytes::<3>()?;
        self.skip(palette(flags))?;
        loop {
            self.step()?;
            match self.bytes()? {
                [0x21] => self.skip(1)?,
                [0x2C] => {
                    *found += 1;
                    let [.., flags] = self.bytes::<9>()?;
                    // A byte follows the palette: the minimum code size.
                    self.skip(palette(flags) + 1)?;
                }
                _ => return Ok(()),
            }
            loop {
                self.step()?;
                match self.bytes()? {
                    [0] => break,
                    [length] => self.skip(length.into())?,
                }
            }
        }
    }

    fn tiff(&mut self, found: &mut u64) -> io::Result<()> {
        self.file.rewind()?;
        let [order, _, version @ ..] = self.bytes::<4>()?;
        let is_little = order == b'I';
        let is_big = version.contains(&43);
        // Lengths of an offset and of the number of entries, in bytes.
        let (wide, count) = if is_big { (8, 8) } else { (4, 2) };
        if is_big {
            self.skip(4)?;
        }
        loop {
            let at = number(self.file, wide, is_little)?;
            if at == 0 {
                return Ok(());
            }
            self.step()?;
            self.file.seek(SeekFrom::Start(at))?;
            let mut is_page = true;
            for _ in 0..number(self.file, count, is_little)? {
                self.step()?;
                let tag = number(self.file, 2, is_little)?;
                self.skip(2 + wide)?;
                let value = number(self.file, wide, is_little)?;
                is_page &= tag != NEW_SUBFILE_TYPE || value & NO_PAGE == 0;
            }
            *found += u64::from(is_page);
        }
    }
}

/// Reads an unsigned number of up to eight bytes.
pub(super) fn number(file: &mut impl Read, bytes: u64, is_little: bool) -> io::Result<u64> {
    let mut space = [0; 8];
    let number = &mut space[..usize::try_from(bytes).unwrap_or(8).min(8)];
    file.read_exact(number)?;
    if is_little {
        number.reverse();
    }
    Ok(number.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

/// Length in bytes of the palette that a block's flags announce.
fn palette(flags: u8) -> u64 {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}
