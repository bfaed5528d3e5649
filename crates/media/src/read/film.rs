//! MP4 and MOV: the boxes that say what a film is, without the film.
//!
//! The crates for this format read all sample tables into memory; here a box is stepped over unless it is one of five.

use std::io::{self, SeekFrom};
use std::ops::Range;

use common::content::{Content, Film};

use super::memory::piece;
use super::{Source, length};

/// Films in a thousand fragments have a few thousand boxes; a hostile one could keep a reader busy for hours.
const MOST_BOXES: u32 = 100_000;

/// Nobody has more tracks; the facts have to stay small.
const MOST_TRACKS: usize = 64;

/// Everything wanted of a header box lies within so many bytes.
const HEADER_BYTES: u64 = 96;

pub(super) fn read(mut file: impl Source) -> Content {
    let mut walk = Walk { boxes: 0, found: Film::default(), has_moov: false, has_data: false };
    let walked = length(&mut file).and_then(|end| walk.walk(&mut file, 0..end, 0));
    let mut found = walk.found;
    found.damage = match walked {
        Err(error) => Some(error.to_string()),
        Ok(()) if !walk.has_moov => Some("it has no moov box".to_owned()),
        Ok(()) if !walk.has_data => Some("it has no mdat box".to_owned()),
        Ok(()) => None,
    };
    found.tracks.sort();
    found.resolutions.sort_unstable();
    Content::Film(found)
}

struct Walk {
    boxes: u32,
    found: Film,
    has_moov: bool,
    has_data: bool,
}

impl Walk {
    fn walk(&mut self, file: &mut impl Source, within: Range<u64>, depth: u8) -> io::Result<()> {
        let mut at = within.start;
        // A MOV ends a list with four zero bytes.
        while at + 8 <= within.end {
            self.boxes += 1;
            if self.boxes > MOST_BOXES {
                return Err(io::Error::other(format!("it has more than {MOST_BOXES} boxes")));
            }
            let (name, content) = open(file, at, within.end)?;
            at = content.end;
            match (depth, &name) {
                (0, b"mdat" | b"moof") => self.has_data = true,
                (0, b"moov") => {
                    self.has_moov = true;
                    self.walk(file, content, 1)?;
                }
                (1, b"trak") | (2, b"mdia") => self.walk(file, content, depth + 1)?,
                (1, b"mvhd") => {
                    self.found.duration_ms = duration(&start(file, &content)?).unwrap_or_default();
                }
                (2, b"tkhd") => self.found.resolutions.extend(resolution(&start(file, &content)?)),
                (3, b"hdlr") => self.found.tracks.extend(handler(&start(file, &content)?)),
                _ => {}
            }
            self.found.tracks.truncate(MOST_TRACKS);
            self.found.resolutions.truncate(MOST_TRACKS);
        }
        Ok(())
    }
}

/// A box's name and where its content lies; it must fit into what it is in.
fn open(file: &mut impl Source, at: u64, end: u64) -> io::Result<([u8; 4], Range<u64>)> {
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

fn start(file: &mut impl Source, content: &Range<u64>) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(content.start))?;
    piece(file, HEADER_BYTES.min(content.end - content.start))
}

/// Milliseconds, from a movie header of either version.
fn duration(header: &[u8]) -> Option<u64> {
    let (scale, duration) = match header.first()? {
        1 => (number(header, 20)?, u64::from(number(header, 24)?) << 32 | u64::from(number(header, 28)?)),
        _ => (number(header, 12)?, number(header, 16)?.into()),
    };
    duration.checked_mul(1000)?.checked_div(scale.into())
}

/// Whole pixels, from a track header of either version; tracks without pictures have none.
fn resolution(header: &[u8]) -> Option<(u32, u32)> {
    let at = if header.first()? == &1 { 88 } else { 76 };
    let size = (number(header, at)? >> 16, number(header, at + 4)? >> 16);
    (size != (0, 0)).then_some(size)
}

fn handler(header: &[u8]) -> Option<String> {
    Some(String::from_utf8_lossy(header.get(8..12)?).into_owned())
}

fn number(header: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?))
}
