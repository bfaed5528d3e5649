//! JPEG: what its segments say, and the picture decoded at a reduced size.

use std::io::SeekFrom;

use common::content::{Picture, View};
use jpeg_decoder::{Decoder, PixelFormat};

use super::credits::{self, Credits};
use super::memory::MOST_DECODED;
use super::segments::{Frame, header};
use super::thumbnail::{Shrinking, colour, of_inks};
use super::{Source, behind, bounds, exif, picture, profile};

/// The decoder scales down as far as it can without going below this, in pixels.
const LEAST_SIDE: u16 = 96;

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
