//! The checks that a watermarked file must pass before Bynder is touched.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use strum::IntoStaticStr;

/// How alike two pictures must be to count as the same, unless the configuration says otherwise.
pub const USUAL_SIMILARITY: f64 = 0.98;

/// One thing that must be the same in the original and in the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
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
        self.into()
    }
}

/// Why a check could not be made, which is no fault of the result; a closed set, so that metrics can carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// The original could not be read: it is damaged or encrypted, or its reader ended or was ended.
    Unreadable,
    /// No reader for this kind of file is built in.
    NoReader,
    /// The original cannot be decoded: it is damaged, or coded in a way that is not built in.
    Undecodable,
    /// One of the files takes more memory to decode than is allowed.
    TooLarge,
    /// The original does not state what is compared.
    Unstated,
    /// Something that is not compared was lost or changed.
    NotCompared,
    /// A release without this check read one of the files, or this release with the check switched off.
    NotLookedAt,
}

impl Obstacle {
    /// Every obstacle, so that metrics can start at zero.
    pub const ALL: [Self; 7] = [
        Self::Unreadable,
        Self::NoReader,
        Self::Undecodable,
        Self::TooLarge,
        Self::Unstated,
        Self::NotCompared,
        Self::NotLookedAt,
    ];

    /// The obstacle's name in metrics, summaries and reports.
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

/// Leaves out what only a later release knows.
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
