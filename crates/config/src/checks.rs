//! The checks of a watermarked file.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ConfigError;
use common::check::{Check, USUAL_SIMILARITY};

/// `[checks]`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each check has a switch of its own")]
pub struct ChecksSection {
    /// The file's type by its first bytes.
    pub media_type: bool,
    /// Width and height of a picture.
    pub pixel_size: bool,
    /// The orientation in which a picture is shown.
    pub orientation: bool,
    /// Bits per channel of a picture.
    pub bit_depth: bool,
    /// Whether a picture has transparency.
    pub alpha: bool,
    /// The print resolution of a picture.
    pub dpi: bool,
    /// The colour space of a picture.
    pub icc_profile: bool,
    /// The credits of a picture: author and owner.
    pub copyright: bool,
    /// What a picture shows.
    pub same_picture: bool,
    /// The least similarity of two pictures that count as the same, from 0 to 1.
    pub similarity: f64,
    /// Whether a film's boxes are consistent with each other and with the file's length.
    pub container: bool,
    /// The kinds of a film's tracks.
    pub tracks: bool,
    /// A film's length in time.
    pub duration: bool,
    /// Width and height of a film's frames.
    pub resolution: bool,
    /// The number of pages of a document, or of pictures in a file.
    pub pages: bool,
    /// The folder that keeps files which failed a check, for a person to inspect.
    pub keep_rejected_in: Option<PathBuf>,
}

impl Default for ChecksSection {
    fn default() -> Self {
        Self {
            media_type: true,
            pixel_size: true,
            orientation: true,
            bit_depth: true,
            alpha: true,
            dpi: true,
            icc_profile: true,
            copyright: true,
            same_picture: true,
            similarity: USUAL_SIMILARITY,
            container: true,
            tracks: true,
            duration: true,
            resolution: true,
            pages: true,
            keep_rejected_in: None,
        }
    }
}

impl ChecksSection {
    /// Whether a check is enabled.
    pub fn includes(&self, check: Check) -> bool {
        match check {
            Check::MediaType => self.media_type,
            Check::PixelSize => self.pixel_size,
            Check::Orientation => self.orientation,
            Check::BitDepth => self.bit_depth,
            Check::Alpha => self.alpha,
            Check::Dpi => self.dpi,
            Check::IccProfile => self.icc_profile,
            Check::Copyright => self.copyright,
            Check::SamePicture => self.same_picture,
            Check::Container => self.container,
            Check::Tracks => self.tracks,
            Check::Duration => self.duration,
            Check::Resolution => self.resolution,
            Check::Pages => self.pages,
        }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if !(0.0..=1.0).contains(&self.similarity) {
            let wanted = format!("must be from 0 to 1; {USUAL_SIMILARITY} is usual");
            return Err(ConfigError::value("checks.similarity", wanted));
        }
        Ok(())
    }
}
