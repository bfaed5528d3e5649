//! The same values are other colours in another colour model or with another gamma.

use tiff::encoder::{TiffEncoder, colortype};

use super::*;

/// A PNG with this chunk after its header.
fn with_chunk(name: &[u8], content: &[u8]) -> Vec<u8> {
    let plain = png(&painting(40, 30).into());
    let chunk = [name, content].concat();
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    let checksum = crc32fast::hash(&chunk).to_be_bytes();
    [&plain[..33], &length, &chunk, &checksum, &plain[33..]].concat()
}

#[test]
fn a_gamma_or_code_point_that_changes_the_colours_may_not_be_lost() {
    let plain = png(&painting(40, 30).into());
    let gamma = |value: u32| with_chunk(b"gAMA", &value.to_be_bytes());
    for stated in [gamma(100_000), with_chunk(b"cICP", &[9, 16, 0, 1])] {
        assert_eq!(verdict(&stated, &plain).0, [Check::IccProfile]);
        assert_eq!(verdict(&plain, &stated).0, [Check::IccProfile]);
    }
    // What viewers assume anyway.
    assert!(accepted(&gamma(45_455), &plain));
}

#[test]
fn a_picture_keeps_its_colour_model() {
    let file = |picture: &DynamicImage, format| {
        let mut file = Cursor::new(Vec::new());
        picture.write_to(&mut file, format).unwrap();
        file.into_inner()
    };
    let grey = DynamicImage::from(DynamicImage::from(painting(40, 30)).into_luma8());
    let coloured = DynamicImage::from(grey.to_rgb8());
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Tiff] {
        let failed = verdict(&file(&grey, format), &file(&coloured, format)).0;
        assert_eq!(failed, [Check::IccProfile], "{format:?}");
    }
    let mut inks = Cursor::new(Vec::new());
    let pixels = grey.to_luma8().iter().flat_map(|level| [0, 0, 0, 255 - level]).collect::<Vec<_>>();
    TiffEncoder::new(&mut inks).unwrap().write_image::<colortype::CMYK8>(40, 30, &pixels).unwrap();
    assert_eq!(verdict(inks.get_ref(), &file(&coloured, ImageFormat::Tiff)).0, [Check::IccProfile]);
}

#[test]
fn a_colour_cast_is_found_and_a_faint_change_of_all_pixels_is_not() {
    let with_red = |change: fn(u8) -> u8| {
        let mut picture = painting(320, 240);
        picture.pixels_mut().for_each(|pixel| pixel.0[0] = change(pixel.0[0]));
        png(&picture.into())
    };
    let original = with_red(|red| red);
    assert!(accepted(&original, &with_red(|red| red.saturating_add(3))));
    assert_eq!(verdict(&original, &with_red(|red| red - red / 10)).0, [Check::SamePicture]);
}
