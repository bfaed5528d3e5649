//! The properties of a file's content, small enough for a message.

mod shown;
mod thumbnail;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize};

pub use shown::profile_name;
pub use thumbnail::Thumbnail;

/// The properties of a file, by its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    Picture(Picture),
    /// An MP4 or MOV film.
    Film(Film),
    /// A PDF.
    Document {
        pages: u64,
    },
    /// A file that could not be read, and why.
    Unreadable(String),
    /// A file that was not read: no check needs its content, or there is no reader for this kind of picture or film.
    Unread,
    /// A kind of file that no check reads.
    Other,
}

/// The properties of a picture.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// EXIF orientation; 1 if the file does not state it. Numbers outside 1 to 8 mean 1.
    pub orientation: u32,
    /// Bits per channel.
    pub bit_depth: u8,
    /// Whether any part is transparent.
    pub alpha: bool,
    /// Dots per inch, across and down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpi: Option<(u32, u32)>,
    /// Dots per inch in EXIF, if the container states a resolution too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exif_dpi: Option<(u32, u32)>,
    /// The embedded ICC profile: its name and the start of its SHA-256. Written for earlier releases, which do not know
    /// `profile`, and compared with their facts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icc_profile: Option<String>,
    /// The colour model, and what besides a profile defines the colours; `None` if an earlier release read the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colours: Option<String>,
    /// The colour profile; `None` if an earlier release read the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// Who made it, and who owns it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub credits: BTreeMap<Credit, String>,
    /// Number of frames or pages; `None` if they were not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<u64>,
    /// What else is in its file.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub behind: BTreeSet<Behind>,
    /// How it looks; `None` if no check needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<View>,
}

/// The colour profile of a picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    Absent,
    /// The sRGB chunk of a PNG.
    Srgb,
    /// An embedded ICC profile.
    Icc {
        /// Its name, and the start of the SHA-256 of its parts that affect colours.
        name: String,
        /// Whether it describes sRGB.
        is_srgb: bool,
    },
}

/// What phones and cameras append to a JPEG.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behind {
    /// Brightness for HDR screens.
    GainMap,
    /// Another picture, such as that for the other eye, or a preview.
    SecondPicture,
    /// A short film around the moment of the picture.
    Film,
}

impl Behind {
    /// The name for display.
    pub fn name(self) -> &'static str {
        match self {
            Self::GainMap => "gain map",
            Self::SecondPicture => "second picture",
            Self::Film => "film",
        }
    }
}

/// How a picture looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    Thumbnail(Thumbnail),
    /// Decoding it would take more memory than is allowed.
    TooLarge {
        /// Memory that it would take, in bytes.
        needed: u64,
    },
    /// It could not be decoded, and why.
    Undecodable(String),
}

/// A place in a picture's metadata that states who made it or who owns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credit {
    /// EXIF or TIFF tag 33432.
    ExifCopyright,
    /// EXIF or TIFF tag 315.
    ExifArtist,
    /// IPTC dataset 2:116.
    IptcCopyright,
    /// IPTC dataset 2:80.
    IptcByline,
    /// XMP `dc:rights`.
    XmpRights,
    /// XMP `dc:creator`.
    XmpCreator,
}

impl Credit {
    /// The name for display.
    pub fn name(self) -> &'static str {
        match self {
            Self::ExifCopyright => "EXIF Copyright",
            Self::ExifArtist => "EXIF Artist",
            Self::IptcCopyright => "IPTC Copyright Notice",
            Self::IptcByline => "IPTC By-line",
            Self::XmpRights => "XMP dc:rights",
            Self::XmpCreator => "XMP dc:creator",
        }
    }
}

/// The properties of a film.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Film {
    /// What is wrong with its boxes, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
    /// The handler types of its tracks (`vide`, `soun`, …), sorted.
    #[serde(default)]
    pub tracks: Vec<String>,
    /// Duration in milliseconds; 0 if unknown.
    #[serde(default)]
    pub duration_ms: u64,
    /// Width and height of each track that has a size, as stored; sorted.
    #[serde(default)]
    pub resolutions: Vec<(u32, u32)>,
    /// Width and height of each picture track as shown, sorted; `None` if an earlier release read the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Vec<(u32, u32)>>,
    /// Clockwise rotation of each picture track when shown, in degrees, sorted; `None` if an earlier release read the file, or
    /// one is mirrored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotations: Option<Vec<u16>>,
}

/// Deserialises content. Content that only a later release understands becomes `None`, as if never read.
pub fn understood<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<Content>>, D::Error> {
    let value = Option::<serde_json::Value>::deserialize(deserializer)?;
    Ok(value.and_then(|value| serde_json::from_value(value).ok()))
}
