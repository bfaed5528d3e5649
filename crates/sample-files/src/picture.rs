//! A decoded picture with its metadata.

use image::{DynamicImage, ImageBuffer, Pixel};
use rand::{RngExt, SeedableRng};

use super::metadata::Segments;
use super::{Format, jpeg, png};

/// Pixels and metadata.
pub(super) struct Picture {
    pub(super) pixels: DynamicImage,
    pub(super) segments: Segments,
}

impl Picture {
    /// Reads a JPEG or a PNG; `None` if it cannot be decoded.
    pub(super) fn read(format: Format, file: &[u8]) -> Option<Self> {
        let segments = match format {
            Format::Jpeg => jpeg::segments(file),
            Format::Png => png::segments(file),
            Format::Tiff | Format::Mp4 | Format::Pdf | Format::Wav => return None,
        };
        Some(Self { pixels: image::load_from_memory(file).ok()?, segments })
    }

    /// Writes it as a PNG, or else as a JPEG, with its metadata.
    pub(super) fn write(&self, format: Format) -> Vec<u8> {
        if format == Format::Png {
            png::encode(&self.pixels, &self.segments)
        } else {
            jpeg::encode(&self.pixels.to_rgb8(), &self.segments)
        }
    }

    /// Slightly shifts the brightness of small blocks; the mark decides which blocks, and in which direction.
    pub(super) fn mark(&mut self, mark: u64) {
        match &mut self.pixels {
            DynamicImage::ImageRgba16(pixels) => shift(pixels, mark, |value, up| {
                if up { value.saturating_add(3 << 8) } else { value.saturating_sub(3 << 8) }
            }),
            other => {
                let mut pixels = other.to_rgb8();
                shift(
                    &mut pixels,
                    mark,
                    |value, up| {
                        if up { value.saturating_add(3) } else { value.saturating_sub(3) }
                    },
                );
                *other = pixels.into();
            }
        }
    }
}

fn shift<P: Pixel>(
    pixels: &mut ImageBuffer<P, Vec<P::Subpixel>>,
    mark: u64,
    change: fn(P::Subpixel, bool) -> P::Subpixel,
) {
    let mut random = rand::rngs::StdRng::seed_from_u64(mark);
    let (width, height) = pixels.dimensions();
    for _ in 0..64 {
        let (left, top) = (random.random_range(0..width), random.random_range(0..height));
        let up: bool = random.random();
        for (x, y) in
            (left..(left + 8).min(width)).flat_map(|x| (top..(top + 8).min(height)).map(move |y| (x, y)))
        {
            pixels.get_pixel_mut(x, y).apply_with_alpha(|value| change(value, up), |alpha| alpha);
        }
    }
}
