//! Another page of text is another picture, though both shrink to the same grey.

use common::content::{Content, Thumbnail, View};
use image::codecs::jpeg::JpegEncoder;
use sample_files::Format;

use super::*;
use crate::compare::of_details;

/// An A4 page at 150 dpi, with words that follow from the seed.
fn page(seed: u64) -> image::GrayImage {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut page = image::GrayImage::from_pixel(1240, 1754, image::Luma([250]));
    for line in 0..56 {
        let (top, mut left) = (120 + line * 27, 120);
        while left < 1100 {
            for _ in 0..2 + next(9) {
                // Letters differ in their strokes.
                let shape = 0x9E37_79B9_u64.wrapping_mul(next(26) + 3) >> 7;
                for (x, y) in (0..9_u32).flat_map(|x| (0..14_u32).map(move |y| (x, y))) {
                    if shape >> ((x / 3) + (y / 3) * 3) & 1 == 1 && left + x < 1120 {
                        page.put_pixel(left + x, top + y, image::Luma([20]));
                    }
                }
                left += 12;
            }
            left += 10;
        }
    }
    page
}

fn noisy(page: &image::GrayImage, most: u8, seed: u32) -> image::GrayImage {
    let mut state = seed | 1;
    let mut page = page.clone();
    for pixel in page.pixels_mut() {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let noise = i32::try_from(state % (2 * u32::from(most) + 1)).unwrap() - i32::from(most);
        pixel.0[0] = u8::try_from((i32::from(pixel.0[0]) + noise).clamp(0, 255)).unwrap();
    }
    page
}

fn jpeg(picture: &DynamicImage, quality: u8) -> Vec<u8> {
    let mut file = Vec::new();
    picture.write_with_encoder(JpegEncoder::new_with_quality(&mut file, quality)).unwrap();
    file
}

fn thumbnail(file: &[u8]) -> Thumbnail {
    match facts(file).content.as_deref() {
        Some(Content::Picture(picture)) => match &picture.view {
            Some(View::Thumbnail(thumbnail)) => thumbnail.clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_threshold_of_details_lies_between_compression_with_noise_and_another_page() {
    let alike = |left: &[u8], right: &[u8]| of_details(&thumbnail(left), &thumbnail(right));
    let (mut kept, mut other) = (1.0_f64, 0.0_f64);
    let original = page(1);
    for quality in [60, 75, 95] {
        let file = jpeg(&original.clone().into(), 95);
        kept = kept.min(alike(&file, &jpeg(&noisy(&original, 3, 7).into(), quality)));
        let landscape = sample_files::file(Format::Jpeg, quality.into(), 640, 480);
        let grey = image::load_from_memory(&landscape).unwrap().into_luma8();
        let file = jpeg(&grey.clone().into(), 95);
        kept = kept.min(alike(&file, &jpeg(&noisy(&grey, 3, 7).into(), quality)));
        other = other
            .max(alike(&jpeg(&original.clone().into(), 95), &jpeg(&page(u64::from(quality)).into(), 95)));
    }
    println!("the same page or landscape: at least {kept:.3}; another page: at most {other:.3}");
    assert!(kept > 0.98 && other < 0.8, "{kept} {other}");
}

#[test]
fn another_page_of_text_is_found() {
    let (original, other) = (png(&page(1).into()), png(&page(2).into()));
    assert_eq!(verdict(&original, &other).0, [Check::SamePicture]);
    assert!(accepted(&original, &png(&noisy(&page(1), 3, 5).into())));
}

/// A blurred picture, with and without a watermark of blocks as large as the cells of the details.
#[test]
fn a_watermark_makes_no_details_where_a_picture_has_hardly_any() {
    let wave = |at: u32, length: f64| (f64::from(at) / length).sin();
    let block = |at: u32| at / 8 % 8;
    let picture = |strength: f64| {
        image::GrayImage::from_fn(512, 384, |x, y| {
            let is_lighter = 0x9E37_79B9_7F4A_7C15_u64 >> (block(y) * 8 + block(x)) & 1 == 1;
            let level = 120.0 + 50.0 * wave(x, 60.0) * wave(y, 50.0);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is from 67 to 173"
            )]
            image::Luma([(level + if is_lighter { strength } else { -strength }) as u8])
        })
    };
    let original = jpeg(&picture(0.0).into(), 95);
    for quality in [60, 80, 95] {
        let result = jpeg(&picture(3.0).into(), quality);
        assert!(accepted(&original, &result), "{quality}");
        assert!(of_details(&thumbnail(&original), &thumbnail(&result)) > 0.98, "{quality}");
    }
}
