//! The metadata that every seeded picture carries: who made it, who owns it, how its colours are meant.

/// EXIF, XMP and ICC as they stand in any container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Segments {
    /// A TIFF structure with orientation, artist and copyright.
    pub(super) exif: Vec<u8>,
    /// An XMP packet.
    pub(super) xmp: Vec<u8>,
    /// An ICC profile.
    pub(super) icc: Vec<u8>,
}

pub(super) fn segments(seed: u64) -> Segments {
    let artist = format!("Jo Example {seed}");
    let rights = format!("(c) Example Studio {seed}");
    let xmp = format!(
        "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?><x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF \
         xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\"><rdf:Description rdf:about=\"\" \
         xmlns:dc=\"http://purl.org/dc/elements/1.1/\"><dc:rights><rdf:Alt><rdf:li xml:lang=\"x-default\">{rights}\
         </rdf:li></rdf:Alt></dc:rights><dc:creator><rdf:Seq><rdf:li>{artist}</rdf:li></rdf:Seq></dc:creator>\
         </rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end=\"w\"?>"
    );
    Segments { exif: exif(&artist, &rights), xmp: xmp.into_bytes(), icc: icc() }
}

fn exif(artist: &str, rights: &str) -> Vec<u8> {
    let texts = [(315_u16, artist), (33432, rights)];
    let mut directory = Vec::new();
    let mut data = Vec::new();
    let data_offset = 8 + 2 + 3 * 12 + 4;
    directory.extend(3_u16.to_le_bytes());
    directory.extend(entry(274, 3, 1, 1));
    for (tag, text) in texts {
        let offset = data_offset + data.len() as u32;
        directory.extend(entry(tag, 2, text.len() as u32 + 1, offset));
        data.extend(text.bytes());
        data.push(0);
    }
    directory.extend(0_u32.to_le_bytes());
    [b"II\x2a\0\x08\0\0\0".to_vec(), directory, data].concat()
}

/// One entry of a TIFF directory, little-endian.
pub(super) fn entry(tag: u16, kind: u16, count: u32, value: u32) -> Vec<u8> {
    let mut entry = Vec::with_capacity(12);
    entry.extend(tag.to_le_bytes());
    entry.extend(kind.to_le_bytes());
    entry.extend(count.to_le_bytes());
    entry.extend(value.to_le_bytes());
    entry
}

/// A display profile in its smallest form: the header, and a table without tags.
fn icc() -> Vec<u8> {
    let mut profile = vec![0; 132];
    profile[..4].copy_from_slice(&132_u32.to_be_bytes());
    profile[8] = 2;
    profile[12..24].copy_from_slice(b"mntrRGB XYZ ");
    profile[36..40].copy_from_slice(b"acsp");
    profile
}
