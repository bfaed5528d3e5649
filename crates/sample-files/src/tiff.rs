//! Uncompressed TIFF of any size, with its directory before the pixels.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use image::RgbImage;
use rand::{RngExt, SeedableRng};

use super::metadata::{self, DPI, Segments, entry};

/// Offset of the pixels.
pub(super) const PIXELS_AT: u64 = 4096;

/// Width of the large files, in pixels.
const WIDTH: u32 = 8192;

/// Number of strips of the striped files; the offsets of more would not fit before the pixels.
const STRIPS: u32 = 128;

pub(super) fn encode(picture: &RgbImage, seed: u64) -> Vec<u8> {
    let mut file = head(picture.width(), picture.height(), 1, seed);
    file.extend(picture.as_raw());
    file
}

/// Writes a TIFF of about this many bytes in one strip, without holding it in memory; all but its first pixels are black.
pub fn write_large(path: &Path, seed: u64, bytes: u64) -> io::Result<()> {
    let height = rows(bytes)?;
    let mut file = File::create(path)?;
    file.write_all(&head(WIDTH, height, 1, seed))?;
    file.write_all(&seed.to_le_bytes())?;
    // The rest is black, as a hole in the file.
    file.set_len(PIXELS_AT + pixels(WIDTH, height))
}

/// Writes a TIFF of about this many bytes, below 4 GiB, in many strips, without holding it in memory; its pixels are noise.
pub fn write_striped(path: &Path, seed: u64, bytes: u64) -> io::Result<()> {
    let height = rows(bytes)?;
    let mut noise = vec![0; 1 << 20];
    rand::rngs::StdRng::seed_from_u64(seed).fill(&mut noise[..]);
    let mut file = File::create(path)?;
    file.write_all(&head(WIDTH, height, STRIPS, seed))?;
    let mut left = usize::try_from(pixels(WIDTH, height)).map_err(io::Error::other)?;
    while left > 0 {
        let piece = left.min(noise.len());
        file.write_all(&noise[..piece])?;
        left -= piece;
    }
    Ok(())
}

fn rows(bytes: u64) -> io::Result<u32> {
    let rows = bytes.saturating_sub(PIXELS_AT) / (u64::from(WIDTH) * 3);
    u32::try_from(rows.max(1)).map_err(io::Error::other)
}

/// Bytes of this many pixels.
fn pixels(width: u32, height: u32) -> u64 {
    u64::from(width) * u64::from(height) * 3
}

fn head(width: u32, height: u32, strips: u32, seed: u64) -> Vec<u8> {
    let Segments { exif, iptc, xmp, icc } = metadata::segments(seed);
    let credits = metadata::credits(seed);
    let bits = [8_u16.to_le_bytes(); 3].concat();
    let dpi = [DPI.to_le_bytes(), 1_u32.to_le_bytes()].concat();
    let [artist, rights] = [credits.artist, credits.rights].map(|text| [text.as_bytes(), &[0]].concat());
    let rows = height.div_ceil(strips);
    let starts = (0..height).step_by(rows as usize);
    let offsets: Vec<u8> =
        starts.clone().flat_map(|start| ((PIXELS_AT + pixels(width, start)) as u32).to_le_bytes()).collect();
    // The field cannot hold the length of a strip of 4 GiB or more.
    let length = |start| pixels(width, rows.min(height - start)).min(u64::from(u32::MAX)) as u32;
    let lengths: Vec<u8> = starts.flat_map(|start| length(start).to_le_bytes()).collect();
    let strips = (offsets.len() / 4) as u32;
    // Values that do not fit into an entry follow the directory, in this order.
    let values = [&bits, &dpi, &artist, &xmp, &rights, &iptc, &icc, &exif, &offsets, &lengths];
    let mut at = 8 + 2 + 20 * 12 + 4;
    let [bits_at, dpi_at, artist_at, xmp_at, rights_at, iptc_at, icc_at, exif_at, offsets_at, lengths_at] =
        values.map(|value| {
            let start = at;
            at += value.len() as u32;
            start
        });
    let length = |value: &[u8]| value.len() as u32;
    // A single number is in the entry itself.
    let strip = |values: &[u8], at: u32| match values.try_into() {
        Ok(only) => u32::from_le_bytes(only),
        Err(_) => at,
    };
    let entries = [
        entry(256, 4, 1, width),
        entry(257, 4, 1, height),
        entry(258, 3, 3, bits_at),
        entry(259, 3, 1, 1),
        entry(262, 3, 1, 2),
        entry(273, 4, strips, strip(&offsets, offsets_at)),
        entry(274, 3, 1, metadata::orientation(seed)),
        entry(277, 3, 1, 3),
        entry(278, 4, 1, rows),
        entry(279, 4, strips, strip(&lengths, lengths_at)),
        entry(282, 5, 1, dpi_at),
        entry(283, 5, 1, dpi_at),
        entry(296, 3, 1, 2),
        entry(315, 2, length(&artist), artist_at),
        entry(700, 1, length(&xmp), xmp_at),
        entry(33432, 2, length(&rights), rights_at),
        entry(33723, 7, length(&iptc), iptc_at),
        entry(34665, 4, 1, exif_at + 8),
        entry(34675, 7, length(&icc), icc_at),
        entry(50341, 7, length(&exif), exif_at),
    ];
    let mut head = b"II\x2a\0\x08\0\0\0".to_vec();
    head.extend((entries.len() as u16).to_le_bytes());
    head.extend(entries.concat());
    head.extend(0_u32.to_le_bytes());
    head.extend(values.into_iter().flatten());
    debug_assert!(head.len() <= PIXELS_AT as usize, "the directory runs into the pixels");
    head.resize(PIXELS_AT as usize, 0);
    head
}
