mod jpeg;
mod metadata;

use std::io::{Cursor, Read};

use common::check::Check;
use common::content::{Credit, Film, Picture, View};
use common::hash::ContentHash;
use proptest::prelude::*;
use sample_files::{Defect, Format, file, watermark};

use super::*;
use crate::result::{BadResult, Unchecked, check_result};

const ALL: [Format; 6] = [Format::Jpeg, Format::Png, Format::Tiff, Format::Mp4, Format::Pdf, Format::Wav];

fn facts_of(file: &[u8]) -> FileFacts {
    read(Cursor::new(file), &Checks::default()).into_facts(ContentHash::of(file).unwrap(), file.len() as u64)
}

/// Like [`read`], but does not catch a panic.
fn look_into(bytes: &[u8]) -> Content {
    let media_type = kind::media_type(&mut Cursor::new(bytes));
    pixels(Cursor::new(bytes), media_type.as_deref(), &Checks::default());
    content(Cursor::new(bytes), media_type.as_deref(), &Checks::default())
}

fn marked(original: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (source, target) = (folder.path().join("a"), folder.path().join("b"));
    std::fs::write(&source, original).unwrap();
    watermark(&source, &target, 5).unwrap();
    std::fs::read(target).unwrap()
}

fn checked(original: &[u8], result: &[u8]) -> Result<Vec<Unchecked>, BadResult> {
    check_result(&facts_of(original), &facts_of(result), &Checks::default())
}

fn picture(format: Format, seed: u64) -> Picture {
    match look_into(&file(format, seed, 160, 120)) {
        Content::Picture(picture) => picture,
        other => panic!("{format:?}: {other:?}"),
    }
}

#[test]
fn everything_that_a_picture_states_is_read() {
    for format in [Format::Jpeg, Format::Png, Format::Tiff] {
        for seed in [2, 3] {
            let picture = picture(format, seed);
            let is_glass = format == Format::Png && seed == 3;
            assert_eq!(picture.orientation, if seed == 3 { 6 } else { 1 }, "{format:?}");
            assert_eq!((picture.bit_depth, picture.alpha), if is_glass { (16, true) } else { (8, false) });
            assert_eq!(picture.dpi, Some((300, 300)), "{format:?}");
            assert!(picture.icc_profile.is_some(), "{format:?}");
            assert!(matches!(picture.view, Some(View::Thumbnail(_))), "{format:?}: {:?}", picture.view);
            let (artist, rights) = (format!("Jo Example {seed}"), format!("(c) Example Studio {seed}"));
            let mut wanted = vec![
                (Credit::ExifCopyright, rights.clone()),
                (Credit::ExifArtist, artist.clone()),
                (Credit::XmpRights, rights.clone()),
                (Credit::XmpCreator, artist.clone()),
            ];
            if format != Format::Png {
                wanted.extend([(Credit::IptcCopyright, rights), (Credit::IptcByline, artist)]);
            }
            assert_eq!(picture.credits, wanted.into_iter().collect(), "{format:?}");
        }
    }
}

/// A file that makes its reader panic after the signature.
struct Breaking<'a>(Cursor<&'a [u8]>);

impl Read for Breaking<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.0.read(buffer);
        assert!(self.0.position() <= kind::SIGNATURE_BYTES, "the reader panics");
        read
    }
}

impl Seek for Breaking<'_> {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn a_file_over_which_its_reader_panics_is_unreadable_and_keeps_its_type() {
    let tiff = file(Format::Tiff, 2, 160, 120);
    let breaking = std::io::BufReader::with_capacity(1024, Breaking(Cursor::new(&tiff)));
    let reading = read(breaking, &Checks::default());
    assert_eq!((reading.media_type.as_deref(), reading.pixels), (Some("image/tiff"), Some((160, 120))));
    assert_eq!(reading.content, Content::Unreadable("its reader stumbled over it".to_owned()));
}

#[test]
fn pictures_for_the_web_are_decoded_too() {
    let painting = image::load_from_memory(&file(Format::Jpeg, 2, 160, 120)).unwrap();
    for format in [image::ImageFormat::WebP, image::ImageFormat::Gif] {
        let mut encoded = Cursor::new(Vec::new());
        painting.write_to(&mut encoded, format).unwrap();
        let content = look_into(encoded.get_ref());
        assert!(matches!(&content, Content::Picture(Picture { bit_depth: 8, .. })), "{content:?}");
        assert!(similarity(encoded.get_ref(), &file(Format::Jpeg, 2, 160, 120)) > 0.9, "{format:?}");
    }
}

#[test]
fn films_and_documents_state_what_they_are() {
    let film = Film {
        damage: None,
        tracks: vec!["soun".to_owned(), "vide".to_owned()],
        duration_ms: 1000,
        resolutions: vec![(160, 90)],
        shown: Some(vec![(160, 90)]),
        rotations: Some(vec![0]),
    };
    assert_eq!(*facts_of(&file(Format::Mp4, 1, 0, 0)).content.unwrap(), Content::Film(film));
    assert_eq!(*facts_of(&file(Format::Pdf, 1, 0, 0)).content.unwrap(), Content::Document { pages: 2 });
    assert_eq!(*facts_of(&file(Format::Wav, 1, 0, 0)).content.unwrap(), Content::Other);
}

#[test]
fn a_watermark_passes_every_check() {
    for format in ALL.into_iter().filter(|format| *format != Format::Wav) {
        for seed in 0..6 {
            let original = file(format, seed, 160, 120);
            assert_eq!(checked(&original, &marked(&original)), Ok(Vec::new()), "{format:?} {seed}");
        }
    }
}

#[test]
fn each_defect_is_found_by_its_check_and_by_no_other() {
    let table = [
        (Format::Jpeg, Defect::OtherType, Check::MediaType),
        (Format::Jpeg, Defect::Smaller, Check::PixelSize),
        (Format::Jpeg, Defect::Turned, Check::Orientation),
        (Format::Png, Defect::Turned, Check::Orientation),
        (Format::Png, Defect::Shallow, Check::BitDepth),
        (Format::Png, Defect::Opaque, Check::Alpha),
        (Format::Jpeg, Defect::Coarse, Check::Dpi),
        (Format::Jpeg, Defect::NoProfile, Check::IccProfile),
        (Format::Png, Defect::NoProfile, Check::IccProfile),
        (Format::Jpeg, Defect::NoExifCopyright, Check::Copyright),
        (Format::Jpeg, Defect::NoIptcByline, Check::Copyright),
        (Format::Jpeg, Defect::NoXmpRights, Check::Copyright),
        (Format::Png, Defect::NoXmpRights, Check::Copyright),
        (Format::Jpeg, Defect::OtherPicture, Check::SamePicture),
        (Format::Mp4, Defect::BrokenContainer, Check::Container),
        (Format::Mp4, Defect::TrackLost, Check::Tracks),
        (Format::Mp4, Defect::Shortened, Check::Duration),
        (Format::Mp4, Defect::Narrow, Check::Resolution),
        (Format::Pdf, Defect::PageLost, Check::Pages),
    ];
    for (format, defect, check) in table {
        let original = file(format, 3, 160, 120);
        let result = defect.applied_to(marked(&original));
        let Err(BadResult::Differs(differences)) = checked(&original, &result) else {
            panic!("{defect:?} was not found in {format:?}")
        };
        let found: Vec<_> = differences.iter().map(|difference| difference.check).collect();
        assert_eq!(found, [check], "{defect:?} in {format:?}: {differences:?}");
        println!("{}", differences[0]);
    }
}

fn encoded(picture: &image::RgbImage, quality: u8) -> Vec<u8> {
    let mut file = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, quality);
    picture.write_with_encoder(encoder).unwrap();
    file
}

fn similarity(left: &[u8], right: &[u8]) -> f64 {
    let view = |file: &[u8]| match look_into(file) {
        Content::Picture(Picture { view: Some(View::Thumbnail(thumbnail)), .. }) => thumbnail,
        other => panic!("{other:?}"),
    };
    crate::compare::similarity(&view(left), &view(right))
}

#[test]
fn the_threshold_lies_between_what_compression_does_and_another_picture() {
    let least = Checks::default().similarity;
    let painting = |seed| image::load_from_memory(&file(Format::Jpeg, seed, 320, 240)).unwrap().to_rgb8();
    let (mut kept, mut flat, mut other) = (1.0_f64, 1.0_f64, 0.0_f64);
    for seed in 0..20 {
        let original = file(Format::Jpeg, seed, 320, 240);
        kept = kept.min(similarity(&original, &marked(&original)));
        kept = kept.min(similarity(&original, &encoded(&painting(seed), 25)));
        other = other.max(similarity(&original, &file(Format::Jpeg, seed + 100, 320, 240)));
        let mirrored = image::imageops::flip_horizontal(&painting(seed));
        other = other.max(similarity(&original, &encoded(&mirrored, 95)));
    }
    for level in [0, 128, 255] {
        let original = encoded(&image::RgbImage::from_pixel(64, 48, image::Rgb([level; 3])), 95);
        flat = flat.min(similarity(&original, &marked(&original)));
    }
    println!("the same picture: at least {kept:.4}, a flat one {flat:.4}; another one: at most {other:.4}");
    let kept = kept.min(flat);
    assert!(kept > least && other < least, "{kept} {least} {other}");
}

#[test]
fn a_giant_is_said_to_be_too_large_before_anything_is_held() {
    // The header of a progressive JPEG of 20000 × 20000 pixels.
    let mut progressive = vec![0xFF, 0xD8, 0xFF, 0xC2, 0, 17, 8, 0x4E, 0x20, 0x4E, 0x20, 3];
    progressive.extend([1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1, 0xFF, 0xDA]);
    // A PNG whose rows have forty million pixels.
    let mut wide = file(Format::Png, 2, 8, 8);
    wide[16..20].copy_from_slice(&40_000_000_u32.to_be_bytes());
    let checksum = crc32fast::hash(&wide[12..29]);
    wide[29..33].copy_from_slice(&checksum.to_be_bytes());
    // A TIFF of one strip.
    let mut tall = file(Format::Tiff, 2, 8, 8);
    for (at, value) in [(18, 60_000_u32), (30, 60_000), (10 + 8 * 12 + 8, 60_000)] {
        tall[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    for giant in [progressive, wide, tall] {
        let content = look_into(&giant);
        let Content::Picture(picture) = content else { panic!("it was not read: {content:?}") };
        assert!(matches!(picture.view, Some(View::TooLarge { .. })), "{:?}", picture.view);
    }
}

#[test]
fn the_rows_of_an_interlaced_picture_fall_into_their_places() {
    // No encoder here writes interlaced files, so the test writes the passes itself, uncompressed.
    let shade = |value: u32| u8::try_from(value).unwrap();
    let picture = image::RgbImage::from_fn(40, 30, |x, y| image::Rgb([shade(x * 6), shade(y * 8), 77]));
    let mut plain = Vec::new();
    picture.write_with_encoder(image::codecs::png::PngEncoder::new(&mut plain)).unwrap();
    let passes: [[u32; 4]; 7] =
        [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];
    let mut rows = Vec::new();
    for [left, top, across, down] in passes {
        for y in (top..30).step_by(down as usize) {
            rows.push(0);
            rows.extend((left..40).step_by(across as usize).flat_map(|x| picture.get_pixel(x, y).0));
        }
    }
    let header = b"IHDR\0\0\0\x28\0\0\0\x1e\x08\x02\0\0\x01";
    let mut interlaced = plain[..8].to_vec();
    // A zlib stream of one stored block; its checksum is not verified.
    let length = u16::try_from(rows.len()).unwrap().to_le_bytes();
    let block = [&[0x78, 1, 1][..], &length, &length.map(|byte| !byte), &rows, &[0; 4]].concat();
    let data = [b"IDAT", block.as_slice()].concat();
    for chunk in [&header[..], &data, b"IEND"] {
        interlaced.extend((u32::try_from(chunk.len()).unwrap() - 4).to_be_bytes());
        interlaced.extend(chunk);
        interlaced.extend(crc32fast::hash(chunk).to_be_bytes());
    }
    assert!((similarity(&plain, &interlaced) - 1.0).abs() < 1e-9);
}

#[test]
fn a_cut_picture_is_not_the_same() {
    for format in [Format::Jpeg, Format::Png, Format::Tiff] {
        let original = file(format, 3, 160, 120);
        let mut cut = marked(&original);
        cut.truncate(cut.len() * 2 / 3);
        let found = checked(&original, &cut);
        assert!(matches!(&found, Err(BadResult::Differs(_))), "{format:?}: {found:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn malformed_files_are_read_without_a_stumble(
        format in 0..ALL.len(),
        cut in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
    ) {
        let mut bytes = file(ALL[format], 3, 40, 30);
        for (at, value) in changes {
            // Half of the changes hit the header, where they matter most.
            let end = if value % 2 == 0 { bytes.len() } else { bytes.len().min(400) };
            let at = at.index(end);
            bytes[at] = value;
        }
        let whole = bytes.clone();
        bytes.truncate(cut.index(whole.len()));
        look_into(&whole);
        look_into(&bytes);
    }

    #[test]
    fn noise_behind_a_signature_is_read_without_a_stumble(
        format in 0..ALL.len() + 3,
        noise in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        let signatures = [&b"GIF89a"[..], b"RIFF\xff\0\0\0WEBPVP8X", b"RIFF\xff\0\0\0WEBPVP8L"];
        let mut bytes = match signatures.get(format) {
            Some(signature) => signature.to_vec(),
            None => file(ALL[format - signatures.len()], 3, 4, 3)[..12].to_vec(),
        };
        bytes.extend(noise);
        look_into(&bytes);
    }
}
