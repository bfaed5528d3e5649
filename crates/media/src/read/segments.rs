//! The segments of a JPEG before its image data.

use std::io::{self, SeekFrom};

use super::memory::{MOST_METADATA, piece};
use super::{Source, exif};

/// More segments than any camera or program writes; a hostile file could keep a reader busy for hours.
const MOST_SEGMENTS: usize = 10_000;

const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const ICC: &[u8] = b"ICC_PROFILE\0";
const PHOTOSHOP: &[u8] = b"Photoshop 3.0\0";
const JFIF: &[u8] = b"JFIF\0";
const GAIN_MAP: &[u8] = b"urn:iso:std:iso:ts:21496:-1";
const ADOBE: &[u8] = b"Adobe";

/// The segments before the image data.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub(super) frame: Option<Frame>,
    pub(super) dpi: Option<(u32, u32)>,
    pub(super) exif: Vec<u8>,
    pub(super) xmp: Vec<u8>,
    pub(super) photoshop: Vec<u8>,
    pub(super) icc: Vec<(u8, Vec<u8>)>,
    /// Whether there is an Adobe segment: inks are then stored inverted.
    pub(super) is_adobe: bool,
    pub(super) is_gain_map: bool,
}

#[derive(Debug)]
pub(super) struct Frame {
    pub(super) precision: u8,
    pub(super) width: u16,
    pub(super) height: u16,
    /// Horizontal times vertical sampling factor of each component.
    pub(super) samplings: Vec<u8>,
    /// Whether decoding has to hold all coefficients until the last scan.
    pub(super) is_held_whole: bool,
}

/// Reads the segments of a file.
pub(super) fn header(file: &mut impl Source) -> io::Result<Header> {
    file.seek(SeekFrom::Start(2))?;
    segments(file)
}

/// Reads the segments from the first one up to the image data.
pub(super) fn segments(file: &mut impl Source) -> io::Result<Header> {
    let mut header = Header::default();
    let mut read: u64 = 0;
    for _ in 0..MOST_SEGMENTS {
        let marker = marker(file)?;
        if matches!(marker, 0x01 | 0xD0..=0xD7) {
            continue;
        }
        // Start of a scan, or end of the image.
        if matches!(marker, 0xD9 | 0xDA) {
            return Ok(header);
        }
        let mut length = [0; 2];
        file.read_exact(&mut length)?;
        let length = u16::from_be_bytes(length).saturating_sub(2);
        read += u64::from(length);
        let is_wanted = matches!(marker, 0xE0..=0xE2 | 0xED | 0xEE | 0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF);
        if is_wanted && read <= MOST_METADATA {
            let content = piece(file, length.into())?;
            header.take(marker, &content);
        } else {
            file.seek_relative(length.into())?;
        }
    }
    Ok(header)
}

/// Reads the next marker; skips fill bytes and stray bytes, as every decoder does.
fn marker(file: &mut impl Source) -> io::Result<u8> {
    let mut byte = [0];
    for _ in 0..MOST_METADATA {
        let before = byte;
        file.read_exact(&mut byte)?;
        if before == [0xFF] && !matches!(byte, [0 | 0xFF]) {
            return Ok(byte[0]);
        }
    }
    Err(io::Error::other("its segments do not follow each other"))
}

impl Header {
    fn take(&mut self, marker: u8, content: &[u8]) {
        match (marker, content) {
            (0xE0, _) if content.starts_with(JFIF) => self.dpi = density(content),
            (0xE1, _) if content.starts_with(exif::PREFIX) && self.exif.is_empty() => {
                self.exif = content.to_vec();
            }
            (0xE1, _) if content.starts_with(XMP) => self.xmp = content[XMP.len()..].to_vec(),
            (0xE2, _) if content.starts_with(ICC) => {
                if let [number, count, part @ ..] = &content[ICC.len()..] {
                    let part = (*number, part.to_vec());
                    // Some programs write the whole profile twice.
                    if *count == 1 {
                        self.icc.clear();
                    }
                    if !self.icc.contains(&part) {
                        self.icc.push(part);
                    }
                }
            }
            (0xE2, _) if content.starts_with(GAIN_MAP) => self.is_gain_map = true,
            (0xED, _) if content.starts_with(PHOTOSHOP) => {
                self.photoshop.extend(&content[PHOTOSHOP.len()..]);
            }
            (0xEE, _) if content.starts_with(ADOBE) => self.is_adobe = true,
            (0xC0..=0xCF, _) => self.frame = frame(marker, content),
            _ => {}
        }
    }
}

/// JFIF's density in dots per inch, if it has a unit.
fn density(content: &[u8]) -> Option<(u32, u32)> {
    let [unit, across_high, across_low, down_high, down_low] = *content.get(7..12)? else { return None };
    let across = u16::from_be_bytes([across_high, across_low]);
    let down = u16::from_be_bytes([down_high, down_low]);
    match unit {
        1 => Some((across.into(), down.into())),
        2 => Some((exif::per_inch(across.into()), exif::per_inch(down.into()))),
        _ => None,
    }
}

fn frame(marker: u8, content: &[u8]) -> Option<Frame> {
    let [precision, height_high, height_low, width_high, width_low, count] = *content.get(..6)? else {
        return None;
    };
    let components = content.get(6..)?.chunks_exact(3).take(count.into());
    Some(Frame {
        precision,
        width: u16::from_be_bytes([width_high, width_low]),
        height: u16::from_be_bytes([height_high, height_low]),
        samplings: components.map(|component| (component[1] >> 4) * (component[1] & 15)).collect(),
        is_held_whole: !matches!(marker, 0xC0 | 0xC1),
    })
}
