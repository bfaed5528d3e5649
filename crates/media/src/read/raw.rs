//! Raw files of cameras: TIFF files by their first bytes, whose directories say that they hold a sensor's values.

use std::io;

use super::Source;
use super::kind::beginning;

const MAKE: u64 = 271;
const PHOTOMETRIC: u64 = 262;
const SUB_DIRECTORIES: u64 = 330;
const DNG_VERSION: u64 = 50706;

/// Values of `PhotometricInterpretation`: a colour filter array, and its values after demosaicing.
const OF_A_SENSOR: [u64; 2] = [32803, 34892];

/// Bounds for hostile files: entries of a directory that are looked at, directories within one, bytes of a name.
const MOST_ENTRIES: u64 = 500;
const MOST_DIRECTORIES: u64 = 8;
const LONGEST_MAKE: u64 = 32;

/// Makers whose raw files have a name of their own, by how they write themselves.
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
    let [first, _, _, _, place @ ..] = start else { return None };
    let mut directories = Directories { file, is_little: *first == b'I' };
    let first = directories.number(place.get(..4)?);
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
    if !directories.are_of_a_sensor(&entries) && !within.into_iter().any(|at| directories.is_of_a_sensor(at))
    {
        return None;
    }
    let maker = MAKERS.iter().find(|(name, _)| make.starts_with(name));
    // The name that desktops have for raw files of any camera.
    Some(maker.map_or("image/x-dcraw", |(_, media_type)| media_type))
}

struct Entry {
    tag: u64,
    count: u64,
    /// The value, or its place.
    value: [u8; 4],
}

struct Directories<'a, S> {
    file: &'a mut S,
    is_little: bool,
}

impl<S: Source> Directories<'_, S> {
    fn number(&self, bytes: &[u8]) -> u64 {
        let digit = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        if self.is_little { bytes.iter().rev().fold(0, digit) } else { bytes.iter().fold(0, digit) }
    }

    fn entries(&mut self, at: u64) -> io::Result<Vec<Entry>> {
        let count = beginning(self.file, at, 2)?;
        let count = self.number(&count).min(MOST_ENTRIES);
        let entries = beginning(self.file, at + 2, count * 12)?;
        let entry = |entry: &[u8]| Entry {
            tag: self.number(&entry[..2]),
            count: self.number(&entry[4..8]),
            value: [entry[8], entry[9], entry[10], entry[11]],
        };
        Ok(entries.chunks_exact(12).map(entry).collect())
    }

    /// The bytes of a value whose items have this size, as far as they are looked at.
    fn content(&mut self, entry: &Entry, size: u64, most: u64) -> io::Result<Vec<u8>> {
        let length = entry.count.min(most) * size;
        if entry.count.saturating_mul(size) <= 4 {
            return Ok(entry.value.to_vec());
        }
        let place = self.number(&entry.value);
        beginning(self.file, place, length)
    }

    fn is_of_a_sensor(&mut self, at: u64) -> bool {
        self.entries(at).is_ok_and(|entries| self.are_of_a_sensor(&entries))
    }

    /// The value of one short stands at the beginning of its four bytes.
    fn are_of_a_sensor(&self, entries: &[Entry]) -> bool {
        let stated = entries.iter().find(|entry| entry.tag == PHOTOMETRIC);
        stated.is_some_and(|entry| OF_A_SENSOR.contains(&self.number(&entry.value[..2])))
    }
}
