//! Forms of TIFF that the decoder does not support: palettes, Lab, 12 bits, subsampled colours, other floats.

use super::*;

const SIZE: (u16, u16) = (45, 30);

/// A TIFF of one strip, with these tags of SHORTs, in order, and these stored pixels.
fn tiff(is_little: bool, tags: &[(u16, Vec<u16>)], pixels: &[u8]) -> Vec<u8> {
    let short = |value: u16| if is_little { value.to_le_bytes() } else { value.to_be_bytes() };
    let long = |value: u32| if is_little { value.to_le_bytes() } else { value.to_be_bytes() };
    let length = u32::try_from(pixels.len()).unwrap();
    let mut all: Vec<_> = tags.to_vec();
    all.extend([(256, vec![SIZE.0]), (257, vec![SIZE.1]), (259, vec![1]), (278, vec![SIZE.1])]);
    all.extend([(273, Vec::new()), (279, Vec::new())]);
    all.sort();
    let mut behind = 8 + 2 + u32::try_from(all.len()).unwrap() * 12 + 4;
    let pixels_at =
        behind + all.iter().map(|(_, values)| u32::try_from(values.len()).unwrap() * 2).sum::<u32>();
    let (mut entries, mut values_behind) = (Vec::new(), Vec::new());
    for (tag, values) in &all {
        let bytes: Vec<u8> = values.iter().flat_map(|value| short(*value)).collect();
        let (kind, count, mut value) = match tag {
            273 => (4, 1, long(pixels_at).to_vec()),
            279 => (4, 1, long(length).to_vec()),
            _ if bytes.len() <= 4 => (3, values.len(), bytes.clone()),
            _ => (3, values.len(), long(behind).to_vec()),
        };
        value.resize(4, 0);
        let count = u32::try_from(count).unwrap();
        entries.push([&short(*tag)[..], &short(kind), &long(count), &value].concat());
        // Values that fit into the entry get space here too; it stays unused.
        values_behind.extend(&bytes);
        behind += u32::try_from(bytes.len()).unwrap();
    }
    let start = if is_little { b"II*\0" } else { b"MM\0*" };
    let count = u16::try_from(entries.len()).unwrap();
    [&start[..], &long(8), &short(count), &entries.concat(), &[0; 4], &values_behind, pixels].concat()
}

fn bright(x: u16, y: u16) -> bool {
    x < 20 || y > 20
}

fn each(pixel: impl Fn(u16, u16) -> Vec<u8>) -> Vec<u8> {
    (0..SIZE.1).flat_map(|y| (0..SIZE.0).map(move |x| (x, y))).flat_map(|(x, y)| pixel(x, y)).collect()
}

type Shown<'a> = &'a dyn Fn(u16, u16) -> bool;

/// Rows of samples of this many bits; each row begins at a byte boundary.
fn packed(bits: u32, sample: impl Fn(u16, u16) -> Vec<u32>) -> Vec<u8> {
    let mut packed = Vec::new();
    for y in 0..SIZE.1 {
        let all: Vec<u32> = (0..SIZE.0).flat_map(|x| sample(x, y)).collect();
        let row: Vec<bool> =
            all.iter().flat_map(|sample| (0..bits).rev().map(move |bit| sample >> bit & 1 == 1)).collect();
        let byte =
            |byte: &[bool]| (0..8).map(|at| u8::from(byte.get(at) == Some(&true)) << (7 - at)).sum::<u8>();
        packed.extend(row.chunks(8).map(byte));
    }
    packed
}

/// Blocks of brightness values with two colour differences; the last column and row extend over the edge.
fn blocks(across: u16, down: u16, shown: Shown<'_>) -> Vec<u8> {
    let mut file = Vec::new();
    for top in (0..SIZE.1).step_by(down.into()) {
        for left in (0..SIZE.0).step_by(across.into()) {
            for (x, y) in (0..down).flat_map(|y| (0..across).map(move |x| (left + x, top + y))) {
                file.push(if shown(x.min(SIZE.0 - 1), y.min(SIZE.1 - 1)) { 200 } else { 30 });
            }
            file.extend([if bright(left, top) { 90 } else { 170 }, 128]);
        }
    }
    file
}

fn palette(bits: u16, scale: u16, shown: Shown<'_>) -> Vec<u8> {
    let most = (1_u32 << bits) - 1;
    // The first colour is black, the last one bright red.
    let mut map = vec![0; 3 << bits];
    map[most as usize] = 250 * scale;
    map[0] = 10 * scale;
    let pixels = packed(bits.into(), |x, y| vec![if shown(x, y) { most } else { 0 }]);
    tiff(true, &[(258, vec![bits]), (262, vec![3]), (277, vec![1]), (320, map)], &pixels)
}

fn lab(kind: u16, bits: u16, shown: Shown<'_>) -> Vec<u8> {
    // The same brightness everywhere; only the colours differ, by a little around the change of sign.
    let [one, other] = if kind == 8 { [0xE0, 0x20] } else { [0x60, 0xA0] };
    let wide = |value: u8| if bits == 8 { vec![value] } else { vec![0, value] };
    let pixels = each(|x, y| {
        let colour = if shown(x, y) { one } else { other };
        [wide(120), wide(colour), wide(colour)].concat()
    });
    tiff(true, &[(258, vec![bits; 3]), (262, vec![kind]), (277, vec![3])], &pixels)
}

fn twelve(photometric: u16, samples: u16, is_little: bool, shown: Shown<'_>) -> Vec<u8> {
    let pixels = packed(12, |x, y| vec![if shown(x, y) { 0xF12 } else { 0x123 }; samples.into()]);
    let tags =
        [(258, vec![12; samples.into()]), (262, vec![photometric]), (277, vec![samples]), (284, vec![1])];
    tiff(is_little, &tags, &pixels)
}

fn subsampled(stated: Option<[u16; 2]>, shown: Shown<'_>) -> Vec<u8> {
    let [across, down] = stated.unwrap_or([2, 2]);
    let mut tags = vec![(258, vec![8; 3]), (262, vec![6]), (277, vec![3])];
    tags.extend(stated.map(|stated| (530, stated.to_vec())));
    tiff(true, &tags, &blocks(across, down, shown))
}

fn floats(bits: u16, shown: Shown<'_>) -> Vec<u8> {
    // Nearly one and nearly zero, in both float formats.
    let pixels = each(|x, y| match (bits, shown(x, y)) {
        (16, true) => vec![0x00, 0x3B],
        (16, false) => vec![0x00, 0x20],
        (_, true) => 0.9_f64.to_le_bytes().to_vec(),
        (_, false) => 0.01_f64.to_le_bytes().to_vec(),
    });
    tiff(true, &[(258, vec![bits]), (262, vec![1]), (277, vec![1]), (339, vec![3])], &pixels)
}

#[test]
fn another_picture_is_found_in_every_form_of_tiff() {
    type Making<'a> = &'a dyn Fn(Shown<'_>) -> Vec<u8>;
    let forms: [(&str, Making); 21] = [
        ("palette of 256", &|shown| palette(8, 257, shown)),
        ("palette of 256 in eight bits", &|shown| palette(8, 1, shown)),
        ("palette of 16", &|shown| palette(4, 257, shown)),
        ("palette of 4", &|shown| palette(2, 257, shown)),
        ("palette of 2", &|shown| palette(1, 257, shown)),
        ("CIE Lab", &|shown| lab(8, 8, shown)),
        ("CIE Lab, 16 bits", &|shown| lab(8, 16, shown)),
        ("ICC Lab", &|shown| lab(9, 8, shown)),
        ("ICC Lab, 16 bits", &|shown| lab(9, 16, shown)),
        ("12 bits grey", &|shown| twelve(1, 1, true, shown)),
        ("12 bits grey, white is 0", &|shown| twelve(0, 1, true, shown)),
        ("12 bits grey, big-endian", &|shown| twelve(1, 1, false, shown)),
        ("12 bits RGB", &|shown| twelve(2, 3, true, shown)),
        ("12 bits CMYK", &|shown| twelve(5, 4, true, shown)),
        ("subsampled, not stated", &|shown| subsampled(None, shown)),
        ("subsampled 2 × 2", &|shown| subsampled(Some([2, 2]), shown)),
        ("subsampled 2 × 1", &|shown| subsampled(Some([2, 1]), shown)),
        ("subsampled 4 × 4", &|shown| subsampled(Some([4, 4]), shown)),
        ("subsampled 4 × 1", &|shown| subsampled(Some([4, 1]), shown)),
        ("floats of 16 bits", &|shown| floats(16, shown)),
        ("floats of 64 bits", &|shown| floats(64, shown)),
    ];
    for (form, file) in forms {
        let original = file(&bright);
        let almost = file(&|x, y| bright(x, y) && (x, y) != (3, 3));
        assert_eq!(verdict(&original, &almost), (Vec::new(), Vec::new()), "{form}");
        for other in [file(&|x, y| !bright(x, y)), file(&|x, y| bright(SIZE.0 - 1 - x, y))] {
            assert_eq!(verdict(&original, &other).0, [Check::SamePicture], "{form}");
        }
    }
}

#[test]
fn a_form_shows_what_the_usual_one_shows() {
    let usual = |pixel: fn(bool) -> [u8; 3]| {
        let pixels = each(|x, y| pixel(bright(x, y)).to_vec());
        tiff(true, &[(258, vec![8; 3]), (262, vec![2]), (277, vec![3])], &pixels)
    };
    let reds = usual(|is_bright| [if is_bright { 250 } else { 10 }, 0, 0]);
    assert!(accepted_but_for_depth(&reds, &palette(8, 257, &bright)));
    assert!(accepted_but_for_depth(&reds, &palette(4, 257, &bright)));
    let greys = usual(|is_bright| [if is_bright { 0xF1 } else { 0x12 }; 3]);
    assert!(accepted_but_for_depth(&greys, &twelve(2, 3, true, &bright)));
}

#[test]
fn colours_of_lab_that_are_nearly_none_are_alike_on_both_sides_of_it() {
    let greys = |around: [u8; 2]| {
        let pixels = each(|x, y| {
            let light = if bright(x, y) { 250 } else { 10 };
            vec![light, around[usize::from(x % 2)], around[usize::from(y % 2)]]
        });
        tiff(true, &[(258, vec![8; 3]), (262, vec![8]), (277, vec![3])], &pixels)
    };
    assert!(accepted(&greys([0, 0]), &greys([0x01, 0xFF])));
}

/// Accepted, apart from the bit depth, which has its own check.
fn accepted_but_for_depth(left: &[u8], right: &[u8]) -> bool {
    verdict(left, right).0.iter().all(|check| *check == Check::BitDepth)
}

#[test]
fn forms_that_are_not_known_are_said_not_to_be_checked() {
    // A predictor over 12-bit samples, and a block size that the standard does not have.
    let bits = [(258, vec![12]), (262, vec![1]), (277, vec![1]), (317, vec![2])];
    let predicted = |value: u8| tiff(true, &bits, &vec![value; 68 * 30]);
    let blocks = |value| {
        let tags = [(258, vec![8; 3]), (262, vec![6]), (277, vec![3]), (530, vec![3, 1])];
        tiff(true, &tags, &vec![value; 45 * 30 * 3])
    };
    for [original, result] in [[predicted(9), predicted(200)], [blocks(9), blocks(200)]] {
        assert_eq!(verdict(&original, &result), (Vec::new(), vec![Check::SamePicture]));
    }
}
