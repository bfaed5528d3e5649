//! Uncompressed TIFF, of any size: one strip, its directory in front.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use image::RgbImage;

use super::metadata::{self, DPI, Segments, entry};

/// Where the pixels of these files start.
pub(super) const PIXELS_AT: u64 = 4096;

pub(super) fn encode(picture: &RgbImage, seed: u64) -> Vec<u8> {
    let mut file = head(picture.width(), picture.height(), seed);
    file.extend(picture.as_raw());
    file
}

/// Writes a TIFF of about so many bytes without holding it; all but its first pixels are black.
pub fn write_large(path: &Path, seed: u64, bytes: u64) -> io::Result<()> {
    let width = 8192_u32;
    let height = u32::try_from((bytes.saturating_sub(PIXELS_AT) / (u64::from(width) * 3)).max(1))
        .map_err(io::Error::other)?;
    let mut file = File::create(path)?;
    file.write_all(&head(width, height, seed))?;
    file.write_all(&seed.to_le_bytes())?;
    // The rest is black, and takes no space on most disks.
    file.set_len(PIXELS_AT + u64::from(width) * u64::from(height) * 3)
}

fn head(width: u32, height: u32, seed: u64) -> Vec<u8> {
    let Segments { exif, iptc, xmp, icc } = metadata::segments(seed);
    let credits = metadata::credits(seed);
    let bits = [8_u16.to_le_bytes(); 3].concat();
    let dpi = [DPI.to_le_bytes(), 1_u32.to_le_bytes()].concat();
    let [artist, rights] = [credits.artist, credits.rights].map(|text| [text.as_bytes(), &[0]].concat());
    let strip = u64::from(width) * u64::from(height) * 3;
    // What does not fit into an entry lies behind the directory, in this order.
    let values = [&bits, &dpi, &artist, &xmp, &rights, &iptc, &icc, &exif];
    let mut at = 8 + 2 + 20 * 12 + 4;
    let [bits_at, dpi_at, artist_at, xmp_at, rights_at, iptc_at, icc_at, exif_at] = values.map(|value| {
        let start = at;
        at += value.len() as u32;
        start
    });
    let length = |value: &[u8]| value.len() as u32;
    let entries = [
        entry(256, 4, 1, width),
        entry(257, 4, 1, height),
        entry(258, 3, 3, bits_at),
        entry(259, 3, 1, 1),
        entry(262, 3, 1, 2),
        entry(273, 4, 1, PIXELS_AT as u32),
        entry(274, 3, 1, metadata::orientation(seed)),
        entry(277, 3, 1, 3),
        entry(278, 4, 1, height),
        entry(279, 4, 1, strip.min(u64::from(u32::MAX)) as u32),
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
    head.resize(PIXELS_AT as usize, 0);
    head
}
