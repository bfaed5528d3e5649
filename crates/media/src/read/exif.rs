//! EXIF, in any container.

use common::content::Credit;
use exif::{Exif, In, Reader, Tag, Value};

use super::bounds;
use super::credits::{self, Credits};

/// Precedes EXIF in JPEG.
pub(super) const PREFIX: &[u8] = b"Exif\0\0";

/// The tags that checks compare.
#[derive(Debug, Default)]
pub(super) struct Tags {
    pub(super) orientation: Option<u32>,
    /// Dots per inch, across and down.
    pub(super) dpi: Option<(u32, u32)>,
    /// Artist and copyright.
    pub(super) credits: Credits,
}

/// Reads a TIFF structure up to the first malformed part; the rest counts as absent.
///
/// JPEG's prefix is accepted in any container.
pub(super) fn read(mut structure: Vec<u8>) -> Tags {
    if structure.starts_with(PREFIX) {
        structure.drain(..PREFIX.len());
    }
    if structure.is_empty() || !bounds::is_small_exif(&structure) {
        return Tags::default();
    }
    let read = Reader::new().continue_on_error(true).read_raw(structure);
    let Ok(exif) = read.or_else(|error| error.distill_partial_result(|_| {})) else { return Tags::default() };
    let number = |tag| exif.get_field(tag, In::PRIMARY)?.value.get_uint(0);
    let mut credits = Credits::new();
    credits::note(&mut credits, Credit::ExifArtist, &text(&exif, Tag::Artist));
    credits::note(&mut credits, Credit::ExifCopyright, &text(&exif, Tag::Copyright));
    let dpi = rational(&exif, Tag::XResolution)
        .zip(rational(&exif, Tag::YResolution))
        .and_then(|(across, down)| resolution(across, down, number(Tag::ResolutionUnit).unwrap_or(2)));
    Tags { orientation: number(Tag::Orientation), dpi, credits }
}

fn text(exif: &Exif, tag: Tag) -> String {
    match exif.get_field(tag, In::PRIMARY).map(|field| &field.value) {
        // The field holds two texts: the photographer's copyright and the editor's.
        Some(Value::Ascii(texts)) => {
            let texts: Vec<_> = texts.iter().map(|text| String::from_utf8_lossy(text)).collect();
            texts.join("; ")
        }
        _ => String::new(),
    }
}

fn rational(exif: &Exif, tag: Tag) -> Option<f64> {
    match &exif.get_field(tag, In::PRIMARY)?.value {
        Value::Rational(values) => values.first().map(exif::Rational::to_f64),
        _ => None,
    }
}

/// Dots per inch of a resolution in TIFF's unit 2 (inch) or 3 (centimetre).
pub(super) fn resolution(across: f64, down: f64, unit: u32) -> Option<(u32, u32)> {
    match unit {
        2 => Some((rounded(across), rounded(down))),
        3 => Some((per_inch(across), per_inch(down))),
        _ => None,
    }
}

/// Converts dots per centimetre to dots per inch.
pub(super) fn per_inch(per_centimetre: f64) -> u32 {
    rounded(per_centimetre * 2.54)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is clamped just before"
)]
fn rounded(value: f64) -> u32 {
    value.round().clamp(0.0, f64::from(u32::MAX)) as u32
}
