//! Camera raw files: TIFF by their first bytes, but with directories that describe sensor data.

use super::Source;
use super::directories::{Directories, Entry};

const MAKE: u64 = 271;
const PHOTOMETRIC: u64 = 262;
const SUB_DIRECTORIES: u64 = 330;
const DNG_VERSION: u64 = 50706;

/// Values of `PhotometricInterpretation`: a colour filter array, and its values after demosaicing.
const OF_A_SENSOR: [u64; 2] = [32803, 34892];

/// Bounds for hostile files: maximum subdirectories, and length of the maker's name in bytes.
const MOST_DIRECTORIES: u64 = 8;
const LONGEST_MAKE: u64 = 32;

/// Makers whose raw files have their own media type, by the beginning of the tag `Make`.
const MAKERS: [(&[u8], &str); 6] = [
    (b"NIKON", "image/x-nikon-nef"),
    (b"SONY", "image/x-sony-arw"),
    (b"PENTAX", "image/x-pentax-pef"),
    (b"RICOH", "image/x-pentax-pef"),
    (b"SAMSUNG", "image/x-samsung-srw"),
    (b"Hasselblad", "image/x-hasselblad-3fr"),
];

/// The media type of a raw file whose first bytes are those of a TIFF; `None` for every other TIFF.
pub(super) fn media_type(file: &mut impl Source, start: &[u8]) -> Option<&'static str> {
    let mut directories = Directories { file, is_little: start.first() == Some(&b'I') };
    let first = directories.number(start.get(4..8)?);
    let entries = directories.entries(first).ok()?;
    let find = |tag| entries.iter().find(|entry| entry.tag == tag);
    if find(DNG_VERSION).is_some() {
        return Some("image/x-adobe-dng");
    }
    let make = directories.content(find(MAKE)?, 1, LONGEST_MAKE).ok()?;
    let within = find(SUB_DIRECTORIES).map(|entry| directories.content(entry, 4, MOST_DIRECTORIES));
    let within: Vec<_> = match within {
        Some(places) => places.ok()?.chunks_exact(4).map(|place| directories.number(place)).collect(),
        None => Vec::new(),
    };
    let mut is_of_a_sensor = are_of_a_sensor(&directories, &entries);
    for at in within {
        let entries = directories.entries(at).unwrap_or_default();
        is_of_a_sensor |= are_of_a_sensor(&directories, &entries);
    }
    if !is_of_a_sensor {
        return None;
    }
    let maker = MAKERS.iter().find(|(name, _)| make.starts_with(name));
    // The freedesktop.org type for raw files of any camera.
    Some(maker.map_or("image/x-dcraw", |(_, media_type)| media_type))
}

fn are_of_a_sensor<S: Source>(directories: &Directories<'_, S>, entries: &[Entry]) -> bool {
    let stated = entries.iter().find(|entry| entry.tag == PHOTOMETRIC);
    stated.is_some_and(|entry| OF_A_SENSOR.contains(&directories.short(entry)))
}
