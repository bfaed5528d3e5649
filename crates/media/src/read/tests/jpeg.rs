//! JPEG files that no encoder here writes.

use super::*;

/// A JPEG of flat blocks, one for each cell of a thumbnail, with these stored samples.
pub(super) fn blocks<const COMPONENTS: usize>(
    segments: &[&[u8]],
    samples: impl Fn(usize, usize) -> [u8; COMPONENTS],
) -> Vec<u8> {
    let count = u8::try_from(COMPONENTS).unwrap();
    let frame: Vec<u8> = (1..=count).flat_map(|component| [component, 0x11, 0]).collect();
    let scan: Vec<u8> = (1..=count).flat_map(|component| [component, 0]).collect();
    let mut file = vec![0xFF, 0xD8];
    file.extend(segments.concat());
    // With a quantisation step of eight, a block's first coefficient is the mean of its samples.
    file.extend(segment(0xDB, &[&[0][..], &[8; 64]].concat()));
    file.extend(segment(0xC0, &[&[8, 0, 128, 0, 128, count], frame.as_slice()].concat()));
    // Four-bit codes for the lengths of DC differences, and a one-bit code for the end of the block.
    file.extend(segment(
        0xC4,
        &[&[0, 0, 0, 0, 12][..], &[0; 12], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]].concat(),
    ));
    file.extend(segment(0xC4, &[&[0x10, 1][..], &[0; 15], &[0]].concat()));
    file.extend(segment(0xDA, &[&[count], scan.as_slice(), &[0, 63, 0]].concat()));
    let mut bits = Vec::new();
    let mut before = [128_i32; COMPONENTS];
    for block in 0..256 {
        for (before, sample) in before.iter_mut().zip(samples(block % 16, block / 16)) {
            let difference = i32::from(sample) - *before;
            *before = sample.into();
            let length = 32 - difference.unsigned_abs().leading_zeros();
            let value = if difference < 0 { difference + (1 << length) - 1 } else { difference };
            bits.extend((0..4).rev().map(|bit| length >> bit & 1 == 1));
            bits.extend((0..length).rev().map(|bit| value >> bit & 1 == 1));
            bits.push(false);
        }
    }
    bits.resize(bits.len().next_multiple_of(8), true);
    for bits in bits.chunks(8) {
        let byte = bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
        file.push(byte);
        if byte == 0xFF {
            file.push(0);
        }
    }
    file.extend([0xFF, 0xD9]);
    file
}

pub(super) fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
    [&[0xFF, marker][..], &length, content].concat()
}

fn adobe(transform: u8) -> Vec<u8> {
    segment(0xEE, &[b"Adobe\0\x64\0\0\0\0".as_slice(), &[transform]].concat())
}

/// The light left by the inks at this place, in a picture without black ink.
fn light(x: usize, y: usize) -> [u8; 4] {
    let shade = |value: usize| u8::try_from(value).unwrap();
    [shade(x * 16), shade(y * 12 + 20), shade((x + y) * 8), 255]
}

fn mirrored(x: usize, y: usize) -> [u8; 4] {
    light(15 - x, y)
}

/// The inks as Adobe's YCCK stores them.
fn ycck([red, green, blue, black]: [u8; 4]) -> [u8; 4] {
    let [red, green, blue] = [red, green, blue].map(|light| i32::from(u8::MAX - light));
    let luma = (299 * red + 587 * green + 114 * blue) / 1000;
    let stored = [luma, 128 + (blue - luma) * 1000 / 1772, 128 + (red - luma) * 1000 / 1402];
    let [luma, blueness, redness] = stored.map(|value| u8::try_from(value.clamp(0, 255)).unwrap());
    [luma, blueness, redness, black]
}

pub(super) fn failed(original: &[u8], result: &[u8]) -> Vec<Check> {
    match checked(original, result) {
        Ok(_) => Vec::new(),
        Err(BadResult::Differs(differences)) => {
            differences.iter().map(|difference| difference.check).collect()
        }
        Err(bad) => panic!("{bad}"),
    }
}

#[test]
fn inks_show_the_light_that_they_leave_however_they_are_stored() {
    let colours = image::RgbImage::from_fn(128, 128, |x, y| {
        let [red, green, blue, _] = light(x as usize / 8, y as usize / 8);
        image::Rgb([red, green, blue])
    });
    let colours = encoded(&colours, 95);
    let inks = |x, y| light(x, y).map(|light| u8::MAX - light);
    let stored =
        [blocks(&[&adobe(0)], light), blocks(&[&adobe(2)], |x, y| ycck(light(x, y))), blocks(&[], inks)];
    for (number, stored) in stored.iter().enumerate() {
        let similarity = similarity(&colours, stored);
        assert!(similarity > 0.99, "{number}: {similarity}");
    }
}

#[test]
fn another_picture_is_found_in_inks_without_black() {
    let original = blocks(&[&adobe(0)], light);
    for other in [blocks(&[&adobe(0)], mirrored), blocks(&[&adobe(0)], |_, _| [255; 4])] {
        assert_eq!(failed(&original, &other), [Check::SamePicture]);
    }
}

#[test]
fn inks_that_lost_the_segment_by_which_they_are_inverted_are_a_negative() {
    let (original, result) = (blocks(&[&adobe(0)], light), blocks(&[], light));
    assert_eq!(failed(&original, &result), [Check::SamePicture]);
}

#[test]
fn bytes_between_segments_are_stepped_over() {
    let adobe = adobe(0);
    let clean = blocks(&[&adobe], light);
    for junk in [&b"junk\0"[..], b"\xFF\0\0", b"\xFF\xFF"] {
        let original = blocks(&[&adobe, junk], light);
        assert_eq!(facts_of(&original).pixels, Some((128, 128)), "{junk:?}");
        assert_eq!(checked(&original, &clean), Ok(Vec::new()), "{junk:?}");
        assert_eq!(failed(&original, &blocks(&[&adobe], mirrored)), [Check::SamePicture], "{junk:?}");
    }
}

/// JFIF's segment with this density per inch.
fn jfif(density: u8) -> Vec<u8> {
    segment(0xE0, &[b"JFIF\0\x01\x01\x01\0".as_slice(), &[density, 0, density, 0, 0]].concat())
}

#[test]
fn a_resolution_may_be_stated_by_the_container_and_by_exif() {
    let mut exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x02".to_vec();
    for tag in [0x1A, 0x1B] {
        exif.extend([1, tag, 0, 5, 0, 0, 0, 1, 0, 0, 0, 38]);
    }
    exif.extend([0, 0, 0, 0, 0, 0, 1, 44, 0, 0, 0, 1]);
    let exif = segment(0xE1, &exif);
    let (two, later) = (blocks(&[&jfif(72), &exif], light), blocks(&[&exif], light));
    assert_eq!(failed(&two, &later), []);
    assert_eq!(failed(&two, &blocks(&[&jfif(72)], light)), []);
    assert_eq!(failed(&two, &blocks(&[&jfif(150)], light)), [Check::Dpi]);
    assert_eq!(failed(&blocks(&[&jfif(1), &exif], light), &blocks(&[&jfif(72)], light)), [Check::Dpi]);
    assert_eq!(failed(&blocks(&[&jfif(1)], light), &blocks(&[], light)), []);
}

fn not_checked(original: &[u8], result: &[u8]) -> Vec<String> {
    checked(original, result).unwrap().iter().map(Unchecked::to_string).collect()
}

#[test]
fn what_lies_behind_a_picture_and_is_lost_is_said() {
    let adobe = adobe(0);
    let alone = blocks(&[&adobe], light);
    let second = blocks(&[], mirrored);
    let by_xmp = segment(
        0xE1,
        b"http://ns.adobe.com/xap/1.0/\0<x xmlns:hdrgm='http://ns.adobe.com/hdr-gain-map/1.0/'/>",
    );
    let by_iso = segment(0xE2, b"urn:iso:std:iso:ts:21496:-1\0");
    let film = file(Format::Mp4, 1, 0, 0);
    let samsung = [b"\0\0\x30\x0A\x10\0\0\0MotionPhoto_Data", film.as_slice()].concat();
    let table = [
        (second.clone(), "second picture"),
        ([&[0; 700][..], &second].concat(), "second picture"),
        (blocks(&[&by_xmp], light), "gain map"),
        (blocks(&[&by_iso], light), "gain map"),
        (film.clone(), "film"),
        (samsung, "film"),
        ([blocks(&[&by_iso], light), film].concat(), "gain map and film"),
    ];
    for (behind, name) in table {
        let original = [alone.as_slice(), &behind].concat();
        let wanted = format!("check same_picture: the picture is the same, but the {name} behind it is lost");
        assert_eq!(not_checked(&original, &alone), [wanted]);
        let kept = [blocks(&[&adobe, b"x"], light), behind].concat();
        assert_eq!(checked(&original, &kept), Ok(Vec::new()), "{name}");
        assert_eq!(failed(&original, &blocks(&[&adobe], mirrored)), [Check::SamePicture], "{name}");
    }
    let trailer = [alone.as_slice(), b"AFCP and other data"].concat();
    assert_eq!(checked(&trailer, &alone), Ok(Vec::new()));
}

#[test]
fn twelve_bits_and_arithmetic_coding_are_said_not_to_be_checked() {
    let file = |level: u8, change: fn(&mut [u8])| {
        let mut file = blocks(&[], |_, _| [level]);
        let frame = file.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
        change(&mut file[frame..]);
        file
    };
    let changes: [fn(&mut [u8]); 2] = [|frame| (frame[1], frame[4]) = (0xC1, 12), |frame| frame[1] = 0xC9];
    for change in changes {
        let unchecked = checked(&file(30, change), &file(220, change)).unwrap();
        let found: Vec<_> = unchecked.iter().map(|unchecked| unchecked.check).collect();
        assert_eq!(found, [Check::SamePicture], "{unchecked:?}");
    }
}
