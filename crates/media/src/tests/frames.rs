//! Animations keep their frames, and multi-page files their pages.

use std::io::Cursor;

use image::codecs::gif::GifEncoder;
use image::{Frame, ImageFormat};
use tiff::encoder::{TiffEncoder, colortype};

use super::*;

fn gif(frames: usize) -> Vec<u8> {
    let mut file = Vec::new();
    GifEncoder::new(&mut file).encode_frames((0..frames).map(|_| Frame::new(painting(40, 30)))).unwrap();
    file
}

fn apng(frames: u32) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 40, 30);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_animated(frames, 0).unwrap();
    let mut writer = encoder.write_header().unwrap();
    (0..frames).for_each(|_| writer.write_image_data(&painting(40, 30)).unwrap());
    writer.finish().unwrap();
    file
}

/// An animated WebP with the same still picture in each frame; no encoder here writes animations.
fn webp(frames: usize) -> Vec<u8> {
    let mut still = Cursor::new(Vec::new());
    painting(40, 30).write_to(&mut still, ImageFormat::WebP).unwrap();
    let picture = &still.get_ref()[12..];
    let chunk = |name: &[u8], content: &[u8]| {
        [name, &u32::try_from(content.len()).unwrap().to_le_bytes(), content].concat()
    };
    // Left, top, width - 1, height - 1, duration, flags.
    let place = [0, 0, 0, 0, 0, 0, 39, 0, 0, 29, 0, 0, 100, 0, 0, 0];
    let mut body = b"WEBP".to_vec();
    body.extend(chunk(b"VP8X", &[0b10, 0, 0, 0, 39, 0, 0, 29, 0, 0]));
    body.extend(chunk(b"ANIM", &[0; 6]));
    (0..frames).for_each(|_| body.extend(chunk(b"ANMF", &[&place[..], picture].concat())));
    chunk(b"RIFF", &body)
}

fn tiff(pages: usize, width: u32) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).unwrap();
    let pixels = image::DynamicImage::from(painting(width, 30)).into_rgb8();
    (0..pages).for_each(|_| encoder.write_image::<colortype::RGB8>(width, 30, &pixels).unwrap());
    file.into_inner()
}

#[test]
fn an_animation_that_lost_pictures_and_a_document_that_lost_pages_are_found() {
    type Making<'a> = &'a dyn Fn(usize) -> Vec<u8>;
    let files: [(&str, Making); 4] = [
        ("GIF", &gif),
        ("APNG", &|frames| apng(u32::try_from(frames).unwrap())),
        ("WebP", &webp),
        ("TIFF", &|pages| tiff(pages, 40)),
    ];
    for (name, file) in files {
        assert_eq!(verdict(&file(5), &file(1)), (vec![Check::Pages], Vec::new()), "{name}");
        assert_eq!(verdict(&file(5), &file(4)), (vec![Check::Pages], Vec::new()), "{name}");
        let mut same = file(5);
        same.push(0);
        assert!(accepted(&file(5), &same), "{name}");
    }
}

#[test]
fn a_thumbnail_in_a_tiff_is_no_page() {
    let mut file = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).unwrap();
    let pixels = image::DynamicImage::from(painting(40, 30)).into_rgb8();
    encoder.write_image::<colortype::RGB8>(40, 30, &pixels).unwrap();
    let mut small = encoder.new_image::<colortype::RGB8>(40, 30).unwrap();
    small.encoder().write_tag(tiff::tags::Tag::NewSubfileType, 1_u32).unwrap();
    small.write_data(&pixels).unwrap();
    assert!(accepted(&file.into_inner(), &tiff(1, 40)));
}

#[test]
fn pages_that_follow_each_other_in_a_circle_are_not_counted_for_ever() {
    let mut file = tiff(1, 40);
    let first = u32::from_le_bytes(file[4..8].try_into().unwrap()) as usize;
    let entries = usize::from(u16::from_le_bytes(file[first..first + 2].try_into().unwrap()));
    let next = first + 2 + entries * 12;
    file.copy_within(4..8, next);
    let (failed, unchecked) = verdict(&file, &tiff(1, 40));
    assert!(failed.is_empty() && unchecked.contains(&Check::Pages), "{failed:?} {unchecked:?}");
}
