//! The metadata of every seeded picture: credits, orientation, resolution and profile.

/// Dots per inch of every seeded picture.
pub(super) const DPI: u32 = 300;

const ORIENTATION: u16 = 274;
const X_RESOLUTION: u16 = 282;
const Y_RESOLUTION: u16 = 283;
const RESOLUTION_UNIT: u16 = 296;
const ARTIST: u16 = 315;
const COPYRIGHT: u16 = 33432;

/// EXIF, IPTC, XMP and ICC, without a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Segments {
    /// A TIFF structure with orientation, resolution, artist and copyright.
    pub(super) exif: Vec<u8>,
    /// Datasets with by-line and copyright notice.
    pub(super) iptc: Vec<u8>,
    pub(super) xmp: Vec<u8>,
    pub(super) icc: Vec<u8>,
}

/// Who made a picture, and who owns it.
pub(super) struct Credits {
    pub(super) artist: String,
    pub(super) rights: String,
}

pub(super) fn credits(seed: u64) -> Credits {
    Credits { artist: format!("Jo Example {seed}"), rights: format!("(c) Example Studio {seed}") }
}

pub(super) fn segments(seed: u64) -> Segments {
    let Credits { artist, rights } = credits(seed);
    let xmp = format!(
        "<?xpacket begin=\"\u{feff}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?><x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF \
         xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\"><rdf:Description rdf:about=\"\" \
         xmlns:dc=\"http://purl.org/dc/elements/1.1/\"><dc:rights><rdf:Alt><rdf:li xml:lang=\"x-default\">{rights}\
         </rdf:li></rdf:Alt></dc:rights><dc:creator><rdf:Seq><rdf:li>{artist}</rdf:li></rdf:Seq></dc:creator>\
         </rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end=\"w\"?>"
    );
    let orientation = orientation(seed);
    Segments {
        exif: exif(&artist, &rights, orientation),
        iptc: [dataset(80, &artist), dataset(116, &rights)].concat(),
        xmp: xmp.into_bytes(),
        icc: icc(),
    }
}

/// Every fourth picture is stored rotated, as by a camera.
pub(super) fn orientation(seed: u64) -> u32 {
    if seed % 4 == 3 { 6 } else { 1 }
}

fn exif(artist: &str, rights: &str, orientation: u32) -> Vec<u8> {
    let data_offset = 8 + 2 + 6 * 12 + 4;
    let mut directory = Vec::new();
    let mut data = [DPI.to_le_bytes(), 1_u32.to_le_bytes()].concat();
    directory.extend(6_u16.to_le_bytes());
    directory.extend(entry(ORIENTATION, 3, 1, orientation));
    directory.extend(entry(X_RESOLUTION, 5, 1, data_offset));
    directory.extend(entry(Y_RESOLUTION, 5, 1, data_offset));
    directory.extend(entry(RESOLUTION_UNIT, 3, 1, 2));
    for (tag, text) in [(ARTIST, artist), (COPYRIGHT, rights)] {
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

fn dataset(number: u8, text: &str) -> Vec<u8> {
    let mut dataset = vec![0x1C, 2, number];
    dataset.extend((text.len() as u16).to_be_bytes());
    dataset.extend(text.bytes());
    dataset
}

/// The smallest display profile: a header and an empty table of tags.
fn icc() -> Vec<u8> {
    let mut profile = vec![0; 132];
    profile[..4].copy_from_slice(&132_u32.to_be_bytes());
    profile[8] = 2;
    profile[12..24].copy_from_slice(b"mntrRGB XYZ ");
    profile[36..40].copy_from_slice(b"acsp");
    profile
}

impl Segments {
    /// Turns the picture upside down without touching a pixel.
    pub(super) fn turn(&mut self) {
        self.patch(ORIENTATION, |entry| entry[8] = 3);
    }

    /// States a quarter of the resolution.
    pub(super) fn coarsen(&mut self) {
        let at = self.exif.windows(4).position(|window| window == DPI.to_le_bytes());
        if let Some(number) = at.and_then(|at| self.exif.get_mut(at..at + 4)) {
            number.copy_from_slice(&(DPI / 4).to_le_bytes());
        }
    }

    /// Changes the tag of EXIF's copyright to one that no reader looks for.
    pub(super) fn lose_exif_copyright(&mut self) {
        self.patch(COPYRIGHT, |entry| entry[0] += 1);
    }

    /// Changes IPTC's by-line to the caption writer.
    pub(super) fn lose_iptc_byline(&mut self) {
        let at = self.iptc.windows(3).position(|window| window == [0x1C, 2, 80]);
        if let Some(number) = at.and_then(|at| self.iptc.get_mut(at + 2)) {
            *number = 122;
        }
    }

    /// Renames XMP's rights to the source.
    pub(super) fn lose_xmp_rights(&mut self) {
        self.xmp = String::from_utf8_lossy(&self.xmp).replace("dc:rights", "dc:source").into_bytes();
    }

    fn patch(&mut self, tag: u16, change: impl FnOnce(&mut [u8])) {
        let mut entries = self.exif.get_mut(10..).unwrap_or_default().chunks_exact_mut(12);
        if let Some(entry) = entries.find(|entry| entry[..2] == tag.to_le_bytes()) {
            change(entry);
        }
    }
}
