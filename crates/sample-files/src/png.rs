//! PNG with its metadata chunks.

use image::DynamicImage;
use image::codecs::png::PngEncoder;

use super::metadata::{DPI, Segments};

const XMP: &[u8] = b"XML:com.adobe.xmp\0\0\0\0\0";
const ICC: &[u8] = b"profile\0\0";
/// Length of signature and header chunk; the metadata follows.
const HEAD: usize = 8 + 25;

pub(super) fn encode(picture: &DynamicImage, segments: &Segments) -> Vec<u8> {
    let mut plain = Vec::new();
    let _ = picture.write_with_encoder(PngEncoder::new(&mut plain));
    let mut file = plain.get(..HEAD).unwrap_or_default().to_vec();
    if !segments.icc.is_empty() {
        file.extend(chunk(b"iCCP", &[ICC, &stored(&segments.icc)].concat()));
    }
    let dots = (f64::from(DPI) / 0.0254).round() as u32;
    file.extend(chunk(b"pHYs", &[&dots.to_be_bytes()[..], &dots.to_be_bytes(), &[1]].concat()));
    if !segments.exif.is_empty() {
        file.extend(chunk(b"eXIf", &segments.exif));
    }
    if !segments.xmp.is_empty() {
        file.extend(chunk(b"iTXt", &[XMP, &segments.xmp].concat()));
    }
    file.extend(plain.get(HEAD..).unwrap_or_default());
    file
}

/// Reads the segments back.
pub(super) fn segments(file: &[u8]) -> Segments {
    let mut segments = Segments::default();
    let mut rest = file.get(8..).unwrap_or_default();
    while rest.len() >= 12 {
        let length = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
        let content = rest.get(8..8 + length).unwrap_or_default();
        match &rest[4..8] {
            b"iCCP" => segments.icc = unstored(content.get(ICC.len()..).unwrap_or_default()),
            b"eXIf" => segments.exif = content.to_vec(),
            b"iTXt" => segments.xmp = content.get(XMP.len()..).unwrap_or_default().to_vec(),
            _ => {}
        }
        rest = rest.get(12 + length..).unwrap_or_default();
    }
    segments
}

fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let mut chunk = (content.len() as u32).to_be_bytes().to_vec();
    let named = [name.as_slice(), content].concat();
    chunk.extend(&named);
    chunk.extend(crc32fast::hash(&named).to_be_bytes());
    chunk
}

/// A zlib stream with one stored block: a profile of 132 bytes needs no compression.
fn stored(content: &[u8]) -> Vec<u8> {
    let length = content.len() as u16;
    let mut stream = vec![0x78, 0x01, 0x01];
    stream.extend(length.to_le_bytes());
    stream.extend((!length).to_le_bytes());
    stream.extend(content);
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in content {
        low = (low + u32::from(*byte)) % 65521;
        high = (high + low) % 65521;
    }
    stream.extend((high << 16 | low).to_be_bytes());
    stream
}

fn unstored(stream: &[u8]) -> Vec<u8> {
    let end = stream.len().saturating_sub(4);
    stream.get(7..end).unwrap_or_default().to_vec()
}
