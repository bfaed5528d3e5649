//! What phones and cameras append to a JPEG: a gain map, a second picture, a film.

use std::collections::BTreeSet;
use std::io;

use common::content::Behind;

use super::{Source, jpeg};

/// More than any camera appends.
const MOST_PICTURES: usize = 16;

/// Both begin a segment or a file wherever they lie.
const PICTURE: u32 = 0x00FF_D8FF;
const FILM: u32 = u32::from_be_bytes(*b"ftyp");

/// What lies behind the end of a JPEG whose reader stands in its image data.
pub(super) fn read(file: &mut impl Source) -> BTreeSet<Behind> {
    let mut found = BTreeSet::new();
    // What is damaged ends the search.
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
        found.extend(jpeg::kind_behind(file)?);
    }
    Ok(())
}

/// Steps over image data, and over segments between its scans.
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

/// Reads until the beginning of a picture or a film, whatever lies before it.
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
