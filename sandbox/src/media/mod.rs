//! Pictures, films and documents that are really what they claim, and a watermark that really changes them.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::similar_names,
    clippy::trivially_copy_pass_by_ref,
    reason = "container formats have fields of fixed width and boxes named by four letters; all sizes here are made here"
)]

mod film;
mod jpeg;
mod metadata;
mod png;
mod tiff;
mod watermark;

#[cfg(test)]
mod tests;

use image::{Rgb, RgbImage};
use rand::{RngExt, SeedableRng};

pub use tiff::write_large;
pub use watermark::{Unsupported, watermark};

/// A kind of file the library holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JPEG with EXIF, XMP and ICC.
    Jpeg,
    /// PNG with eXIf, XMP and ICC.
    Png,
    /// Uncompressed TIFF with EXIF tags, XMP and ICC.
    Tiff,
    /// Motion JPEG in MP4.
    Mp4,
    /// A one-page PDF.
    Pdf,
    /// A sound file that nobody watermarks.
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

    /// The kind by a file's first bytes.
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

/// A file of this format; every seed gives other bytes.
pub fn file(format: Format, seed: u64, width: u32, height: u32) -> Vec<u8> {
    match format {
        Format::Jpeg => jpeg::encode(&painting(seed, width, height), &metadata::segments(seed)),
        Format::Png => png::encode(&painting(seed, width, height), &metadata::segments(seed)),
        Format::Tiff => tiff::encode(&painting(seed, width, height), &metadata::segments(seed)),
        Format::Mp4 => film::encode(seed),
        Format::Pdf => document(seed),
        Format::Wav => sound(seed),
    }
}

/// Something to look at: a sky, a sun and hills whose place and colour come from the seed.
pub(crate) fn painting(seed: u64, width: u32, height: u32) -> RgbImage {
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let sky: [f32; 3] = [random.random_range(60.0..200.0), random.random_range(90.0..200.0), 230.0];
    let hill: [f32; 3] = [40.0, random.random_range(90.0..170.0), random.random_range(30.0..110.0)];
    let (sun_x, sun_y) = (random.random_range(0.2..0.8_f32), random.random_range(0.12..0.4_f32));
    let waves: [(f32, f32); 3] =
        std::array::from_fn(|_| (random.random_range(2.0..9.0), random.random_range(0.0..6.3)));
    // Every seed must give other bytes, whatever the colours round to.
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

fn document(seed: u64) -> Vec<u8> {
    let page = format!("BT /F1 24 Tf 60 700 Td (Datasheet number {seed}) Tj ET");
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{page}\nendstream", page.len()),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    let mut pdf = b"%PDF-1.4\n".to_vec();
    let mut offsets = Vec::new();
    for (number, object) in (1..).zip(&objects) {
        offsets.push(pdf.len());
        pdf.extend(format!("{number} 0 obj\n{object}\nendobj\n").bytes());
    }
    let table = pdf.len();
    pdf.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).bytes());
    for offset in offsets {
        pdf.extend(format!("{offset:010} 00000 n \n").bytes());
    }
    let size = objects.len() + 1;
    pdf.extend(format!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n").bytes());
    pdf
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
