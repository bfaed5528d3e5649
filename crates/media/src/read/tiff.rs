//! TIFF: the tags of the first picture, its strips or tiles one by one, and the number of pages.

use std::collections::BTreeSet;
use std::io::{Read, Seek, SeekFrom};

use common::content::{Credit, Picture, View};
use tiff::ColorType;
use tiff::decoder::ifd::Value;
use tiff::decoder::{ChunkType, Decoder, DecodingResult, Limits};
use tiff::tags::{ByteOrder, Tag};

use super::credits::{self, Credits};
use super::memory::{MOST_DECODED, MOST_METADATA};
use super::relabelled::{self, Form};
use super::thumbnail::{Shrinking, colour, of_inks};
use super::{Source, bounds, exif, frames, picture, profile};

const XMP: Tag = Tag::Unknown(700);
const IPTC: Tag = Tag::Unknown(33723);
const PHOTOSHOP: Tag = Tag::Unknown(34377);

/// Maximum memory for decoding all strips or tiles, in bytes in total: about ten seconds of decompression.
const MOST_IN_ALL: u64 = 1 << 30;

/// The value of `Compression` for a JPEG per strip or tile, and how many of its bytes to search for the frame header.
const MODERN_JPEG: u16 = 7;
const FRAME_WITHIN: u64 = 16 << 10;

/// Values of `ExtraSamples` that mean transparency.
const ALPHA: [u16; 2] = [1, 2];

/// The value of `PlanarConfiguration` for one plane per colour.
const SEPARATE: u16 = 2;

pub(super) fn read(mut file: impl Source, decode: bool) -> Result<Picture, String> {
    let frames = frames::of_tiff(&mut file);
    // If the directory is truncated, the decoder will refuse it.
    if !bounds::has_small_tags(&mut file).unwrap_or(true) {
        return Err("a tag of it has more than a million values".to_owned());
    }
    file.rewind().map_err(|error| error.to_string())?;
    let most = usize::try_from(MOST_DECODED).unwrap_or(usize::MAX);
    let mut limits = Limits::default();
    limits.decoding_buffer_size = most;
    limits.intermediate_buffer_size = most;
    limits.ifd_value_size = usize::try_from(MOST_METADATA).unwrap_or(usize::MAX);
    let mut decoder = Decoder::new(&mut file).map_err(|error| error.to_string())?.with_limits(limits.clone());
    let depths = numbers(&mut decoder, Tag::BitsPerSample);
    let extra = numbers(&mut decoder, Tag::ExtraSamples);
    let icc = bytes(&mut decoder, Tag::IccProfile);
    let has_alpha = extra.iter().any(|kind| ALPHA.contains(kind));
    let (dpi, credits) = (dpi(&mut decoder), credits(&mut decoder));
    let orientation = decoder.get_tag_u32(Tag::Orientation).unwrap_or(1);
    let colours = colours(&mut decoder);
    let view = decode.then(|| view(file, limits));
    Ok(Picture {
        orientation,
        bit_depth: depths.into_iter().max().and_then(|depth| depth.try_into().ok()).unwrap_or(1),
        alpha: picture::is_transparent(has_alpha, view.as_ref()),
        dpi,
        exif_dpi: None,
        icc_profile: (!icc.is_empty()).then(|| profile::name(&icc)),
        profile: Some(profile::read(&icc)),
        behind: BTreeSet::new(),
        colours: Some(colours),
        credits,
        frames,
        view,
    })
}

fn numbers<R: Read + Seek>(decoder: &mut Decoder<R>, tag: Tag) -> Vec<u16> {
    decoder.find_tag_unsigned_vec(tag).ok().flatten().unwrap_or_default()
}

/// A tag's value as the bytes in the file; programs disagree about the type of these tags.
fn bytes<R: Read + Seek>(decoder: &mut Decoder<R>, tag: Tag) -> Vec<u8> {
    let is_little = decoder.byte_order() == ByteOrder::LittleEndian;
    let values = match decoder.find_tag(tag).ok().flatten() {
        Some(Value::List(values)) => values,
        one => one.into_iter().collect(),
    };
    let mut bytes = Vec::new();
    for value in values {
        match value {
            Value::Byte(value) => bytes.push(value),
            Value::Unsigned(value) if is_little => bytes.extend(value.to_le_bytes()),
            Value::Unsigned(value) => bytes.extend(value.to_be_bytes()),
            _ => {}
        }
    }
    bytes
}

fn colours<R: Read + Seek>(decoder: &mut Decoder<R>) -> String {
    match decoder.find_tag_unsigned(Tag::PhotometricInterpretation).ok().flatten() {
        Some(0_u32 | 1) => "grey".to_owned(),
        // A palette and YCbCr are ways to store RGB.
        Some(2 | 3 | 6) => "RGB".to_owned(),
        Some(5) => "CMYK".to_owned(),
        Some(8..=10) => "Lab".to_owned(),
        Some(other) => format!("the model {other}"),
        None => "no stated model".to_owned(),
    }
}

fn dpi<R: Read + Seek>(decoder: &mut Decoder<R>) -> Option<(u32, u32)> {
    let mut rational = |tag| match decoder.find_tag(tag).ok()?? {
        Value::Rational(dots, of) => Some(f64::from(dots) / f64::from(of)),
        _ => None,
    };
    let (across, down) = (rational(Tag::XResolution)?, rational(Tag::YResolution)?);
    exif::resolution(across, down, decoder.get_tag_u32(Tag::ResolutionUnit).unwrap_or(2))
}

fn credits<R: Read + Seek>(decoder: &mut Decoder<R>) -> Credits {
    let mut credits = Credits::new();
    for (tag, credit) in [(Tag::Artist, Credit::ExifArtist), (Tag::Copyright, Credit::ExifCopyright)] {
        credits::note(&mut credits, credit, &decoder.get_tag_ascii_string(tag).unwrap_or_default());
    }
    credits::of_photoshop(&mut credits, &bytes(decoder, PHOTOSHOP));
    credits::of_iptc(&mut credits, &bytes(decoder, IPTC));
    credits::of_xmp(&mut credits, &bytes(decoder, XMP));
    credits
}

fn view(file: impl Source, limits: Limits) -> View {
    opened(file, limits).unwrap_or_else(|error| picture::undecodable(&error))
}

fn opened(file: impl Source, limits: Limits) -> tiff::TiffResult<View> {
    let (form, file) = relabelled::open(file)?;
    let decoder = &mut Decoder::new(file)?.with_limits(limits);
    let needed = needed(decoder)?;
    if needed > MOST_DECODED {
        return Ok(View::TooLarge { needed });
    }
    if needed.saturating_mul(chunk_count(decoder)) > MOST_IN_ALL {
        return Ok(View::Undecodable(format!("its pixels take more than {} MiB", MOST_IN_ALL >> 20)));
    }
    match form {
        Form::Twelve { width, height, .. } | Form::Subsampled { width, height, .. } => {
            rows(decoder, form, Shrinking::new(width, height))
        }
        Form::Plain | Form::Palette | Form::Lab { .. } => chunks(decoder, form),
    }
}

/// Decodes strips as rows of bytes; the form extracts the pixels.
fn rows<R: Read + Seek>(
    decoder: &mut Decoder<R>,
    form: Form,
    mut shrinking: Shrinking,
) -> tiff::TiffResult<View> {
    let (row_length, height) = decoder.dimensions()?;
    let rows = decoder.chunk_dimensions().1.max(1);
    for strip in 0..height.div_ceil(rows) {
        let DecodingResult::U8(bytes) = decoder.read_chunk(strip)? else { continue };
        let first = u64::from(strip) * u64::from(rows);
        for (number, row) in (first..).zip(bytes.chunks_exact(row_length.max(1) as usize)) {
            form.row(number, row, |x, y, pixel| {
                let shown = match (form, pixel) {
                    (Form::Subsampled { .. }, [light, blue, red]) => {
                        colour(&of_differences(*light, *blue, *red))
                    }
                    (_, [cyan, magenta, yellow, black]) => {
                        of_inks([*cyan, *magenta, *yellow, *black].map(|ink| u8::MAX - ink))
                    }
                    _ => colour(pixel),
                };
                shrinking.add(x, y, shown);
            });
        }
    }
    Ok(View::Thumbnail(shrinking.finish()))
}

/// Number of strips or tiles. They may all share the same bytes of the file, so its length is no bound.
fn chunk_count<R: Read + Seek>(decoder: &mut Decoder<R>) -> u64 {
    let (width, height) = decoder.dimensions().unwrap_or_default();
    let (across, down) = decoder.chunk_dimensions();
    u64::from(width.div_ceil(across.max(1))) * u64::from(height.div_ceil(down.max(1)))
}

/// The offsets of the strips or tiles if each is a JPEG; otherwise empty.
fn jpegs<R: Read + Seek>(decoder: &mut Decoder<R>) -> tiff::TiffResult<Vec<u64>> {
    if decoder.find_tag_unsigned::<u16>(Tag::Compression)? != Some(MODERN_JPEG) {
        return Ok(Vec::new());
    }
    decoder.get_tag_u64_vec(match decoder.get_chunk_type() {
        ChunkType::Strip => Tag::StripOffsets,
        ChunkType::Tile => Tag::TileOffsets,
    })
}

/// Whether the JPEG at this offset is no larger than a strip or tile: its decoder allocates for the size that it states.
fn is_of_its_size<R: Read + Seek>(decoder: &mut Decoder<R>, offset: u64) -> std::io::Result<bool> {
    let (width, height) = decoder.chunk_dimensions();
    let mut start = Vec::new();
    let file = decoder.inner();
    file.seek(SeekFrom::Start(offset))?;
    file.take(FRAME_WITHIN).read_to_end(&mut start)?;
    Ok(bounds::jpeg_frame(&start).is_some_and(|(across, down)| across <= width && down <= height))
}

/// Memory for one strip or tile, in bytes: at least a byte per sample, and twice that if planes have to be interleaved.
fn needed<R: Read + Seek>(decoder: &mut Decoder<R>) -> tiff::TiffResult<u64> {
    let color = decoder.colortype()?;
    let (width, height) = decoder.chunk_dimensions();
    let bits = u64::from(color.bit_depth().max(8)) * u64::from(color.num_samples());
    let times = if is_planar(decoder) { 2 } else { 1 };
    Ok((u64::from(width) * u64::from(height)).saturating_mul(bits * times) / 8)
}

fn is_planar<R: Read + Seek>(decoder: &mut Decoder<R>) -> bool {
    numbers(decoder, Tag::PlanarConfiguration).first() == Some(&SEPARATE)
}

fn chunks<R: Read + Seek>(decoder: &mut Decoder<R>, form: Form) -> tiff::TiffResult<View> {
    let color = decoder.colortype()?;
    let table = if form == Form::Palette { table(decoder)? } else { Vec::new() };
    let (width, height) = decoder.dimensions()?;
    let (across, down) = decoder.chunk_dimensions();
    let (across, down) = (across.max(1), down.max(1));
    let a_row = width.div_ceil(across);
    let count = a_row.saturating_mul(height.div_ceil(down));
    let planes = if is_planar(decoder) { u32::from(color.num_samples()) } else { 1 };
    let jpegs = jpegs(decoder)?;
    let mut shrinking = Shrinking::new(width, height);
    for number in 0..count {
        let row_length = decoder.chunk_data_dimensions(number).0.max(1);
        let mut parts = Vec::new();
        for plane in 0..planes {
            let chunk = plane.saturating_mul(count).saturating_add(number);
            if let Some(offset) = jpegs.get(chunk as usize)
                && !is_of_its_size(decoder, *offset)?
            {
                return Ok(View::Undecodable("a strip or tile holds a JPEG of another size".to_owned()));
            }
            let samples = decoder.read_chunk(chunk)?;
            let samples_a_row = row_length as usize * usize::from(color.num_samples()) / planes as usize;
            let Some(samples) = in_bytes(samples, color, samples_a_row) else {
                return Ok(View::Undecodable(format!("no check decodes samples of {color:?}")));
            };
            parts.push(samples);
        }
        let samples = match parts.as_slice() {
            [_] => parts.remove(0),
            planes => {
                let length = planes.iter().map(Vec::len).min().unwrap_or_default();
                (0..length).flat_map(|at| planes.iter().map(move |plane| plane[at])).collect()
            }
        };
        let (left, top) = (u64::from(number % a_row * across), u64::from(number / a_row * down));
        let row_length = u64::from(row_length);
        for (index, pixel) in (0..).zip(samples.chunks_exact(color.num_samples().into())) {
            let shown = match (color, pixel) {
                (_, [number, ..]) if form == Form::Palette => {
                    // `in_bytes` has scaled indices of fewer bits to eight.
                    let number = usize::from(*number) >> (8 - color.bit_depth().min(8));
                    colour(table.get(number).unwrap_or(&[0; 3]))
                }
                (_, [light, green, blue]) if form == (Form::Lab { is_signed: true }) => {
                    colour(&[*light, green ^ 0x80, blue ^ 0x80])
                }
                (ColorType::CMYK(_) | ColorType::CMYKA(_), [cyan, magenta, yellow, black, ..]) => {
                    of_inks([*cyan, *magenta, *yellow, *black].map(|ink| u8::MAX - ink))
                }
                (ColorType::YCbCr(_), [light, blue, red]) => colour(&of_differences(*light, *blue, *red)),
                _ => colour(pixel),
            };
            shrinking.add(left + index % row_length, top + index / row_length, shown);
        }
    }
    Ok(View::Thumbnail(shrinking.finish()))
}

/// The colours of a palette; some programs write 8-bit values instead of 16-bit ones.
fn table<R: Read + Seek>(decoder: &mut Decoder<R>) -> tiff::TiffResult<Vec<[u8; 3]>> {
    let values: Vec<u16> = decoder.find_tag_unsigned_vec(Tag::ColorMap)?.unwrap_or_default();
    let shift = if values.iter().all(|value| *value <= u8::MAX.into()) { 0 } else { 8 };
    let value = |at: usize| u8::try_from(values[at] >> shift).unwrap_or(u8::MAX);
    let count = values.len() / 3;
    Ok((0..count).map(|number| [0, 1, 2].map(|part| value(part * count + number))).collect())
}

/// Converts YCbCr to RGB.
fn of_differences(light: u8, blue: u8, red: u8) -> [u8; 3] {
    let (light, blue, red) = (f32::from(light), f32::from(blue) - 128.0, f32::from(red) - 128.0);
    let colours = [light + 1.402 * red, light - 0.344 * blue - 0.714 * red, light + 1.772 * blue];
    colours.map(|value| of_float(f64::from(value) / 255.0))
}

/// Converts samples to eight bits each; `None` for types without a natural white, such as signed integers.
fn in_bytes(samples: DecodingResult, color: ColorType, samples_a_row: usize) -> Option<Vec<u8>> {
    match samples {
        DecodingResult::U8(values) if color.bit_depth() < 8 => {
            unpacked(&values, color.bit_depth(), samples_a_row)
        }
        DecodingResult::U8(values) => Some(values),
        DecodingResult::U16(values) => Some(values.into_iter().map(|value| value.to_be_bytes()[0]).collect()),
        DecodingResult::U32(values) => Some(values.into_iter().map(|value| value.to_be_bytes()[0]).collect()),
        DecodingResult::F16(values) => {
            Some(values.into_iter().map(|value| of_float(value.to_f64())).collect())
        }
        DecodingResult::F64(values) => Some(values.into_iter().map(of_float).collect()),
        DecodingResult::F32(values) => Some(values.into_iter().map(|value| of_float(value.into())).collect()),
        _ => None,
    }
}

/// Unpacks samples of one, two or four bits; each row begins at a byte boundary.
fn unpacked(packed: &[u8], bits: u8, samples_a_row: usize) -> Option<Vec<u8>> {
    let most = [0, 1, 3, 0, 15].get(usize::from(bits)).copied().filter(|most| *most > 0)?;
    let a_byte = usize::from(8 / bits);
    let row = |row: &[u8]| {
        let sample = |at: usize| (row[at / a_byte] >> (8 - usize::from(bits) * (at % a_byte + 1))) & most;
        (0..samples_a_row.min(row.len() * a_byte)).map(|at| sample(at) * (u8::MAX / most)).collect::<Vec<_>>()
    };
    Some(packed.chunks(samples_a_row.div_ceil(a_byte).max(1)).flat_map(row).collect())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is clamped just before"
)]
fn of_float(value: f64) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0) as u8
}
