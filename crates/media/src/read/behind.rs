//! What phones and cameras append to a JPEG: a gain map, a second picture or a film.

use std::collections::BTreeSet;
use std::io;

use common::content::Behind;

use super::Source;
use super::segments::segments;

const GAIN_MAP_XMP: &[u8] = b"http://ns.adobe.com/hdr-gain-map/";

/// Maximum appended pictures to read; more than any camera appends.
const MOST_PICTURES: usize = 16;

/// The first bytes of a picture (three of them), and the name of a film's first box.
const PICTURE: u32 = 0x00FF_D8FF;
const FILM: u32 = u32::from_be_bytes(*b"ftyp");

/// What follows the end of a JPEG. The file must be in its image data.
pub(super) fn read(file: &mut impl Source) -> BTreeSet<Behind> {
    let mut found = BTreeSet::new();
    // An error ends the search; what was found before it counts.
    let _ = search(file, &mut found);
    found
}

fn search(file: &mut impl Source, found: &mut BTreeSet<Behind>) -> io::Result<()> {
    for _ in 0..MOST_PICTURES {
        to_end(file)?;
        if next(file)? == FILM {
            found.insert(Behind::Film);
            return Ok(());
        }
        file.seek_relative(-1)?;
        found.extend(kind(file)?);
    }
    Ok(())
}

/// Skips image data, and segments between its scans, up to the end of the picture.
fn to_end(file: &mut impl Source) -> io::Result<()> {
    loop {
        if file.skip_until(0xFF)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut marker = [0xFF];
        while marker == [0xFF] {
            file.read_exact(&mut marker)?;
        }
        match marker {
            [0xD9] => return Ok(()),
            [0xC4 | 0xDA | 0xDB | 0xDD | 0xE0..=0xEF | 0xFE] => {
                let mut length = [0; 2];
                file.read_exact(&mut length)?;
                file.seek_relative(i64::from(u16::from_be_bytes(length)).saturating_sub(2).max(0))?;
            }
            _ => {}
        }
    }
}

/// Reads up to the beginning of the next picture or film, whatever is before it.
fn next(file: &mut impl Source) -> io::Result<u32> {
    let mut last: u32 = 0;
    loop {
        let bytes = file.fill_buf()?;
        let length = bytes.len();
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let found = bytes.iter().position(|byte| {
            last = last << 8 | u32::from(*byte);
            last == FILM || last & 0x00FF_FFFF == PICTURE
        });
        file.consume(found.map_or(length, |at| at + 1));
        if found.is_some() {
            return Ok(last);
        }
    }
}

/// The kind of a picture that follows another. The file must be at its first segment; it ends up at the image data.
fn kind(file: &mut impl Source) -> io::Result<Option<Behind>> {
    let header = segments(file)?;
    let is_gain_map =
        header.is_gain_map || header.xmp.windows(GAIN_MAP_XMP.len()).any(|part| part == GAIN_MAP_XMP);
    Ok(header.frame.map(|_| if is_gain_map { Behind::GainMap } else { Behind::SecondPicture }))
}
