//! TIFF is decoded in every form that is common in practice.

use super::*;

/// An uncompressed little-endian TIFF with one strip per plane and only the tags that it needs.
fn tiff(
    photometric: u16,
    bits: u16,
    samples: u16,
    float: bool,
    stored: &[Vec<u8>],
    size: (u16, u16),
) -> Vec<u8> {
    let count = u32::try_from(stored.len()).unwrap();
    let tags = 11;
    // After the directory: bit depths; offsets and lengths if there are several planes; the pixels.
    let depths = 8 + 2 + tags * 12 + 4;
    let places = depths + u32::from(samples) * 4;
    let lengths = places + count * 4;
    let pixels = lengths + count * 4;
    let mut file = b"II*\0\x08\0\0\0".to_vec();
    file.extend(u16::try_from(tags).unwrap().to_le_bytes());
    let mut tag = |number: u16, kind: u16, count: u32, value: u32| {
        file.extend(number.to_le_bytes());
        file.extend(kind.to_le_bytes());
        file.extend(count.to_le_bytes());
        file.extend(value.to_le_bytes());
    };
    let length = u32::try_from(stored[0].len()).unwrap();
    let several = |one: u32, place: u32| if count == 1 { one } else { place };
    let depth = |value: u16, place: u32| match samples {
        1 => u32::from(value),
        2 => u32::from(value) << 16 | u32::from(value),
        _ => place,
    };
    tag(256, 3, 1, size.0.into());
    tag(257, 3, 1, size.1.into());
    tag(258, 3, samples.into(), depth(bits, depths));
    tag(259, 3, 1, 1);
    tag(262, 3, 1, photometric.into());
    tag(273, 4, count, several(pixels, places));
    tag(277, 3, 1, samples.into());
    tag(278, 3, 1, size.1.into());
    tag(279, 4, count, several(length, lengths));
    tag(284, 3, 1, if count == 1 { 1 } else { 2 });
    let format = if float { 3 } else { 1 };
    tag(339, 3, samples.into(), depth(format, depths + u32::from(samples) * 2));
    file.extend([0; 4]);
    for value in [bits, format] {
        (0..samples).for_each(|_| file.extend(value.to_le_bytes()));
    }
    (0..count).for_each(|plane| file.extend((pixels + plane * length).to_le_bytes()));
    (0..count).for_each(|_| file.extend(length.to_le_bytes()));
    file.extend(stored.concat());
    file
}

const SIZE: (u16, u16) = (44, 30);

fn bright(x: u16, y: u16) -> bool {
    x < 20 || y > 20
}

fn each(pixel: impl Fn(u16, u16) -> Vec<u8>) -> Vec<u8> {
    (0..SIZE.1).flat_map(|y| (0..SIZE.0).map(move |x| (x, y))).flat_map(|(x, y)| pixel(x, y)).collect()
}

/// Pixels with one value where the picture is bright, and another where it is dark.
fn two(bright_is: &[u8], dark_is: &[u8], is_bright: &dyn Fn(u16, u16) -> bool) -> Vec<u8> {
    each(|x, y| if is_bright(x, y) { bright_is } else { dark_is }.to_vec())
}

fn bits(is_set: &dyn Fn(u16, u16) -> bool) -> Vec<u8> {
    let row = |y: u16| {
        (0..SIZE.0.div_ceil(8))
            .map(move |byte| (0..8).map(|bit| u8::from(is_set(byte * 8 + bit, y)) << (7 - bit)).sum::<u8>())
    };
    (0..SIZE.1).flat_map(row).collect()
}

#[test]
fn another_picture_is_found_however_a_tiff_stores_it() {
    type Making<'a> = &'a dyn Fn(&dyn Fn(u16, u16) -> bool) -> Vec<u8>;
    let plane = |is_bright: &dyn Fn(u16, u16) -> bool| two(&[250], &[10], is_bright);
    let ways: [(&str, Making); 8] = [
        ("planes", &|shown| tiff(2, 8, 3, false, &[plane(&bright), plane(shown), plane(shown)], SIZE)),
        ("bits, black is 0", &|shown| tiff(1, 1, 1, false, &[bits(shown)], SIZE)),
        ("bits, white is 0", &|shown| tiff(0, 1, 1, false, &[bits(shown)], SIZE)),
        ("16 bits", &|shown| tiff(1, 16, 1, false, &[two(&[0, 250], &[0, 10], shown)], SIZE)),
        ("planes of 16 bits", &|shown| {
            let plane = || two(&[0, 250], &[0, 10], shown);
            tiff(2, 16, 3, false, &[plane(), plane(), plane()], SIZE)
        }),
        ("floats", &|shown| {
            let (bright, dark) = (0.9_f32.to_le_bytes(), 0.1_f32.to_le_bytes());
            tiff(1, 32, 1, true, &[two(&bright, &dark, shown)], SIZE)
        }),
        ("CMYK", &|shown| tiff(5, 8, 4, false, &[two(&[0, 0, 0, 9], &[0, 0, 0, 250], shown)], SIZE)),
        ("CMYK in planes", &|shown| {
            let ink = || two(&[5], &[200], shown);
            tiff(5, 8, 4, false, &[ink(), ink(), ink(), ink()], SIZE)
        }),
    ];
    for (way, file) in ways {
        let original = file(&bright);
        assert!(accepted(&original, &file(&|x, y| bright(x, y) && (x, y) != (3, 3))), "{way}");
        for other in [file(&|x, y| !bright(x, y)), file(&|_, _| false)] {
            assert_eq!(verdict(&original, &other).0, [Check::SamePicture], "{way}");
        }
    }
}
