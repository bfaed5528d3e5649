//! Uncompressed TIFF, of any size: one strip, its directory in front.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use image::RgbImage;

use super::metadata::{Segments, entry};

/// Where the pixels of these files start.
pub(super) const PIXELS_AT: u64 = 4096;

pub(super) fn encode(picture: &RgbImage, segments: &Segments) -> Vec<u8> {
    let mut file = head(picture.width(), picture.height(), segments);
    file.extend(picture.as_raw());
    file
}

/// Writes a TIFF of about so many bytes without holding it; all but its first pixels are black.
pub fn write_large(path: &Path, seed: u64, bytes: u64) -> io::Result<()> {
    let width = 8192_u32;
    let height = u32::try_from((bytes.saturating_sub(PIXELS_AT) / (u64::from(width) * 3)).max(1))
        .map_err(io::Error::other)?;
    let mut file = File::create(path)?;
    file.write_all(&head(width, height, &super::metadata::segments(seed)))?;
    file.write_all(&seed.to_le_bytes())?;
    // The rest is black, and takes no space on most disks.
    file.set_len(PIXELS_AT + u64::from(width) * u64::from(height) * 3)
}

fn head(width: u32, height: u32, segments: &Segments) -> Vec<u8> {
    let (exif, xmp, icc) = (&segments.exif, &segments.xmp, &segments.icc);
    // Copyright and artist are read back from the EXIF structure, which is a TIFF directory itself.
    let data_at = 8 + 2 + 14 * 12 + 4;
    let bits_at = data_at;
    let xmp_at = bits_at + 6;
    let icc_at = xmp_at + xmp.len() as u32;
    let exif_at = icc_at + icc.len() as u32;
    let strip = u64::from(width) * u64::from(height) * 3;
    let entries = [
        entry(256, 4, 1, width),
        entry(257, 4, 1, height),
        entry(258, 3, 3, bits_at),
        entry(259, 3, 1, 1),
        entry(262, 3, 1, 2),
        entry(273, 4, 1, PIXELS_AT as u32),
        entry(274, 3, 1, 1),
        entry(277, 3, 1, 3),
        entry(278, 4, 1, height),
        entry(279, 4, 1, strip.min(u64::from(u32::MAX)) as u32),
        entry(700, 1, xmp.len() as u32, xmp_at),
        entry(34665, 4, 1, exif_at + 8),
        entry(34675, 7, icc.len() as u32, icc_at),
        entry(50341, 7, exif.len() as u32, exif_at),
    ];
    let mut head = b"II\x2a\0\x08\0\0\0".to_vec();
    head.extend((entries.len() as u16).to_le_bytes());
    head.extend(entries.concat());
    head.extend(0_u32.to_le_bytes());
    head.extend([8, 0, 8, 0, 8, 0]);
    head.extend(xmp);
    head.extend(icc);
    head.extend(exif);
    head.resize(PIXELS_AT as usize, 0);
    head
}
