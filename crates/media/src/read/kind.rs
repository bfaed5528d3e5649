//! Detects the media type by content.

use std::io::{self, BufRead, Seek, SeekFrom};

use super::memory::{piece, piece_at};
use super::{Source, raw};

/// Bytes to read: enough for every signature in `infer` and for the prologue of an SVG.
pub(super) const SIGNATURE_BYTES: u64 = 8192;

/// Maximum boxes to skip before `ftyp` or `moov`, and maximum compatible brands to read.
const MOST_BOXES: usize = 32;
const MOST_BRANDS: usize = 64;

/// The media type, if it is a known one.
pub(crate) fn media_type(file: &mut (impl BufRead + Seek)) -> Option<String> {
    let start = piece_at(file, 0, SIGNATURE_BYTES).ok()?;
    let own = own_kinds(&start)
        .or_else(|| boxes(file).ok().flatten())
        .or_else(|| is_tiff(&start).then(|| raw::media_type(file, &start).unwrap_or("image/tiff")));
    own.or_else(|| infer::get(&start).map(|kind| kind.mime_type())).map(str::to_owned)
}

/// Signatures that `infer` does not know, or does not know in all forms.
fn own_kinds(start: &[u8]) -> Option<&'static str> {
    match start {
        [b'F', b'U', b'J', b'I', b'F', b'I', b'L', b'M', b'C', b'C', b'D', b'-', ..] => {
            Some("image/x-fuji-raf")
        }
        [b'I', b'I', b'R', b'O' | b'S', ..] | [b'M', b'M', b'O', b'R', ..] => Some("image/x-olympus-orf"),
        [b'I', b'I', b'U', 0, ..] => Some("image/x-panasonic-rw2"),
        [b'I', b'I', 42, 0, _, _, _, _, b'C', b'R', 2, ..] => Some("image/x-canon-cr2"),
        [0xFF, 0x4F, 0xFF, 0x51, ..] => Some("image/j2c"),
        // A DOS EPS begins with a binary header.
        [0xC5, 0xD0, 0xD3, 0xC6, ..] | [b'%', b'!', b'P', b'S', ..] => Some("application/postscript"),
        _ => is_drawing(start).then_some("image/svg+xml"),
    }
}

fn is_drawing(start: &[u8]) -> bool {
    let text = String::from_utf8_lossy(start);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    text.starts_with("<svg")
        || ((text.starts_with("<?xml") || text.starts_with("<!")) && text.contains("<svg"))
}

fn is_tiff(start: &[u8]) -> bool {
    matches!(start, [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..])
}

/// The type of an ISO media file, by its brands; without `ftyp`, an early `QuickTime` film.
fn boxes(file: &mut impl Source) -> io::Result<Option<&'static str>> {
    let end = super::length(file)?;
    let mut at: u64 = 0;
    for _ in 0..MOST_BOXES {
        let mut head = [0; 8];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut head)?;
        let [a, b, c, d, name @ ..] = head;
        let length = match u32::from_be_bytes([a, b, c, d]) {
            0 => end - at,
            1 => {
                let mut long = [0; 8];
                file.read_exact(&mut long)?;
                u64::from_be_bytes(long)
            }
            short => short.into(),
        };
        match &name {
            b"ftyp" => {
                return Ok(Some(brands(&piece(
                    file,
                    length.min(8 + MOST_BRANDS as u64 * 4).saturating_sub(8),
                )?)));
            }
            b"moov" => return Ok(Some("video/quicktime")),
            b"skip" | b"wide" | b"free" | b"mdat" | b"pnot" if length >= 8 => at = at.saturating_add(length),
            _ => return Ok(None),
        }
    }
    Ok(None)
}

/// The type by the brands: MP4 unless the major brand says otherwise.
fn brands(content: &[u8]) -> &'static str {
    let (major, compatible) = content.split_at_checked(8).unwrap_or((content, &[]));
    let of = |brand: &[u8]| match brand {
        b"qt  " => Some("video/quicktime"),
        b"crx " => Some("image/x-canon-cr3"),
        b"avif" | b"avis" => Some("image/avif"),
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"hevm" | b"hevs" => Some("image/heic"),
        [b'M', b'4', b'V', _] => Some("video/x-m4v"),
        [b'M', b'4', b'A' | b'B' | b'P', _] => Some("audio/mp4"),
        [b'3', b'g', b'p' | b'r' | b's' | b'e', _] => Some("video/3gpp"),
        [b'3', b'g', b'2', _] => Some("video/3gpp2"),
        _ => None,
    };
    let major = major.get(..4).unwrap_or_default();
    // Compatible brands show what a still picture is; those of a film only say which players support it.
    let pictures = || compatible.chunks_exact(4).filter_map(of).find(|kind| kind.starts_with("image/"));
    match major {
        b"mif1" | b"msf1" => pictures().unwrap_or("image/heif"),
        major => of(major).unwrap_or("video/mp4"),
    }
}
