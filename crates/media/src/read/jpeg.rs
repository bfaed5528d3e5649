//! JPEG: the segments before the image data, and the picture decoded at a reduced size.

use std::io::SeekFrom;

use common::content::{Behind, Picture, View};
use jpeg_decoder::{Decoder, PixelFormat};

use super::credits::{self, Credits};
use super::memory::{MOST_DECODED, MOST_METADATA, piece};
use super::thumbnail::{Shrinking, colour, of_inks};
use super::{Source, behind, bounds, exif, picture, profile};

/// More segments than any camera or program writes; a hostile file could keep a reader busy for hours.
const MOST_SEGMENTS: usize = 10_000;

/// The decoder scales down as far as it can without going below this, in pixels.
const LEAST_SIDE: u16 = 96;

const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const ICC: &[u8] = b"ICC_PROFILE\0";
const PHOTOSHOP: &[u8] = b"Photoshop 3.0\0";
const JFIF: &[u8] = b"JFIF\0";
const GAIN_MAP: &[u8] = b"urn:iso:std:iso:ts:21496:-1";
const GAIN_MAP_XMP: &[u8] = b"http://ns.adobe.com/hdr-gain-map/";
const ADOBE: &[u8] = b"Adobe";

/// The segments before the image data.
#[derive(Debug, Default)]
struct Header {
    frame: Option<Frame>,
    dpi: Option<(u32, u32)>,
    exif: Vec<u8>,
    xmp: Vec<u8>,
    photoshop: Vec<u8>,
    icc: Vec<(u8, Vec<u8>)>,
    /// Whether there is an Adobe segment: inks are then stored inverted.
    is_adobe: bool,
    is_gain_map: bool,
}

#[derive(Debug)]
struct Frame {
    precision: u8,
    width: u16,
    height: u16,
    /// Horizontal times vertical sampling factor of each component.
    samplings: Vec<u8>,
    /// Whether decoding has to hold all coefficients until the last scan.
    is_held_whole: bool,
}

pub(super) fn read(mut file: impl Source, decode: bool) -> Result<Picture, String> {
    let mut header = header(&mut file).map_err(|error| error.to_string())?;
    let behind = behind::read(&mut file);
    let frame = header.frame.take().ok_or("it has no frame header")?;
    let tags = exif::read(header.exif);
    header.icc.sort_by_key(|(number, _)| *number);
    let icc: Vec<u8> = header.icc.into_iter().flat_map(|(_, part)| part).collect();
    let mut credits: Credits = tags.credits;
    credits::of_photoshop(&mut credits, &header.photoshop);
    credits::of_xmp(&mut credits, &header.xmp);
    Ok(Picture {
        orientation: tags.orientation.unwrap_or(1),
        bit_depth: frame.precision,
        alpha: false,
        dpi: header.dpi.or(tags.dpi),
        exif_dpi: header.dpi.and(tags.dpi),
        colours: Some(colours(&frame)),
        icc_profile: (!icc.is_empty()).then(|| profile::name(&icc)),
        profile: Some(profile::read(&icc)),
        credits,
        frames: Some(1),
        behind,
        view: decode.then(|| view(file, &frame, header.is_adobe)),
    })
}

/// Width and height from the frame header.
pub(super) fn pixels(mut file: impl Source) -> Option<(u32, u32)> {
    let frame = header(&mut file).ok()?.frame?;
    Some((frame.width.into(), frame.height.into()))
}

/// The kind of a picture that follows another. The file must be at its first segment; it ends up at the image data.
pub(super) fn kind_behind(file: &mut impl Source) -> std::io::Result<Option<Behind>> {
    let header = segments(file)?;
    let is_gain_map =
        header.is_gain_map || header.xmp.windows(GAIN_MAP_XMP.len()).any(|part| part == GAIN_MAP_XMP);
    Ok(header.frame.map(|_| if is_gain_map { Behind::GainMap } else { Behind::SecondPicture }))
}

fn header(file: &mut impl Source) -> std::io::Result<Header> {
    file.seek(SeekFrom::Start(2))?;
    segments(file)
}

fn segments(file: &mut impl Source) -> std::io::Result<Header> {
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
fn marker(file: &mut impl Source) -> std::io::Result<u8> {
    let mut byte = [0];
    for _ in 0..MOST_METADATA {
        let before = byte;
        file.read_exact(&mut byte)?;
        if before == [0xFF] && !matches!(byte, [0 | 0xFF]) {
            return Ok(byte[0]);
        }
    }
    Err(std::io::Error::other("its segments do not follow each other"))
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

fn colours(frame: &Frame) -> String {
    match frame.samplings.len() {
        1 => "grey".to_owned(),
        3 => "RGB".to_owned(),
        4 => "CMYK".to_owned(),
        count => format!("{count} channels"),
    }
}

impl Frame {
    /// Memory for decoding, in bytes: an eighth of the size each way, plus all coefficients if they come in several scans.
    fn memory(&self) -> u64 {
        let pixels = u64::from(self.width) * u64::from(self.height);
        let most = u64::from(self.samplings.iter().copied().max().unwrap_or(1).max(1));
        let samples = self.samplings.iter().map(|sampling| pixels * u64::from(*sampling) / most).sum::<u64>();
        let shrunk = pixels / 64 * self.samplings.len() as u64 * 2;
        shrunk + if self.is_held_whole { samples * 2 } else { 0 }
    }

    /// Whether a file of this length can hold the picture: each block of 8 × 8 pixels takes at least a bit, and a subsampled
    /// component has as few as a 16th of the blocks. Checked because the decoder makes up blocks after the end of the data.
    fn fits_into(&self, bytes: u64) -> bool {
        let blocks = u64::from(self.width.div_ceil(8)) * u64::from(self.height.div_ceil(8));
        blocks / 16 <= bytes.saturating_mul(8)
    }
}

fn view(mut file: impl Source, frame: &Frame, is_adobe: bool) -> View {
    let needed = frame.memory();
    if needed > MOST_DECODED {
        return View::TooLarge { needed };
    }
    let length = file.seek(SeekFrom::End(0)).unwrap_or(0);
    if !frame.fits_into(length) {
        return View::Undecodable(format!(
            "{length} bytes are too few for {} × {} pixels",
            frame.width, frame.height
        ));
    }
    if frame.is_held_whole && bounds::has_many_scans(&mut file).unwrap_or(true) {
        return View::Undecodable("it has more than 500 scans".to_owned());
    }
    decoded(&mut file, frame, is_adobe).unwrap_or_else(|reason| picture::undecodable(&reason))
}

fn decoded(file: &mut impl Source, frame: &Frame, is_adobe: bool) -> Result<View, String> {
    file.rewind().map_err(|error| error.to_string())?;
    let mut decoder = Decoder::new(file);
    decoder.set_max_decoding_buffer_size(usize::try_from(MOST_DECODED).unwrap_or(usize::MAX));
    let (width, height) = decoder.scale(LEAST_SIDE, LEAST_SIDE).map_err(|error| error.to_string())?;
    let samples = decoder.decode().map_err(|error| error.to_string())?;
    let format = decoder.info().ok_or("it has no frame header")?.pixel_format;
    let mut shrinking = Shrinking::scaled(width, height, frame.width.min(frame.height));
    let rows = samples.chunks_exact(usize::from(width.max(1)) * format.pixel_bytes());
    for (y, row) in (0..).zip(rows) {
        for (x, pixel) in (0..).zip(row.chunks_exact(format.pixel_bytes())) {
            let colour = match (format, pixel) {
                (PixelFormat::CMYK32, [cyan, magenta, yellow, black]) => {
                    // The decoder inverts each sample.
                    let inks = [*cyan, *magenta, *yellow, *black];
                    of_inks(if is_adobe { inks.map(|ink| u8::MAX - ink) } else { inks })
                }
                (PixelFormat::L16, [low, high]) => {
                    colour(&[u16::from_ne_bytes([*low, *high]).to_be_bytes()[0]])
                }
                (PixelFormat::L8 | PixelFormat::L16 | PixelFormat::RGB24 | PixelFormat::CMYK32, _) => {
                    colour(pixel)
                }
            };
            shrinking.add(x, y, colour);
        }
    }
    Ok(View::Thumbnail(shrinking.finish()))
}
