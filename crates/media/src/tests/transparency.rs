//! Transparent pictures are compared on white and on black; a fully opaque alpha channel is no transparency.

use super::*;

/// A logo on a transparent background.
fn logo(level: u8, is_inside: impl Fn(u32, u32) -> bool) -> Vec<u8> {
    let picture = RgbaImage::from_fn(200, 200, |x, y| {
        let opacity = if is_inside(x, y) { 255 } else { 0 };
        Rgba([level, level, level, opacity])
    });
    png(&picture.into())
}

#[test]
fn a_logo_of_any_shade_on_a_transparent_ground_is_told_from_another_and_from_nothing() {
    for level in [0, 128, 255] {
        let original = logo(level, |x, _| x < 60);
        assert!(accepted(&original, &logo(level, |x, y| x < 60 && (x, y) != (3, 3))), "{level}");
        for other in [logo(level, |_, y| y < 60), logo(level, |x, y| (x, y) == (0, 0))] {
            assert_eq!(verdict(&original, &other).0, [Check::SamePicture], "{level}");
        }
    }
}

#[test]
fn only_a_pixel_that_shows_the_ground_is_transparency() {
    let opaque = DynamicImage::from(painting(40, 30));
    let plain = DynamicImage::from(opaque.to_rgb8());
    for format in [ImageFormat::Png, ImageFormat::WebP] {
        let file = |picture: &DynamicImage| {
            let mut file = Cursor::new(Vec::new());
            picture.write_to(&mut file, format).unwrap();
            file.into_inner()
        };
        let mut glass = painting(40, 30);
        glass.put_pixel(3, 3, Rgba([0, 0, 0, 254]));
        assert!(accepted(&file(&opaque), &file(&plain)), "{format:?}");
        assert_eq!(verdict(&file(&glass.into()), &file(&plain)).0, [Check::Alpha], "{format:?}");
    }
}
