use std::collections::HashSet;
use std::path::Path;

use super::*;

const ALL: [Format; 6] = [Format::Jpeg, Format::Png, Format::Tiff, Format::Mp4, Format::Pdf, Format::Wav];

fn marked(file: &[u8], mark: u64) -> Result<Vec<u8>, Unsupported> {
    let directory = tempfile::tempdir().unwrap();
    let (source, target) = (directory.path().join("a"), directory.path().join("b"));
    std::fs::write(&source, file).unwrap();
    watermark(&source, &target, mark)?;
    Ok(std::fs::read(target).unwrap())
}

#[test]
fn every_seed_gives_other_bytes() {
    for format in ALL {
        let files: HashSet<Vec<u8>> = (0..40).map(|seed| file(format, seed, 40, 30)).collect();
        assert_eq!(files.len(), 40, "{format:?}");
        assert!(files.iter().all(|file| Format::detect(file) == Some(format)));
    }
}

#[test]
fn pictures_decode_to_their_size_before_and_after() {
    for format in [Format::Jpeg, Format::Png, Format::Tiff] {
        let original = file(format, 7, 90, 60);
        for bytes in [&original, &marked(&original, 1).unwrap()] {
            let picture = image::load_from_memory(bytes).unwrap();
            assert_eq!((picture.width(), picture.height()), (90, 60), "{format:?}");
        }
    }
}

#[test]
fn a_watermark_changes_pixels_each_time_otherwise_and_keeps_metadata() {
    for format in [Format::Jpeg, Format::Png, Format::Tiff] {
        let original = file(format, 7, 90, 60);
        let (first, second) = (marked(&original, 1).unwrap(), marked(&original, 2).unwrap());
        let pixels = |bytes: &[u8]| image::load_from_memory(bytes).unwrap().to_rgb8().into_raw();
        assert_ne!(pixels(&original), pixels(&first));
        assert_ne!(pixels(&first), pixels(&second));
        let segments = metadata::segments(7);
        let iptc = if format == Format::Png { &segments.icc } else { &segments.iptc };
        for part in [&segments.exif, &segments.xmp, &segments.icc, iptc] {
            assert!(first.windows(part.len()).any(|window| window == part), "{format:?}");
        }
    }
}

#[test]
fn films_and_documents_are_marked_and_sounds_refused() {
    for format in [Format::Mp4, Format::Pdf] {
        let original = file(format, 7, 0, 0);
        assert_ne!(marked(&original, 1).unwrap(), marked(&original, 2).unwrap());
    }
    assert!(matches!(marked(&file(Format::Wav, 7, 0, 0), 1), Err(Unsupported::Kind)));
    assert!(matches!(marked(b"hello", 1), Err(Unsupported::Kind)));
}

#[test]
fn a_large_picture_is_written_and_marked_without_being_held() {
    let directory = tempfile::tempdir().unwrap();
    for (name, write) in [("one strip", write_large as fn(&Path, u64, u64) -> _), ("many", write_striped)] {
        let (source, target) =
            (directory.path().join(name), directory.path().join(format!("{name}, marked")));
        write(&source, 3, 5 << 20).unwrap();
        watermark(&source, &target, 1).unwrap();
        let (before, after) = (std::fs::read(source).unwrap(), std::fs::read(target).unwrap());
        assert_eq!((before.len() as u64).div_ceil(1 << 20), 5, "{name}");
        assert_eq!(before.len(), after.len(), "{name}");
        assert_ne!(before, after, "{name}");
        let last =
            |file: &[u8]| image::load_from_memory(file).unwrap().to_rgb8().pixels().next_back().copied();
        assert_eq!(last(&before).map(|pixel| pixel.0), before.last_chunk().copied(), "{name}");
        assert!(last(&after).is_some(), "{name}");
    }
}
