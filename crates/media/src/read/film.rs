//! MP4 and MOV: the boxes that describe a film, without its media data.
//!
//! The crates for this format read all sample tables into memory; this module skips all boxes but a few.

use std::io::{self, SeekFrom};
use std::ops::Range;

use common::content::{Content, Film};

use super::boxes::{MOST_TRACKS, long, number, open, short};
use super::fragments::Fragments;
use super::memory::piece;
use super::{Source, length};

/// A film in a thousand fragments has a few thousand boxes; a hostile file could keep a reader busy for hours.
const MOST_BOXES: u32 = 100_000;

/// All fields that are read from a header box are within this many bytes.
const HEADER_BYTES: u64 = 96;

pub(super) fn read(mut file: impl Source) -> Content {
    let mut walk = Walk::default();
    let walked = length(&mut file).and_then(|end| walk.walk(&mut file, 0..end, 0));
    let duration = walk.duration();
    let mut found = Film { duration_ms: duration.unwrap_or_default(), ..walk.found };
    found.damage = match walked {
        Err(error) => Some(error.to_string()),
        Ok(()) if !walk.has_moov => Some("it has no moov box".to_owned()),
        Ok(()) if !walk.has_data => Some("it has no mdat box".to_owned()),
        Ok(()) => None,
    };
    found.tracks.sort();
    found.resolutions.sort_unstable();
    walk.shown.sort_unstable();
    found.shown = Some(walk.shown);
    walk.rotations.sort_unstable();
    found.rotations = walk.rotations.into_iter().collect();
    Content::Film(found)
}

#[derive(Default)]
struct Walk {
    boxes: u32,
    found: Film,
    shown: Vec<(u32, u32)>,
    rotations: Vec<Option<u16>>,
    /// Size and rotation from the header of the current track.
    size: Option<(u32, u32)>,
    rotation: Option<u16>,
    /// Duration from the movie header in milliseconds, if it states one.
    stated: Option<u64>,
    scale: u32,
    is_fragmented: bool,
    of_all_fragments: Option<u64>,
    fragments: Fragments,
    has_moov: bool,
    has_data: bool,
}

impl Walk {
    fn walk(&mut self, file: &mut impl Source, within: Range<u64>, depth: u8) -> io::Result<()> {
        let mut at = within.start;
        // Fewer than 8 bytes left are no box: MOV may end a list with four zero bytes.
        while at + 8 <= within.end {
            self.boxes += 1;
            if self.boxes > MOST_BOXES {
                return Err(io::Error::other(format!("it has more than {MOST_BOXES} boxes")));
            }
            let (name, content) = open(file, at, within.end)?;
            at = content.end;
            match (depth, &name) {
                (0, b"mdat") => self.has_data = true,
                (0, b"moof") => {
                    self.has_data = true;
                    self.walk(file, content, 1)?;
                }
                (0, b"moov") => {
                    self.has_moov = true;
                    self.walk(file, content, 1)?;
                }
                (1, b"mvex") => {
                    self.is_fragmented = true;
                    self.walk(file, content, 2)?;
                }
                (1, b"trak" | b"traf") | (2, b"mdia") | (3, b"minf") | (4, b"stbl") => {
                    self.walk(file, content, depth + 1)?;
                }
                (1, b"mvhd") => {
                    let header = start(file, &content)?;
                    self.stated = duration(&header);
                    self.scale = scale(&header).unwrap_or_default();
                }
                (2, b"mehd") => {
                    let header = start(file, &content)?;
                    let units = if header.first() == Some(&1) { long(&header, 4) } else { short(&header, 4) };
                    self.of_all_fragments =
                        units.and_then(|units| units.checked_mul(1000)?.checked_div(self.scale.into()));
                }
                (2, b"trex") => self.fragments.defaults(&start(file, &content)?),
                (2, b"tfhd") => self.fragments.header(&start(file, &content)?),
                (2, b"trun") => {
                    let bytes = content.end - content.start;
                    if self.fragments.allows(bytes) {
                        file.seek(SeekFrom::Start(content.start))?;
                        self.fragments.run(&piece(file, bytes)?);
                    }
                }
                (2, b"tkhd") => {
                    let header = start(file, &content)?;
                    self.found.resolutions.extend(resolution(&header));
                    self.size = shown(&header);
                    self.rotation = rotation(&header);
                    self.fragments.track(&header);
                }
                (3, b"mdhd") => self.fragments.media(&start(file, &content)?),
                (3, b"hdlr") => {
                    let kind = handler(&start(file, &content)?);
                    if kind.as_deref() == Some("vide") {
                        self.shown.extend(self.size.take());
                        self.rotations.push(self.rotation.take());
                    }
                    self.found.tracks.extend(kind);
                }
                (5, b"stts") => {
                    self.fragments.come_later |=
                        short(&start(file, &content)?, 4).is_some_and(|count| count > 0);
                }
                _ => {}
            }
            self.found.tracks.truncate(MOST_TRACKS);
            self.found.resolutions.truncate(MOST_TRACKS);
            self.shown.truncate(MOST_TRACKS);
            self.rotations.truncate(MOST_TRACKS);
        }
        Ok(())
    }

    /// The duration in milliseconds of what the file holds; of a fragmented film the header may state more.
    fn duration(&self) -> Option<u64> {
        if !self.is_fragmented {
            return self.stated;
        }
        let before = if self.fragments.come_later { self.stated? } else { 0 };
        self.fragments
            .milliseconds()
            .map(|fragments| before.saturating_add(fragments))
            .or(self.of_all_fragments)
    }
}

fn start(file: &mut impl Source, content: &Range<u64>) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(content.start))?;
    piece(file, HEADER_BYTES.min(content.end - content.start))
}

/// Milliseconds, from a movie header of either version; all ones mean unknown.
fn duration(header: &[u8]) -> Option<u64> {
    let duration = match header.first()? {
        1 => long(header, 24).filter(|duration| *duration != u64::MAX)?,
        _ => short(header, 16).filter(|duration| *duration != u64::from(u32::MAX))?,
    };
    duration.checked_mul(1000)?.checked_div(scale(header)?.into())
}

fn scale(header: &[u8]) -> Option<u32> {
    number(header, if header.first()? == &1 { 20 } else { 12 })
}

/// Size in whole pixels, from a track header of either version; `None` for tracks without pictures.
fn resolution(header: &[u8]) -> Option<(u32, u32)> {
    let at = if header.first()? == &1 { 88 } else { 76 };
    let size = (number(header, at)? >> 16, number(header, at + 4)? >> 16);
    (size != (0, 0)).then_some(size)
}

/// The rotation of the matrix in degrees clockwise; `None` if it mirrors or shears.
fn rotation(header: &[u8]) -> Option<u16> {
    let at = if header.first()? == &1 { 52 } else { 40 };
    let sign = |index: usize| Some(number(header, at + index * 4)?.cast_signed().signum());
    match [sign(0)?, sign(1)?, sign(3)?, sign(4)?] {
        [1, 0, 0, 1] => Some(0),
        [0, 1, -1, 0] => Some(90),
        [-1, 0, 0, -1] => Some(180),
        [0, -1, 1, 0] => Some(270),
        _ => None,
    }
}

/// Width and height as shown, after the matrix that rotates and scales.
fn shown(header: &[u8]) -> Option<(u32, u32)> {
    let (width, height) = resolution(header)?;
    let at = if header.first()? == &1 { 52 } else { 40 };
    // The matrix has rows of three numbers; these four rotate and scale, in fixed point with 16 fractional bits.
    let factor = |index: usize| Some(u64::from(number(header, at + index * 4)?.cast_signed().unsigned_abs()));
    let side = |across: u64, down: u64| {
        let length =
            u64::from(width).saturating_mul(across).saturating_add(u64::from(height).saturating_mul(down));
        u32::try_from((length + 0x8000) >> 16).unwrap_or(u32::MAX)
    };
    Some((side(factor(0)?, factor(3)?), side(factor(1)?, factor(4)?)))
}

fn handler(header: &[u8]) -> Option<String> {
    Some(String::from_utf8_lossy(header.get(8..12)?).into_owned())
}
