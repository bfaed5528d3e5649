//! JPEG with its application segments.

use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;

use super::metadata::Segments;

const EXIF: &[u8] = b"Exif\0\0";
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const ICC: &[u8] = b"ICC_PROFILE\0\x01\x01";
/// Photoshop's resource 0x0404 without a name; its length and content follow.
const IPTC: &[u8] = b"Photoshop 3.0\08BIM\x04\x04\0\0";

pub(super) fn encode(picture: &RgbImage, segments: &Segments) -> Vec<u8> {
    let mut plain = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut plain, 95);
    // Encoding to memory fails only for pictures without pixels.
    let _ = picture.write_with_encoder(encoder);
    let iptc = resource(&segments.iptc);
    let mut file = vec![0xFF, 0xD8];
    for (marker, header, content) in [
        (0xE1, EXIF, &segments.exif),
        (0xE1, XMP, &segments.xmp),
        (0xE2, ICC, &segments.icc),
        (0xED, IPTC, &iptc),
    ] {
        if content.is_empty() {
            continue;
        }
        file.extend([0xFF, marker]);
        file.extend(((2 + header.len() + content.len()) as u16).to_be_bytes());
        file.extend(header);
        file.extend(content);
    }
    file.extend(plain.get(2..).unwrap_or_default());
    file
}

/// Reads the segments back.
pub(super) fn segments(file: &[u8]) -> Segments {
    let mut segments = Segments::default();
    let mut rest = file.get(2..).unwrap_or_default();
    while let [0xFF, marker, high, low, ..] = *rest {
        let length = usize::from(u16::from_be_bytes([high, low]));
        let content = rest.get(4..2 + length).unwrap_or_default();
        match marker {
            0xE1 if content.starts_with(EXIF) => segments.exif = content[EXIF.len()..].to_vec(),
            0xE1 if content.starts_with(XMP) => segments.xmp = content[XMP.len()..].to_vec(),
            0xE2 if content.starts_with(ICC) => segments.icc = content[ICC.len()..].to_vec(),
            0xED if content.starts_with(IPTC) => segments.iptc = datasets(&content[IPTC.len()..]),
            0xDA => break,
            _ => {}
        }
        rest = rest.get(2 + length..).unwrap_or_default();
    }
    segments
}

/// A resource: the length, then the content, padded to an even length.
fn resource(datasets: &[u8]) -> Vec<u8> {
    if datasets.is_empty() {
        return Vec::new();
    }
    let mut resource = (datasets.len() as u32).to_be_bytes().to_vec();
    resource.extend(datasets);
    resource.resize(resource.len().next_multiple_of(2), 0);
    resource
}

fn datasets(resource: &[u8]) -> Vec<u8> {
    let Some((length, content)) = resource.split_first_chunk() else { return Vec::new() };
    content.get(..u32::from_be_bytes(*length) as usize).unwrap_or_default().to_vec()
}
