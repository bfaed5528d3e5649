//! The checks that a watermarked file must pass before Bynder is touched.

use serde::{Deserialize, Serialize};

/// How alike two pictures must be to count as the same, unless the configuration says otherwise.
pub const USUAL_SIMILARITY: f64 = 0.98;

/// One thing that must be the same in the original and in the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// The kind of file by its first bytes.
    MediaType,
    /// Width and height of a picture.
    PixelSize,
    /// Which way up a picture is shown.
    Orientation,
    /// Bits of each channel of a picture.
    BitDepth,
    /// Whether a picture has transparency.
    Alpha,
    /// The resolution a picture is printed with.
    Dpi,
    /// How a picture's colours are meant.
    IccProfile,
    /// Who made a picture and who owns it.
    Copyright,
    /// What a picture shows.
    SamePicture,
    /// Whether a film's boxes fit into each other and into the file.
    Container,
    /// The kinds of a film's tracks.
    Tracks,
    /// How long a film runs.
    Duration,
    /// Width and height of a film's pictures.
    Resolution,
    /// How many pages a document has, or how many pictures follow each other in a file.
    Pages,
}

impl Check {
    /// Every check, in the order in which they are made.
    pub const ALL: [Self; 14] = [
        Self::MediaType,
        Self::PixelSize,
        Self::Orientation,
        Self::BitDepth,
        Self::Alpha,
        Self::Dpi,
        Self::IccProfile,
        Self::Copyright,
        Self::SamePicture,
        Self::Container,
        Self::Tracks,
        Self::Duration,
        Self::Resolution,
        Self::Pages,
    ];

    /// The check's name in reasons and logs: its key under `[checks]`.
    pub fn name(self) -> &'static str {
        match self {
            Self::MediaType => "media_type",
            Self::PixelSize => "pixel_size",
            Self::Orientation => "orientation",
            Self::BitDepth => "bit_depth",
            Self::Alpha => "alpha",
            Self::Dpi => "dpi",
            Self::IccProfile => "icc_profile",
            Self::Copyright => "copyright",
            Self::SamePicture => "same_picture",
            Self::Container => "container",
            Self::Tracks => "tracks",
            Self::Duration => "duration",
            Self::Resolution => "resolution",
            Self::Pages => "pages",
        }
    }
}
