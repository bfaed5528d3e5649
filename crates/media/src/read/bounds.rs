//! Detects files that are crafted so that reading them takes far more time or memory than their length suggests.
//!
//! The reader process is limited anyway ([`crate::reader`]); this refuses the known kinds early, with a clear reason.

use std::collections::BTreeSet;
use std::io::{self, BufRead, Read, Seek, SeekFrom};

use super::frames;

/// The limit that the fuzzers of libjpeg-turbo use; cameras and programs write about a dozen scans.
const MOST_SCANS: usize = 500;

/// Maximum length of an XMP packet in bytes, and maximum attributes of an element: the parser compares each with all others.
const LONGEST_XMP: usize = 1 << 20;
const MOST_ATTRIBUTES: usize = 1000;

/// Maximum length of an EXIF block in bytes (that of a JPEG segment), and maximum entries; all tags together are some hundred.
const LONGEST_EXIF: usize = 64 << 10;
const MOST_ENTRIES: usize = 2000;

/// Maximum values of a TIFF tag, such as one per strip or tile; the decoder takes 32 bytes per value. Tags from
/// [`FIRST_OTHER_TAG`] on do not describe the picture and are read within the decoder's limits.
const MOST_VALUES: u64 = 1 << 20;
const FIRST_OTHER_TAG: u64 = 700;

/// EXIF tags that point to another directory.
const POINTERS: [u32; 3] = [0x8769, 0x8825, 0xA005];

/// Whether a JPEG has more scans than any camera writes; decoding goes over all coefficients in each scan.
pub(super) fn has_many_scans(file: &mut (impl BufRead + Seek)) -> io::Result<bool> {
    file.rewind()?;
    let (mut scans, mut before) = (0, 0);
    loop {
        let piece = file.fill_buf()?;
        for byte in piece {
            match (before, byte) {
                (0xFF, 0xDA) => scans += 1,
                // Anything after the end is another picture.
                (0xFF, 0xD9) if scans > 0 => return Ok(scans > MOST_SCANS),
                _ => {}
            }
            before = *byte;
        }
        let read = piece.len();
        if read == 0 || scans > MOST_SCANS {
            return Ok(scans > MOST_SCANS);
        }
        file.consume(read);
    }
}

/// Whether an XMP packet is small enough to parse. Splits at `<`, which an attribute's value cannot contain.
pub(super) fn is_small_xmp(packet: &[u8]) -> bool {
    let attributes = |element: &[u8]| element.split(|byte| *byte == b'=').count() - 1;
    packet.len() <= LONGEST_XMP
        && packet.split(|byte| *byte == b'<').all(|element| attributes(element) <= MOST_ATTRIBUTES)
}

/// Whether an EXIF block is small enough to parse: directories may overlap, and so have many more entries than the block
/// has bytes.
pub(super) fn is_small_exif(block: &[u8]) -> bool {
    let little = block.starts_with(b"II");
    let number = |at: usize, bytes: usize| {
        let value = block.get(at..at.checked_add(bytes)?)?;
        let digit = |number: u32, byte: &u8| number << 8 | u32::from(*byte);
        Some(if little { value.iter().rev().fold(0, digit) } else { value.iter().fold(0, digit) })
    };
    let (mut entries, mut seen) = (0, BTreeSet::new());
    let mut open: Vec<u32> = number(4, 4).into_iter().collect();
    while let Some(directory) = open.pop() {
        let at = directory as usize;
        let Some(count) = number(at, 2).filter(|_| seen.insert(directory)) else { continue };
        for entry in (0..count as usize).map(|index| at + 2 + index * 12) {
            // The parser stops here too and keeps what it has.
            let Some(tag) = number(entry, 2).filter(|_| entry + 12 <= block.len()) else { break };
            entries += 1;
            if entries > MOST_ENTRIES {
                return false;
            }
            if POINTERS.contains(&tag) {
                let size = match number(entry + 2, 2) {
                    Some(1) => 1,
                    Some(3) => 2,
                    _ => 4,
                };
                let lies_elsewhere = number(entry + 4, 4).is_some_and(|count| u64::from(count) * size > 4);
                let value = if lies_elsewhere { number(entry + 8, 4) } else { u32::try_from(entry + 8).ok() };
                let bytes = usize::try_from(size).unwrap_or(4);
                open.extend(value.and_then(|value| number(value as usize, bytes)));
            }
        }
        open.extend(number(at + 2 + count as usize * 12, 4));
    }
    block.len() <= LONGEST_EXIF
}

/// Whether each metadata chunk of a WebP declares at most this many bytes: the decoder allocates the declared length.
pub(super) fn has_small_metadata(file: &mut (impl Read + Seek), most: u64) -> io::Result<bool> {
    file.seek(SeekFrom::Start(12))?;
    let mut head = [0; 8];
    while file.read_exact(&mut head).is_ok() {
        let [kind @ .., a, b, c, d] = head;
        let length = u64::from(u32::from_le_bytes([a, b, c, d]));
        if matches!(&kind, b"EXIF" | b"ICCP" | b"XMP ") && length > most {
            return Ok(false);
        }
        file.seek_relative(i64::try_from(length.next_multiple_of(2)).unwrap_or(i64::MAX))?;
    }
    file.rewind()?;
    Ok(true)
}

/// Whether the tags that describe the first picture of a TIFF have few enough values: the decoder allocates for the declared
/// number before limits can be set.
pub(super) fn has_small_tags(file: &mut (impl Read + Seek)) -> io::Result<bool> {
    file.rewind()?;
    let mut start = [0; 4];
    file.read_exact(&mut start)?;
    let is_little = start[0] == b'I';
    let (wide, count) = if start[2..].contains(&43) { (8, 8) } else { (4, 2) };
    if wide == 8 {
        file.seek_relative(4)?;
    }
    let first = frames::number(file, wide, is_little)?;
    file.seek(SeekFrom::Start(first))?;
    for _ in 0..frames::number(file, count, is_little)? {
        let tag = frames::number(file, 2, is_little)?;
        file.seek_relative(2)?;
        let values = frames::number(file, wide, is_little)?;
        file.seek_relative(if wide == 8 { 8 } else { 4 })?;
        if tag < FIRST_OTHER_TAG && values > MOST_VALUES {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Width and height from the frame header of a JPEG, if `start` contains it.
pub(super) fn jpeg_frame(start: &[u8]) -> Option<(u32, u32)> {
    let mut rest = start.get(2..)?;
    loop {
        let [0xFF, marker, tail @ ..] = rest else { return None };
        let [high, low, ..] = *tail else { return None };
        match marker {
            0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => {
                let [a, b, c, d] = *tail.get(3..7)? else { return None };
                return Some((u16::from_be_bytes([c, d]).into(), u16::from_be_bytes([a, b]).into()));
            }
            _ => rest = tail.get(usize::from(u16::from_be_bytes([high, low])).max(2)..)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use common::content::View;

    use super::*;

    fn has_many(scans: usize) -> bool {
        let file =
            [b"\xFF\xD8".to_vec(), b"\xFF\xDA\0\x08".repeat(scans), b"\xFF\xD9\xFF\xDA".to_vec()].concat();
        has_many_scans(&mut Cursor::new(file)).unwrap()
    }

    #[test]
    fn a_jpeg_has_at_most_five_hundred_scans() {
        assert_eq!([1, 500, 501, 100_000].map(has_many), [false, false, true, true]);
    }

    #[test]
    fn xmp_is_bounded_in_all_and_in_the_attributes_of_an_element() {
        let element = |attributes: usize| format!("<a {}/>", "b='>' ".repeat(attributes)).into_bytes();
        assert!(is_small_xmp(&element(1000)) && is_small_xmp(&element(1000).repeat(50)));
        assert!(!is_small_xmp(&element(1001)));
        assert!(!is_small_xmp(&vec![b' '; LONGEST_XMP + 1]));
    }

    /// EXIF of which half is pointers to overlapping directories, the other half their entries.
    fn overlapping(bytes: u32) -> Vec<u8> {
        let pointers = bytes / 24;
        let start = 10 + 12 * pointers;
        let mut block = b"MM\0\x2A\0\0\0\x08".to_vec();
        block.extend(u16::try_from(pointers).unwrap().to_be_bytes());
        for pointer in 0..pointers {
            block.extend(b"\x87\x69\0\x04\0\0\0\x01");
            block.extend((start + pointer).to_be_bytes());
        }
        block.resize(bytes as usize, 0x77);
        block
    }

    #[test]
    fn exif_is_bounded_in_all_and_in_its_entries() {
        assert!(!is_small_exif(&overlapping(48 << 10)));
        assert!(is_small_exif(b"MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"));
        assert!(is_small_exif(b"no exif") && is_small_exif(b""));
        assert!(!is_small_exif(&vec![0; LONGEST_EXIF + 1]));
    }

    #[test]
    fn metadata_of_webp_is_bounded_by_what_it_claims() {
        let file = |kind: &[u8; 4], length: u32| {
            let mut file = b"RIFF\0\0\0\0WEBPVP8X\x01\0\0\0ab".to_vec();
            file.extend(kind);
            file.extend(length.to_le_bytes());
            has_small_metadata(&mut Cursor::new(file), 16 << 20).unwrap()
        };
        assert!(file(b"EXIF", 16 << 20) && file(b"VP8L", u32::MAX));
        assert!(!file(b"EXIF", u32::MAX) && !file(b"ICCP", 300 << 20) && !file(b"XMP ", u32::MAX));
    }

    #[test]
    fn the_frame_of_a_jpeg_is_found_behind_other_segments() {
        let start = b"\xFF\xD8\xFF\xDB\0\x04ab\xFF\xC2\0\x0B\x08\x40\0\x20\0\x01\x01\x11\0";
        assert_eq!(jpeg_frame(start), Some((0x2000, 0x4000)));
        assert_eq!([&start[..9], b"", b"\xFF\xD8ab"].map(jpeg_frame), [None, None, None]);
    }

    /// A grey TIFF whose strips all use the same bytes.
    fn tiff(width: u32, height: u32, rows: u32, compression: u32, strip: &[u8]) -> Vec<u8> {
        let (strips, length) = (height / rows, u32::try_from(strip.len()).unwrap());
        let offsets = 8 + length;
        let lengths = offsets + strips * 4;
        let listed = |value: u32, list: u32| if strips == 1 { value } else { list };
        let entries = [
            (256, 1, width),
            (257, 1, height),
            (258, 1, 8),
            (259, 1, compression),
            (262, 1, 1),
            (273, strips, listed(8, offsets)),
            (277, 1, 1),
            (278, 1, rows),
            (279, strips, listed(length, lengths)),
        ];
        let mut file = b"II*\0".to_vec();
        file.extend((lengths + strips * 4).to_le_bytes());
        file.extend(strip);
        file.extend(8_u32.to_le_bytes().repeat(strips as usize));
        file.extend(length.to_le_bytes().repeat(strips as usize));
        file.extend(9_u16.to_le_bytes());
        for (tag, count, value) in entries {
            file.extend(u16::to_le_bytes(tag));
            file.extend(4_u16.to_le_bytes());
            file.extend([count, value].map(u32::to_le_bytes).concat());
        }
        file.extend([0; 4]);
        file
    }

    fn undecodable(file: Vec<u8>) -> String {
        match super::super::tiff::read(Cursor::new(file), true).unwrap().view {
            Some(View::Undecodable(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_strip_of_tiff_holds_no_jpeg_that_is_larger_than_itself() {
        let jpeg = b"\xFF\xD8\xFF\xC2\0\x0B\x08\x40\0\x40\0\x01\x01\x11\0\xFF\xD9";
        let reason = undecodable(tiff(16, 16, 16, 7, jpeg));
        assert_eq!(reason, "a strip or tile holds a JPEG of another size");
    }

    #[test]
    fn a_tag_that_describes_a_tiff_has_not_more_values_than_it_may_have_strips() {
        let with = |values: u32| {
            let mut file = tiff(16, 16, 16, 1, &[0; 256]);
            let tag = file.windows(8).position(|at| at == [0x06, 1, 4, 0, 1, 0, 0, 0]).unwrap();
            file[tag + 4..tag + 8].copy_from_slice(&values.to_le_bytes());
            has_small_tags(&mut Cursor::new(&file)).unwrap()
        };
        assert_eq!([1, 1 << 20, (1 << 20) + 1, u32::MAX].map(with), [true, true, false, false]);
    }

    #[test]
    fn all_strips_of_a_tiff_are_bounded_together() {
        let reason = undecodable(tiff(65_536, 32_768, 1024, 8, &[0; 64]));
        assert_eq!(reason, "its pixels take more than 1024 MiB");
    }
}
