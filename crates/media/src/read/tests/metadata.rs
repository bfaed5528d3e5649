//! Metadata in forms that other programs write.

use image::ImageEncoder;

use super::jpeg::failed;
use super::*;

/// EXIF with an orientation only.
fn exif(orientation: u8) -> Vec<u8> {
    let entry = [1, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0];
    [&b"MM\0*\0\0\0\x08\0\x01"[..], &entry, &[0; 4]].concat()
}

fn with_prefix(exif: &[u8]) -> Vec<u8> {
    [b"Exif\0\0", exif].concat()
}

fn webp(exif: Option<Vec<u8>>) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut file);
    if let Some(exif) = exif {
        encoder.set_exif_metadata(exif).unwrap();
    }
    encoder.write_image(&[9; 12], 2, 2, image::ExtendedColorType::Rgb8).unwrap();
    file
}

/// A PNG of one grey pixel with these chunks after its header.
pub(super) fn png(chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let header = (b"IHDR", vec![0, 0, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0]);
    let pixel = (b"IDAT", b"\x78\x01\x01\x02\0\xFD\xFF\0\x09\0\x0C\0\x0A".to_vec());
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    for (name, content) in [&[header], chunks, &[pixel, (b"IEND", Vec::new())]].concat() {
        let chunk = [name.as_slice(), &content].concat();
        file.extend(u32::try_from(content.len()).unwrap().to_be_bytes());
        file.extend(&chunk);
        file.extend(crc32fast::hash(&chunk).to_be_bytes());
    }
    file
}

/// A profile as `ImageMagick` stores it in text.
fn raw_profile(kind: &str, content: &[u8]) -> (&'static [u8; 4], Vec<u8>) {
    let digits: Vec<_> = hex::encode(content).into_bytes().chunks(72).collect::<Vec<_>>().join(&b'\n');
    let digits = String::from_utf8(digits).unwrap();
    let text = format!("Raw profile type {kind}\0\n{kind}\n      {}\n{digits}\n", content.len());
    (b"tEXt", text.into_bytes())
}

fn iptc(byline: &[u8]) -> Vec<u8> {
    [&[0x1C, 2, 80, 0, u8::try_from(byline.len()).unwrap()], byline].concat()
}

/// A TIFF of one grey pixel with this additional tag.
fn tiff(is_big: bool, tag: u16, kind: u16, count: usize, value: &[u8]) -> Vec<u8> {
    let short = |value: u16| if is_big { value.to_be_bytes() } else { value.to_le_bytes() };
    let long = |value: u32| if is_big { value.to_be_bytes() } else { value.to_le_bytes() };
    let mut entries = vec![(256, 1), (257, 1), (258, 8), (259, 1), (262, 1), (273, 8), (278, 1), (279, 1)];
    entries.push((tag, 0));
    entries.sort_unstable();
    let value_at = 12 + 2 + entries.len() * 12 + 4;
    let mut file = if is_big { b"MM\0*".to_vec() } else { b"II*\0".to_vec() };
    // The pixel lies between the header and the directory.
    file.extend(long(12));
    file.extend([9, 0, 0, 0]);
    file.extend(short(u16::try_from(entries.len()).unwrap()));
    for (number, content) in entries {
        file.extend(short(number));
        let (kind, count, content) = if number == tag { (kind, count, value_at) } else { (4, 1, content) };
        file.extend(short(kind));
        file.extend(long(u32::try_from(count).unwrap()));
        file.extend(long(u32::try_from(content).unwrap()));
    }
    file.extend([0; 4]);
    file.extend(value);
    file
}

fn credits_of(file: &[u8]) -> Vec<(Credit, String)> {
    match look_into(file) {
        Content::Picture(picture) => picture.credits.into_iter().collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn iptc_of_a_tiff_is_read_as_whatever_type_it_is_stored() {
    for is_big in [false, true] {
        for (kind, bytes) in [(1, 1), (4, 4), (7, 1)] {
            let mut value = iptc(b"Jo Example");
            value.resize(value.len().next_multiple_of(4), 0);
            let file = tiff(is_big, 33723, kind, value.len() / bytes, &value);
            let wanted = [(Credit::IptcByline, "Jo Example".to_owned())];
            assert_eq!(credits_of(&file), wanted, "big endian {is_big}, type {kind}");
        }
    }
}

#[test]
fn a_byline_in_an_alphabet_that_is_not_stated_may_become_utf_8() {
    let file = |byline: &[u8]| tiff(false, 33723, 7, byline.len() + 5, &iptc(byline));
    let table: [(&[u8], &str, bool); 6] = [
        (b"J\x9Arg Gro\xA7", "J\u{F6}rg Gro\u{DF}", true),
        (b"J\xF6rg Gro\xDF", "J\u{F6}rg Gro\u{DF}", true),
        (b"Milo\x9A \x8Eerav", "Milo\u{161} \u{17D}erav", true),
        (b"J\x9Arg", "Jorg", false),
        ("J\u{F6}rg".as_bytes(), "J\u{C3}\u{B6}rg", false),
        (b"Jo", "J\u{F6}", false),
    ];
    for (original, result, is_same) in table {
        let found = failed(&file(original), &file(result.as_bytes()));
        assert_eq!(found.is_empty(), is_same, "{result}: {found:?}");
    }
}

#[test]
fn exif_is_read_with_and_without_the_prefix_of_jpeg() {
    let (turned, plain) = (exif(6), exif(1));
    let files: [fn(Vec<u8>) -> Vec<u8>; 4] = [
        |exif| webp(Some(exif)),
        |exif| png(&[(b"eXIf", exif)]),
        |exif| png(&[raw_profile("exif", &exif)]),
        |exif| png(&[raw_profile("APP1", &exif)]),
    ];
    for (number, file) in files.into_iter().enumerate() {
        assert_eq!(failed(&file(with_prefix(&turned)), &file(turned.clone())), [], "{number}");
        assert_eq!(
            failed(&file(with_prefix(&turned)), &file(plain.clone())),
            [Check::Orientation],
            "{number}"
        );
    }
    assert_eq!(failed(&webp(Some(with_prefix(&turned))), &webp(None)), [Check::Orientation]);
}

#[test]
fn iptc_in_a_raw_profile_of_a_png_is_read() {
    let iptc = iptc(b"Jo Example");
    let length = u32::try_from(iptc.len()).unwrap().to_be_bytes();
    let resource = [b"8BIM\x04\x04\0\0".as_slice(), &length, &iptc].concat();
    for content in [iptc, resource] {
        let file = png(&[raw_profile("iptc", &content)]);
        assert_eq!(credits_of(&file), [(Credit::IptcByline, "Jo Example".to_owned())]);
    }
}

fn xmp(properties: &str) -> Vec<u8> {
    let packet = format!(
        r#"<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/">{properties}</rdf:Description></rdf:RDF></x:xmpmeta>"#
    );
    png(&[(b"iTXt", [b"XML:com.adobe.xmp\0\0\0\0\0", packet.as_bytes()].concat())])
}

fn rights(texts: &[(&str, &str)]) -> Vec<u8> {
    let items =
        texts.iter().map(|(language, text)| format!(r#"<rdf:li xml:lang="{language}">{text}</rdf:li>"#));
    xmp(&format!("<dc:rights><rdf:Alt>{}</rdf:Alt></dc:rights>", items.collect::<String>()))
}

fn creators(names: &[&str]) -> Vec<u8> {
    let items = names.iter().map(|name| format!("<rdf:li>{name}</rdf:li>"));
    xmp(&format!("<dc:creator><rdf:Seq>{}</rdf:Seq></dc:creator>", items.collect::<String>()))
}

#[test]
fn rights_are_compared_by_language() {
    let long = "All rights reserved. ".repeat(20);
    let long = long.trim();
    let same: [(&[_], &[_]); 6] = [
        (&[("de", "Alles"), ("x-default", "All")], &[("x-default", "All"), ("de", "Alles")]),
        (&[("de", "Alles")], &[("x-default", "Alles"), ("de", "Alles")]),
        (&[("de", long)], &[("x-default", long), ("DE", long)]),
        (&[("x-default", "All")], &[("x-default", "All"), ("fr", "Tous")]),
        (&[("x-default", "All"), ("en", "All")], &[("x-default", "All")]),
        (&[("x-default", "All")], &[("en", "All")]),
    ];
    for (original, result) in same {
        assert_eq!(failed(&rights(original), &rights(result)), [], "{original:?} {result:?}");
    }
    let other: [(&[_], &[_]); 4] = [
        (&[("x-default", "All"), ("de", "Alles")], &[("x-default", "Alles"), ("de", "All")]),
        (&[("x-default", "All"), ("de", "Alles")], &[("x-default", "All")]),
        (&[("de", "Alles")], &[("fr", "Alles")]),
        (&[("de", long)], &[("de", "All rights reserved.")]),
    ];
    for (original, result) in other {
        assert_eq!(failed(&rights(original), &rights(result)), [Check::Copyright], "{original:?} {result:?}");
    }
}

#[test]
fn names_are_compared_as_a_set() {
    let bylines = |names: &[&str]| {
        let datasets: Vec<u8> = names.iter().flat_map(|name| iptc(name.as_bytes())).collect();
        tiff(false, 33723, 7, datasets.len(), &datasets)
    };
    for file in [creators as fn(&[&str]) -> Vec<u8>, bylines] {
        let original = file(&["Jo", "Ann", "Bo"]);
        assert_eq!(failed(&original, &file(&["Ann", "Bo", "Jo", "Bo"])), []);
        for other in [&["Ann", "Jo"][..], &["Jo", "Ann", "Bo", "Imatag"], &["Jo; Ann", "Bob"]] {
            assert_eq!(failed(&original, &file(other)), [Check::Copyright], "{other:?}");
        }
    }
}

#[test]
fn many_names_are_remembered_in_little_space() {
    let names: Vec<_> = (0..1000).map(|number| format!("Name {number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let all = creators(&names);
    let reversed = creators(&names.iter().rev().copied().collect::<Vec<_>>());
    assert_eq!(failed(&all, &reversed), []);
    assert_eq!(failed(&all, &creators(&names[1..])), [Check::Copyright]);
    assert!(credits_of(&all)[0].1.len() <= 2000);
}

/// A profile with the primaries of sRGB, a curve with this value at 0.5, and this byte in its date, flags and ID.
fn icc(half: u16, changing: u8) -> Vec<u8> {
    let mut profile = vec![0; 128];
    profile[16..20].copy_from_slice(b"RGB ");
    for range in [24..36, 44..48, 84..100] {
        profile[range].fill(changing);
    }
    let primaries = [[28578_u32, 14583, 909], [25236, 46981, 6361], [9376, 3971, 46797]];
    let names = [b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC"];
    profile.extend(6_u32.to_be_bytes());
    for (name, (at, length)) in
        names.iter().zip([(204_u32, 20_u32), (224, 20), (244, 20), (264, 18), (264, 18), (264, 18)])
    {
        profile.extend([name.as_slice(), &at.to_be_bytes(), &length.to_be_bytes()].concat());
    }
    for primary in primaries {
        profile.extend([&b"XYZ \0\0\0\0"[..], &primary.map(u32::to_be_bytes).concat()].concat());
    }
    profile.extend(b"curv\0\0\0\0\0\0\0\x03\0\0");
    profile.extend(half.to_be_bytes());
    profile.extend([0xFF, 0xFF]);
    profile
}

const SRGB: u16 = 14025;

fn iccp(profile: &[u8]) -> (&'static [u8; 4], Vec<u8>) {
    let length = u16::try_from(profile.len()).unwrap().to_le_bytes();
    let (low, high) = profile.iter().fold((1_u32, 0), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65521;
        (low, (low + high) % 65521)
    });
    let sum = (high << 16 | low).to_be_bytes();
    (b"iCCP", [&b"name\0\0\x78\x01\x01"[..], &length, &length.map(|byte| !byte), profile, &sum].concat())
}

#[test]
fn what_changes_in_a_profile_without_its_colours_is_not_compared() {
    let file = |half, changing| png(&[iccp(&icc(half, changing))]);
    assert_eq!(failed(&file(9000, 0), &file(9000, 7)), []);
    assert_eq!(failed(&file(9000, 0), &file(9001, 0)), [Check::IccProfile]);
    assert_eq!(failed(&file(9000, 0), &png(&[])), [Check::IccProfile]);
}

#[test]
fn a_profile_that_a_jpeg_repeats_counts_once() {
    let profile = icc(9000, 0);
    let (first, second) = profile.split_at(100);
    let part = |number: u8, count: u8, part: &[u8]| {
        super::jpeg::segment(0xE2, &[b"ICC_PROFILE\0".as_slice(), &[number, count], part].concat())
    };
    let file = |parts: &[Vec<u8>]| {
        super::jpeg::blocks(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>(), |_, _| [9])
    };
    let once = file(&[part(1, 1, &profile)]);
    let halves = [part(1, 2, first), part(2, 2, second)];
    for parts in [vec![part(1, 1, &profile); 2], halves.to_vec(), [halves.clone(), halves].concat()] {
        assert_eq!(failed(&file(&parts), &once), []);
    }
    assert_eq!(failed(&file(&[part(1, 2, first)]), &once), [Check::IccProfile]);
}

#[test]
fn the_chunk_that_says_srgb_counts_as_a_profile_of_it() {
    let chunk = png(&[(b"sRGB", vec![0])]);
    let profile = png(&[iccp(&icc(SRGB, 0))]);
    assert_eq!(failed(&chunk, &profile), []);
    assert_eq!(failed(&profile, &chunk), []);
    let linear = png(&[iccp(&icc(0x8000, 0))]);
    let mut narrow = icc(SRGB, 0);
    narrow[214] = 0x90;
    for other in [linear, png(&[iccp(&narrow)]), png(&[iccp(b"short")]), png(&[])] {
        assert_eq!(failed(&chunk, &other), [Check::IccProfile]);
        assert_eq!(failed(&other, &chunk), [Check::IccProfile]);
    }
}

/// A grey profile with a curve of this value at 0.5.
fn grey_icc(half: u16) -> Vec<u8> {
    let mut profile = vec![0; 128];
    profile[16..20].copy_from_slice(b"GRAY");
    profile
        .extend([&1_u32.to_be_bytes()[..], b"kTRC", &144_u32.to_be_bytes(), &18_u32.to_be_bytes()].concat());
    profile.extend([&b"curv\0\0\0\0\0\0\0\x03\0\0"[..], &half.to_be_bytes(), &[0xFF, 0xFF]].concat());
    profile
}

#[test]
fn the_chunk_that_says_srgb_of_a_grey_picture_counts_as_its_curve() {
    let chunk = png(&[(b"sRGB", vec![0])]);
    let profile = |half| png(&[iccp(&grey_icc(half))]);
    assert_eq!(failed(&chunk, &profile(SRGB)), []);
    assert_eq!(failed(&profile(SRGB), &chunk), []);
    // A gamma of 2.2, and a linear curve.
    for other in [14263, 0x8000] {
        assert_eq!(failed(&chunk, &profile(other)), [Check::IccProfile]);
    }
}
