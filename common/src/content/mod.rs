//! What is remembered of a file's content, small enough to travel inside a message.

mod thumbnail;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize};

pub use thumbnail::Thumbnail;

/// What was read of a file, by its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// A picture.
    Picture(Picture),
    /// An MP4 or MOV film.
    Film(Film),
    /// A PDF.
    Document {
        /// Its number of pages.
        pages: u64,
    },
    /// A file that could not be looked into, and why.
    Unreadable(String),
    /// A kind of picture or film that has no reader.
    Unread,
    /// A kind of file that no check looks into.
    Other,
}

/// What was read of a picture.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Which way up it is shown, as a number of EXIF; 1 where the file does not say. Numbers outside of 1 to 8 mean 1.
    pub orientation: u32,
    /// Bits of each channel.
    pub bit_depth: u8,
    /// Whether it has transparency.
    pub alpha: bool,
    /// Dots per inch, across and down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpi: Option<(u32, u32)>,
    /// Dots per inch by EXIF, where the container states them as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exif_dpi: Option<(u32, u32)>,
    /// The embedded ICC profile: its name, and the start of its SHA-256. Releases without `profile` compare it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icc_profile: Option<String>,
    /// How its values become colours besides the profile: the model, and what else states it. `None` where it was not
    /// looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub colours: Option<String>,
    /// How its colours are meant; `None` where an earlier release read the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// Who made it and who owns it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub credits: BTreeMap<Credit, String>,
    /// How many pictures follow each other in it: frames of an animation, pages; `None` where they were not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<u64>,
    /// What lies behind the picture in its file.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub behind: BTreeSet<Behind>,
    /// What it shows; `None` where nobody wanted to know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<View>,
}

/// How the colours of a picture are meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// The file does not say.
    Absent,
    /// A chunk of PNG says that it is sRGB.
    Srgb,
    /// By an embedded ICC profile.
    Icc {
        /// Its name, and the start of the SHA-256 of what in it concerns colours.
        name: String,
        /// Whether it is one of sRGB.
        is_srgb: bool,
    },
}

/// What phones and cameras append to a JPEG.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behind {
    /// What a bright screen adds to the picture.
    GainMap,
    /// Another picture, as of the other eye, or a preview.
    SecondPicture,
    /// What moved around the moment of the picture.
    Film,
}

impl Behind {
    /// How people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::GainMap => "gain map",
            Self::SecondPicture => "second picture",
            Self::Film => "film",
        }
    }
}

/// What a picture shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// The whole picture, very small.
    Thumbnail(Thumbnail),
    /// Decoding it would take more memory than is allowed.
    TooLarge {
        /// Bytes that it would take.
        needed: u64,
    },
    /// It could not be decoded, and why.
    Undecodable(String),
}

/// A place where a picture says who made it or who owns it.
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
    /// How people call the place.
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

/// What was read of a film.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Film {
    /// What is wrong with its boxes, if anything is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
    /// The handler types of its tracks (`vide`, `soun`, …), sorted.
    #[serde(default)]
    pub tracks: Vec<String>,
    /// How long it runs, in milliseconds; 0 where that is not known.
    #[serde(default)]
    pub duration_ms: u64,
    /// Width and height of each track that has a size, as it is stored, sorted.
    #[serde(default)]
    pub resolutions: Vec<(u32, u32)>,
    /// Width and height of each track of pictures as it is shown, sorted; `None` where it was not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Vec<(u32, u32)>>,
    /// By how many degrees clockwise each track of pictures is turned when it is shown, sorted; `None` where it was not
    /// looked at, or one is mirrored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotations: Option<Vec<u16>>,
}

/// Reads content as far as this release understands it: what a later one wrote counts as never inspected.
pub fn understood<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<Content>>, D::Error> {
    let value = Option::<serde_json::Value>::deserialize(deserializer)?;
    Ok(value.and_then(|value| serde_json::from_value(value).ok()))
}
