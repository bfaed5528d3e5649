//! Files are recognised by content, in all forms that their standards allow.

use tiff::encoder::{TiffEncoder, colortype};

use super::*;

fn recognised(file: &[u8]) -> Option<String> {
    facts(file).media_type
}

fn branded(major: &str, compatible: &str) -> Vec<u8> {
    let content = [major, "\0\0\0\0", compatible].concat();
    let length = u32::try_from(content.len() + 8).unwrap().to_be_bytes();
    [&length[..], b"ftyp", content.as_bytes()].concat()
}

#[test]
fn a_film_of_any_brand_is_a_film_and_a_picture_in_boxes_is_none() {
    let films = ["XAVC", "iso2", "iso7", "iso8", "iso9", "mp43", "f4v ", "cmfc", "hvc1", "dby1", "zzzz"];
    for brand in films {
        assert_eq!(recognised(&branded(brand, "isommp42")).as_deref(), Some("video/mp4"), "{brand}");
    }
    let table = [
        ("qt  ", "qt  ", "video/quicktime"),
        ("3gp4", "isom", "video/3gpp"),
        ("3g2a", "isom", "video/3gpp2"),
        ("M4V ", "isom", "video/x-m4v"),
        ("M4A ", "isom", "audio/mp4"),
        ("crx ", "isom", "image/x-canon-cr3"),
        ("heic", "mif1", "image/heic"),
        ("mif1", "miafheic", "image/heic"),
        ("mif1", "miafavif", "image/avif"),
        ("mif1", "miaf", "image/heif"),
        ("avif", "mif1", "image/avif"),
    ];
    for (major, compatible, wanted) in table {
        assert_eq!(recognised(&branded(major, compatible)).as_deref(), Some(wanted), "{major} {compatible}");
    }
}

#[test]
fn a_film_without_a_brand_is_quicktime_whatever_stands_before_its_header() {
    for first in [&b"skip"[..], b"wide", b"free", b"mdat"] {
        let film = [&[0, 0, 0, 12][..], first, &[0; 4], &[0, 0, 0, 8], b"moov"].concat();
        assert_eq!(recognised(&film).as_deref(), Some("video/quicktime"));
    }
    assert_eq!(recognised(b"Get free samples of everything, today only"), None);
    for length in 0..16 {
        recognised(&[&[0, 0, 0, length][..], b"ftypqt  "].concat());
    }
}

#[test]
fn pictures_and_drawings_of_every_kind_are_named() {
    let table: [(&[u8], &str); 13] = [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
        (b"<?xml version='1.0'?><!-- drawn --><svg/>", "image/svg+xml"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "application/postscript"),
        (&[0xC5, 0xD0, 0xD3, 0xC6, 0, 0, 0, 0], "application/postscript"),
        (b"8BPS\0\x01", "image/vnd.adobe.photoshop"),
        (b"BM\0\0\0\0", "image/bmp"),
        (&[0, 0, 0, 12, 0x6A, 0x50, 0x20, 0x20, 13, 10, 0x87, 10, 0], "image/jp2"),
        (&[0xFF, 0x4F, 0xFF, 0x51, 0], "image/j2c"),
        (&[0xFF, 0x0A, 0], "image/jxl"),
        (b"FUJIFILMCCD-RAW 0201", "image/x-fuji-raf"),
        (b"IIRO\x08\0\0\0", "image/x-olympus-orf"),
        (b"II*\0\x10\0\0\0CR\x02\0", "image/x-canon-cr2"),
        (b"MM\0*\0\0\0\x08\0\x01\xC6\x12\0\x01\0\0\0\x04\x01\x04\0\0", "image/x-adobe-dng"),
    ];
    for (file, wanted) in table {
        assert_eq!(recognised(file).as_deref(), Some(wanted), "{}", String::from_utf8_lossy(file));
    }
    let mut big = Cursor::new(Vec::new());
    let pixels = DynamicImage::from(painting(40, 30)).into_rgb8();
    TiffEncoder::new_big(&mut big).unwrap().write_image::<colortype::RGB8>(40, 30, &pixels).unwrap();
    let big = facts(big.get_ref());
    assert_eq!((big.media_type.as_deref(), big.pixels), (Some("image/tiff"), Some((40, 30))));
}

/// A TIFF by this maker: a directory with a small picture, and a subdirectory with this photometric interpretation.
fn by(is_little: bool, make: &[u8], interpretation: u16) -> Vec<u8> {
    let short = |value: u16| if is_little { value.to_le_bytes() } else { value.to_be_bytes() };
    let long = |value: u32| if is_little { value.to_le_bytes() } else { value.to_be_bytes() };
    let entry = |tag: u16, kind: u16, count: u32, value: [u8; 4]| {
        [&short(tag)[..], &short(kind), &long(count), &value].concat()
    };
    let padded = |value: u16| [short(value), [0; 2]].concat().try_into().unwrap();
    let start = if is_little { b"II*\0" } else { b"MM\0*" };
    let (make_at, within) = (8 + 2 + 3 * 12 + 4, 8 + 2 + 3 * 12 + 4 + 20);
    let mut make = make.to_vec();
    make.resize(20, 0);
    [
        &start[..],
        &long(8),
        &short(3),
        &entry(262, 3, 1, padded(2)),
        &entry(271, 2, 20, long(make_at)),
        &entry(330, 4, 1, long(within)),
        &[0; 4],
        &make,
        &short(1),
        &entry(262, 3, 1, padded(interpretation)),
        &[0; 4],
    ]
    .concat()
}

#[test]
fn raw_files_that_look_like_tiff_are_named_by_their_maker() {
    let table: [(&[u8], &str); 7] = [
        (b"NIKON CORPORATION", "image/x-nikon-nef"),
        (b"SONY", "image/x-sony-arw"),
        (b"PENTAX Corporation", "image/x-pentax-pef"),
        (b"RICOH IMAGING", "image/x-pentax-pef"),
        (b"SAMSUNG", "image/x-samsung-srw"),
        (b"Hasselblad", "image/x-hasselblad-3fr"),
        (b"Any Maker", "image/x-dcraw"),
    ];
    for (make, wanted) in table {
        for is_little in [false, true] {
            for of_a_sensor in [32803, 34892] {
                assert_eq!(recognised(&by(is_little, make, of_a_sensor)).as_deref(), Some(wanted));
            }
            // A plain TIFF from the maker's software, with a reduced copy in it.
            assert_eq!(recognised(&by(is_little, make, 2)).as_deref(), Some("image/tiff"));
        }
    }
}
