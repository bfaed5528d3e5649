//! Genuine pictures, films and documents, and a watermark that really changes them.
//!
//! The sandbox fills its library with them, and tests and benchmarks take their files from here. [`file`] makes one;
//! [`watermark`] writes a marked copy, which a [`Defect`] can spoil.
//!
//! ```
//! use sample_files::{Format, file};
//!
//! let picture = file(Format::Png, 7, 40, 30);
//! assert_eq!(Format::detect(&picture), Some(Format::Png));
//! assert_ne!(picture, file(Format::Png, 8, 40, 30));
//! ```

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::similar_names,
    clippy::trivially_copy_pass_by_ref,
    reason = "container formats have fields of fixed width and boxes named by four letters; all sizes here are made here"
)]

mod defect;
mod document;
mod film;
mod jpeg;
mod metadata;
mod picture;
mod png;
mod tiff;
mod watermark;

#[cfg(test)]
mod tests;

use image::{DynamicImage, Rgb, RgbImage};
use rand::{RngExt, SeedableRng};

pub use defect::Defect;
pub use tiff::{write_large, write_striped};
pub use watermark::{Unsupported, watermark};

/// The file formats in the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JPEG with EXIF, IPTC, XMP and ICC.
    Jpeg,
    /// PNG with eXIf, XMP and ICC; every other one with 16 bits a channel and transparency.
    Png,
    /// Uncompressed TIFF with EXIF tags, IPTC, XMP and ICC.
    Tiff,
    /// Motion JPEG in MP4, with a sound track.
    Mp4,
    /// A PDF of two pages.
    Pdf,
    /// A sound file, which cannot be watermarked.
    Wav,
}

impl Format {
    /// The usual extension.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Tiff => "tif",
            Self::Mp4 => "mp4",
            Self::Pdf => "pdf",
            Self::Wav => "wav",
        }
    }

    /// Detects the format by a file's first bytes.
    pub fn detect(start: &[u8]) -> Option<Self> {
        match start {
            [0xFF, 0xD8, 0xFF, ..] => Some(Self::Jpeg),
            [0x89, b'P', b'N', b'G', ..] => Some(Self::Png),
            [b'I', b'I', 42, 0, ..] => Some(Self::Tiff),
            [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some(Self::Mp4),
            [b'%', b'P', b'D', b'F', ..] => Some(Self::Pdf),
            [b'R', b'I', b'F', b'F', ..] => Some(Self::Wav),
            _ => None,
        }
    }
}

/// Generates a file of this format; every seed gives other bytes.
pub fn file(format: Format, seed: u64, width: u32, height: u32) -> Vec<u8> {
    match format {
        Format::Jpeg => jpeg::encode(&painting(seed, width, height), &metadata::segments(seed)),
        Format::Png => png::encode(&glass(seed, width, height), &metadata::segments(seed)),
        Format::Tiff => tiff::encode(&painting(seed, width, height), seed),
        Format::Mp4 => film::encode(seed),
        Format::Pdf => document::encode(seed),
        Format::Wav => sound(seed),
    }
}

/// A landscape with a sky, a sun and hills; positions and colours follow from the seed.
fn painting(seed: u64, width: u32, height: u32) -> RgbImage {
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let sky: [f32; 3] = [random.random_range(60.0..200.0), random.random_range(90.0..200.0), 230.0];
    let hill: [f32; 3] = [40.0, random.random_range(90.0..170.0), random.random_range(30.0..110.0)];
    let (sun_x, sun_y) = (random.random_range(0.2..0.8_f32), random.random_range(0.12..0.4_f32));
    let waves: [(f32, f32); 3] =
        std::array::from_fn(|_| (random.random_range(2.0..9.0), random.random_range(0.0..6.3)));
    // The seed is part of the pixels, so that every seed gives other bytes however colours are rounded.
    let signature = seed.to_le_bytes();
    RgbImage::from_fn(width, height, |x, y| {
        let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
        let ridge =
            0.62 + waves.iter().map(|(frequency, phase)| (u * frequency + phase).sin() * 0.05).sum::<f32>();
        let sun = ((u - sun_x).powi(2) + (v - sun_y).powi(2)).sqrt();
        let colour = if v > ridge {
            hill.map(|channel| channel * (1.4 - v))
        } else if sun < 0.09 {
            [255.0, 240.0, 170.0]
        } else {
            sky.map(|channel| channel + (255.0 - channel) * v * 0.8)
        };
        let mut pixel = colour.map(|channel| channel.clamp(0.0, 255.0) as u8);
        if y < 8 && (8..16).contains(&x) {
            let bit = signature[y as usize] >> (x - 8) & 1;
            pixel = [if bit == 1 { 250 } else { 5 }; 3];
        }
        Rgb(pixel)
    })
}

/// A painting; every other one has 16 bits per channel and becomes transparent to the right.
fn glass(seed: u64, width: u32, height: u32) -> DynamicImage {
    let painting = DynamicImage::ImageRgb8(painting(seed, width, height));
    if seed.is_multiple_of(2) {
        return painting;
    }
    let mut glass = painting.to_rgba16();
    for (x, _, pixel) in glass.enumerate_pixels_mut() {
        pixel.0[3] = u16::MAX - (x * u32::from(u16::MAX / 2) / width) as u16;
    }
    glass.into()
}

fn sound(seed: u64) -> Vec<u8> {
    let samples: Vec<u8> = (0..4000_u64).map(|index| (index * (seed % 17 + 3) % 200) as u8).collect();
    let mut wav = b"RIFF".to_vec();
    wav.extend((36 + 8 + samples.len() as u32).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data");
    wav.extend((8 + samples.len() as u32).to_le_bytes());
    wav.extend(seed.to_le_bytes());
    wav.extend(samples);
    wav
}
