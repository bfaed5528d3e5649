//! The checks that a watermarked file must pass before anything is changed in Bynder.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use strum::IntoStaticStr;

/// Default for the least similarity of two pictures that count as the same.
pub const USUAL_SIMILARITY: f64 = 0.98;

/// A property that must be the same in the original and the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Media type by content.
    MediaType,
    /// Width and height of a picture.
    PixelSize,
    /// Orientation of a picture.
    Orientation,
    /// Bits per channel of a picture.
    BitDepth,
    /// Whether a picture is transparent anywhere.
    Alpha,
    /// Print resolution of a picture.
    Dpi,
    /// Colour profile and colour model of a picture.
    IccProfile,
    /// Credits of a picture: who made it, and who owns it.
    Copyright,
    /// How a picture looks.
    SamePicture,
    /// Whether a film's boxes are well formed and complete.
    Container,
    /// Kinds of a film's tracks.
    Tracks,
    /// Duration of a film.
    Duration,
    /// Width, height and rotation of a film.
    Resolution,
    /// Number of pages of a document, or of frames or pages of a picture.
    Pages,
}

impl Check {
    /// All checks, in the order in which they are made.
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

    /// The name in reasons and logs, which is its key under `[checks]`.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Why a check could not be made, through no fault of the result; a closed set, because it is a label of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// The original could not be read: it is damaged or encrypted, or its reader crashed or exceeded its deadline.
    Unreadable,
    /// There is no reader for this kind of file.
    NoReader,
    /// The original cannot be decoded: it is damaged, or its encoding is not supported.
    Undecodable,
    /// Decoding one of the files takes more memory than is allowed.
    TooLarge,
    /// One of the files does not state the property.
    Unstated,
    /// Something was lost or changed that cannot be compared.
    NotCompared,
    /// One of the files was read by a release without this check, or with the check off.
    NotLookedAt,
}

impl Obstacle {
    /// All obstacles, so that metrics can start at zero.
    pub const ALL: [Self; 7] = [
        Self::Unreadable,
        Self::NoReader,
        Self::Undecodable,
        Self::TooLarge,
        Self::Unstated,
        Self::NotCompared,
        Self::NotLookedAt,
    ];

    /// The name in metrics, summaries and reports.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The checks of a result that could not be made, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Unmade(#[serde(deserialize_with = "understood")] BTreeMap<Check, Obstacle>);

impl Unmade {
    /// Whether every check was made.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each obstacle once, however many checks it prevented.
    pub fn obstacles(&self) -> BTreeSet<Obstacle> {
        self.0.values().copied().collect()
    }
}

impl FromIterator<(Check, Obstacle)> for Unmade {
    fn from_iter<I: IntoIterator<Item = (Check, Obstacle)>>(unmade: I) -> Self {
        Self(unmade.into_iter().collect())
    }
}

impl fmt::Display for Unmade {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unmade = self.0.iter().map(|(check, obstacle)| format!("{}:{}", check.name(), obstacle.name()));
        formatter.write_str(&unmade.collect::<Vec<_>>().join(" "))
    }
}

/// Skips checks and obstacles that only a later release knows.
fn understood<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<Check, Obstacle>, D::Error> {
    let written = BTreeMap::<String, serde_json::Value>::deserialize(deserializer)?;
    let read = written.into_iter().filter_map(|(check, obstacle)| {
        Some((serde_json::from_value(check.into()).ok()?, serde_json::from_value(obstacle).ok()?))
    });
    Ok(read.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_and_obstacles_of_a_later_release_are_left_out_and_the_rest_is_kept() {
        let text = r#"{"pages":"unstated","alpha":"invented","invented":"too_large"}"#;
        let unmade: Unmade = serde_json::from_str(text).unwrap();
        assert_eq!(unmade.to_string(), "pages:unstated");
        assert_eq!(serde_json::to_string(&unmade).unwrap(), r#"{"pages":"unstated"}"#);
    }

    #[test]
    fn names_are_those_of_the_wire() {
        for obstacle in Obstacle::ALL {
            assert_eq!(serde_json::to_value(obstacle).unwrap(), obstacle.name());
        }
    }
}
