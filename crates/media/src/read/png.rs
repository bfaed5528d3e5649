//! PNG: its chunks, and its pixels row by row.

use std::collections::BTreeSet;
use std::io::{BufRead, Seek};

use common::content::{Picture, Profile, View};
use png::{BitDepth, ColorType, Decoder, Info, Limits, Reader, Transformations, Unit};

use super::credits::{self, Credits};
use super::memory::{MOST_DECODED, MOST_METADATA};
use super::thumbnail::{Shrinking, colour};
use super::{Source, exif, frames, picture, profile};

/// The gamma that viewers assume if a file states none; programs round it.
const USUAL_GAMMA: f32 = 1.0 / 2.2;
const GAMMA_TOLERANCE: f32 = 0.01;

const XMP: &str = "XML:com.adobe.xmp";
const RAW_PROFILE: &str = "Raw profile type ";

/// The pixels of one pass: the first one, and the distance to the next across and down.
struct Pass {
    left: u64,
    top: u64,
    across: usize,
    down: usize,
}

const fn pass(left: u64, top: u64, across: usize, down: usize) -> Pass {
    Pass { left, top, across, down }
}

/// The Adam7 passes of an interlaced picture, and the single pass of any other.
const INTERLACED: [Pass; 7] = [
    pass(0, 0, 8, 8),
    pass(4, 0, 8, 8),
    pass(0, 4, 4, 8),
    pass(2, 0, 4, 4),
    pass(0, 2, 2, 4),
    pass(1, 0, 2, 2),
    pass(0, 1, 1, 2),
];
const WHOLE: [Pass; 1] = [pass(0, 0, 1, 1)];

pub(super) fn read(mut file: impl Source, decode: bool) -> Result<Picture, String> {
    let frames = frames::of_png(&mut file);
    let limits = Limits { bytes: usize::try_from(MOST_DECODED).unwrap_or(usize::MAX) };
    let mut decoder = Decoder::new_with_limits(file, limits);
    decoder.set_transformations(Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|error| error.to_string())?;
    let view = decode.then(|| view(&mut reader));
    // Text chunks may follow the pixels. Errors in the pixels are in the view already.
    if matches!(view, Some(View::Thumbnail(_))) {
        let _ = reader.finish();
    }
    let info = reader.info();
    let exif = info.exif_metadata.as_ref().map(|exif| exif.to_vec());
    let exif = exif.or_else(|| raw_profile(info, "exif")).or_else(|| raw_profile(info, "APP1"));
    let tags = exif::read(exif.unwrap_or_default());
    let mut credits: Credits = tags.credits;
    let iptc = raw_profile(info, "iptc").unwrap_or_default();
    credits::of_photoshop(&mut credits, &iptc);
    credits::of_iptc(&mut credits, &iptc);
    if let Some(packet) = info.utf8_text.iter().find(|text| text.keyword == XMP) {
        let mut packet = packet.clone();
        if packet.decompress_text_with_limit(usize::try_from(MOST_METADATA).unwrap_or(usize::MAX)).is_ok() {
            credits::of_xmp(&mut credits, packet.get_text().unwrap_or_default().as_bytes());
        }
    }
    let has_alpha =
        matches!(info.color_type, ColorType::GrayscaleAlpha | ColorType::Rgba) || info.trns.is_some();
    let per_inch = |per_metre: u32| exif::per_inch(f64::from(per_metre) / 100.0);
    let density = info.pixel_dims.filter(|dimensions| dimensions.unit == Unit::Meter);
    let density = density.map(|density| (per_inch(density.xppu), per_inch(density.yppu)));
    Ok(Picture {
        orientation: tags.orientation.unwrap_or(1),
        bit_depth: bits(info.color_type, info.bit_depth),
        alpha: picture::is_transparent(has_alpha, view.as_ref()),
        dpi: density.or(tags.dpi),
        exif_dpi: density.and(tags.dpi),
        colours: Some(colours(info)),
        icc_profile: info.icc_profile.as_ref().map(|icc| profile::name(icc)),
        profile: Some(match &info.icc_profile {
            None if info.srgb.is_some() => Profile::Srgb,
            icc => profile::read(icc.as_deref().unwrap_or_default()),
        }),
        credits,
        frames,
        behind: BTreeSet::new(),
        view,
    })
}

/// A profile that `ImageMagick` stored as text: its kind, its length, and its bytes in hexadecimal.
fn raw_profile(info: &Info<'_>, kind: &str) -> Option<Vec<u8>> {
    let is_wanted = |keyword: &str| keyword.strip_prefix(RAW_PROFILE) == Some(kind);
    let plain = info.uncompressed_latin1_text.iter().find(|text| is_wanted(&text.keyword));
    let packed = || info.compressed_latin1_text.iter().find(|text| is_wanted(&text.keyword));
    let text = plain.map(|text| text.text.clone()).or_else(|| {
        let mut packed = packed()?.clone();
        packed.decompress_text_with_limit(usize::try_from(MOST_METADATA).unwrap_or(usize::MAX)).ok()?;
        packed.get_text().ok()
    })?;
    let mut words = text.split_ascii_whitespace().skip_while(|word| word.parse::<u32>().is_err());
    let digits: String = words.by_ref().skip(1).collect();
    hex::decode(digits).ok()
}

/// The colour model, and what besides a profile defines the colours, in the standard's order of precedence.
fn colours(info: &Info<'_>) -> String {
    let model = match info.color_type {
        ColorType::Grayscale | ColorType::GrayscaleAlpha => "grey",
        ColorType::Rgb | ColorType::Rgba | ColorType::Indexed => "RGB",
    };
    let gamma = info.gama_chunk.map(png::ScaledFloat::into_value);
    match (info.coding_independent_code_points, gamma) {
        (Some(points), _) => format!(
            "{model}, cICP {}/{}/{}/{}",
            points.color_primaries,
            points.transfer_function,
            points.matrix_coefficients,
            u8::from(points.is_video_full_range_image)
        ),
        (None, Some(gamma))
            if info.icc_profile.is_none()
                && info.srgb.is_none()
                && (gamma - USUAL_GAMMA).abs() > GAMMA_TOLERANCE =>
        {
            format!("{model}, gamma {gamma}")
        }
        (None, _) => model.to_owned(),
    }
}

/// Bits per channel. The colours of a palette have eight, however few its indices have.
fn bits(color: ColorType, depth: BitDepth) -> u8 {
    if color == ColorType::Indexed { 8 } else { depth as u8 }
}

fn view<R: BufRead + Seek>(reader: &mut Reader<R>) -> View {
    // A row as stored has at most twice as many bytes as the row as shown.
    let needed = reader.output_line_size(reader.info().width).map_or(u64::MAX, |row| row as u64 * 3);
    if needed > MOST_DECODED {
        return View::TooLarge { needed };
    }
    rows(reader).unwrap_or_else(|error| picture::undecodable(&error))
}

fn rows<R: BufRead + Seek>(reader: &mut Reader<R>) -> Result<View, png::DecodingError> {
    let (width, height, interlaced) = (reader.info().width, reader.info().height, reader.info().interlaced);
    let samples = reader.output_color_type().0.samples();
    let mut shrinking = Shrinking::new(width, height);
    let passes = if interlaced { &INTERLACED[..] } else { &WHOLE[..] };
    // A pass without pixels has no rows.
    for pass in passes.iter().filter(|pass| pass.left < u64::from(width)) {
        for y in (pass.top..u64::from(height)).step_by(pass.down) {
            let Some(row) = reader.next_interlaced_row()? else { break };
            let pixels = row.data().chunks_exact(samples);
            for (x, pixel) in (pass.left..u64::from(width)).step_by(pass.across).zip(pixels) {
                shrinking.add(x, y, colour(pixel));
            }
        }
    }
    Ok(View::Thumbnail(shrinking.finish()))
}
