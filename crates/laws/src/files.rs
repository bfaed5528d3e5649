//! Laws of files.

use std::io::Cursor;

use media::{BadResult, Checks, Content, ContentHash, FileFacts, Reading, check_result, read};

/// Maximum length of a file's facts as JSON: a message of 64 KiB carries two, plus at most 24 KiB of other fields.
const MOST_FACTS: usize = 20 << 10;

/// Maximum length of a credit in bytes: 200 characters and a hash.
const MOST_CREDIT: usize = 830;

/// Maximum length of the findings of all checks, which are logged; in bytes.
const MOST_FINDING: usize = 20 << 10;

pub fn jpeg(file: &[u8]) -> bool {
    of_kind(file, &["image/jpeg"])
}

pub fn png(file: &[u8]) -> bool {
    of_kind(file, &["image/png"])
}

pub fn gif(file: &[u8]) -> bool {
    of_kind(file, &["image/gif"])
}

pub fn tiff(file: &[u8]) -> bool {
    of_kind(file, &["image/tiff"])
}

pub fn webp(file: &[u8]) -> bool {
    of_kind(file, &["image/webp"])
}

/// An MP4 or MOV film.
pub fn film(file: &[u8]) -> bool {
    of_kind(file, &["video/mp4", "video/quicktime"])
}

pub fn pdf(file: &[u8]) -> bool {
    of_kind(file, &["application/pdf"])
}

/// Any file.
pub fn any(file: &[u8]) -> bool {
    hold(&read(Cursor::new(file), &Checks::default()));
    true
}

/// Metadata in a segment of a JPEG. The first byte selects EXIF, XMP, Photoshop's resources (with IPTC) or an ICC profile.
pub fn metadata(input: &[u8]) -> bool {
    let Some((kind, content)) = input.split_first() else { return false };
    let (marker, prefix): (u8, &[u8]) = match kind % 4 {
        0 => (0xE1, b"Exif\0\0"),
        1 => (0xE1, b"http://ns.adobe.com/xap/1.0/\0"),
        2 => (0xED, b"Photoshop 3.0\0"),
        _ => (0xE2, b"ICC_PROFILE\0\x01\x01"),
    };
    let Ok(length) = u16::try_from(2 + prefix.len() + content.len()) else { return false };
    let segment = [&[0xFF, marker], &length.to_be_bytes()[..], prefix, content].concat();
    let frame = [0xFF, 0xC0, 0, 11, 8, 0, 16, 0, 16, 1, 1, 0x11, 0, 0xFF, 0xDA];
    let file = [&[0xFF, 0xD8], &segment[..], &frame].concat();
    let reading = read(Cursor::new(&file), &Checks::default());
    hold(&reading);
    assert!(
        matches!(reading.content, Content::Picture(_)),
        "its metadata made a picture unreadable: {reading:?}"
    );
    true
}

/// The facts of two files, as in a message.
pub fn compare(json: &[u8]) -> bool {
    let Ok([original, result]) = serde_json::from_slice::<[FileFacts; 2]>(json) else { return false };
    let checks = Checks::default();
    for (original, result) in [(&original, &result), (&result, &original)] {
        let said = match check_result(original, result, &checks) {
            Ok(unchecked) => unchecked.iter().map(ToString::to_string).collect(),
            Err(bad) => bad.to_string(),
        };
        let bound = MOST_FINDING + 4 * json.len();
        assert!(said.len() <= bound, "a finding of {} bytes", said.len());
    }
    passes_against_itself(&original);
    true
}

fn of_kind(file: &[u8], kinds: &[&str]) -> bool {
    let reading = read(Cursor::new(file), &Checks::default());
    hold(&reading);
    reading.media_type.is_some_and(|kind| kinds.contains(&kind.as_str()))
}

/// Asserts that the facts of any file are small, survive a round trip through JSON, and match themselves.
fn hold(reading: &Reading) {
    if let Content::Picture(picture) = &reading.content {
        for (place, text) in &picture.credits {
            assert!(text.len() <= MOST_CREDIT, "{place:?} of {} bytes", text.len());
        }
    }
    let facts = reading.clone().into_facts(ContentHash::from_bytes([1; 32]), 1);
    let written = serde_json::to_vec(&facts).expect("facts are written as JSON");
    assert!(written.len() <= MOST_FACTS, "facts of {} bytes", written.len());
    let again: FileFacts = serde_json::from_slice(&written).expect("facts are read as they were written");
    assert_eq!(again, facts);
    passes_against_itself(&facts);
}

/// Asserts that a file with other bytes and the same properties passes the checks.
fn passes_against_itself(facts: &FileFacts) {
    let other = FileFacts { sha256: ContentHash::from_bytes([2; 32]), bytes: 1, ..facts.clone() };
    let found = check_result(facts, &other, &Checks::default());
    assert!(!matches!(found, Err(BadResult::Differs(_))), "a file is unlike itself: {found:?}");
}
