//! Bynder assets.

#[cfg(any(test, feature = "samples"))]
pub mod samples;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// More characters of a name are neither shown nor recorded.
pub(crate) const MOST_NAME_CHARACTERS: usize = 200;
/// Longer extensions are not shown.
const LONGEST_EXTENSION: usize = 10;
/// More versions of an asset are not downloaded to find the one that holds a file.
pub const MOST_CANDIDATES: usize = 32;
/// More than twice the length of eight records.
const MOST_MARKER_BYTES: usize = 4096;

/// The id of an asset; opaque apart from its alphabet.
///
/// Bynder writes ids as upper-case hex, 8-4-4-16, and elsewhere in lower case, 8-4-4-4-12. The text is kept as the portal
/// wrote it, because its paths accept only that form. Ids go into URL paths and may come from a message, so anything but
/// ASCII letters, digits, `-` and `_` is refused.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AssetId(String);

/// The text is not a valid asset id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{:?} is not an asset id: expected up to 64 letters, digits and hyphens", crate::parse_error::harmless(.0))]
pub struct InvalidAssetId(String);

impl AssetId {
    /// The id as the portal wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AssetId {
    /// The asset id for a message that cannot be decoded; no portal has it.
    pub fn unknown() -> Self {
        Self("unknown".to_owned())
    }

    /// A well-formed id that no asset has: a search for it must return nothing.
    pub fn impossible() -> Self {
        Self("00000000-0000-0000-0000000000000000".to_owned())
    }
}

impl FromStr for AssetId {
    type Err = InvalidAssetId;

    fn from_str(text: &str) -> Result<Self, InvalidAssetId> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if text.is_empty() || text.len() > 64 || !text.chars().all(allowed) {
            return Err(InvalidAssetId(text.chars().take(80).collect()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for AssetId {
    type Error = InvalidAssetId;

    fn try_from(text: String) -> Result<Self, InvalidAssetId> {
        text.parse()
    }
}

impl From<AssetId> for String {
    fn from(id: AssetId) -> Self {
        id.0
    }
}

impl fmt::Display for AssetId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for AssetId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Bynder's kinds of asset; a kind this release does not know is kept as [`AssetType::Other`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AssetType {
    /// A picture.
    Image,
    /// A document, PDF among them.
    Document,
    /// A sound file.
    Audio,
    /// A film.
    Video,
    /// A three-dimensional model.
    #[serde(rename = "3d")]
    ThreeD,
    /// Anything Bynder may add.
    #[serde(other)]
    #[schemars(skip)]
    Other,
}

impl AssetType {
    /// Bynder's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Document => "document",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::ThreeD => "3d",
            Self::Other => "other",
        }
    }
}

/// The way a picture or a film lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Orientation {
    /// Wider than high.
    Landscape,
    /// Higher than wide.
    Portrait,
    /// As wide as high.
    Square,
}

impl Orientation {
    /// Bynder's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Landscape => "landscape",
            Self::Portrait => "portrait",
            Self::Square => "square",
        }
    }
}

/// One asset, as a listing or a single GET shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Asset {
    pub id: AssetId,
    /// The name that a person gave it; may be empty.
    pub name: String,
    /// The name of the original file, if the portal states it (since March 2025).
    pub file_name: Option<String>,
    pub kind: AssetType,
    /// File extensions as the portal writes them, without the dot.
    pub extensions: Vec<String>,
    /// Size of the active version's file in bytes; 0 if the portal does not state it.
    pub bytes: u64,
    /// The active version; `None` means unknown, never 1.
    pub active_version: Option<u32>,
    /// When the asset was created, to the second.
    pub created: Timestamp,
    /// When the asset was last modified, to the second.
    pub modified: Timestamp,
    pub archived: bool,
    /// Whether it is visible to everyone.
    pub public: bool,
    /// Whether its use is restricted.
    pub limited: bool,
    /// The id of its brand, if the portal states it.
    pub brand_id: Option<String>,
    pub orientation: Option<Orientation>,
    pub tags: Vec<String>,
    /// Values by the metaproperty's name: the names of options, or one text.
    pub properties: BTreeMap<String, Vec<String>>,
    /// Ids of the selected options of all metaproperties together.
    pub option_ids: Vec<String>,
}

impl Asset {
    /// The active version's file, as the listing shows it.
    pub fn shown_file(&self) -> ShownFile {
        let bytes = Some(self.bytes).filter(|bytes| *bytes > 0);
        ShownFile { bytes, name: self.file_name.clone(), extension: self.extensions.first().cloned() }
    }

    /// The asset's name for people, cut: the portal may send a name of any length.
    pub fn shown_name(&self) -> String {
        shortened(&self.name)
    }

    /// The first extension in lower case, for people. Any other text is not shown: it may be a link or a secret.
    pub fn shown_extension(&self) -> String {
        let is_extension = |text: &str| {
            (1..=LONGEST_EXTENSION).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric())
        };
        match self.extensions.first() {
            None => "(none)".to_owned(),
            Some(own) if is_extension(own) => own.to_ascii_lowercase(),
            Some(_) => "(other)".to_owned(),
        }
    }

    /// A metaproperty's value as one text. A text field never has several values; of another field they are joined.
    pub fn property_text(&self, metaproperty: &str) -> Option<String> {
        self.properties.get(metaproperty).map(|values| values.join(","))
    }

    /// The marker's text for a job. A text too long to be the connector's is cut, with an ellipsis, so that the job fits into a
    /// message; it is foreign either way.
    pub fn marker_text(&self, metaproperty: &str) -> Option<String> {
        let text = self.property_text(metaproperty)?;
        let cut = text.floor_char_boundary(MOST_MARKER_BYTES);
        Some(if cut < text.len() { format!("{}…", &text[..cut]) } else { text })
    }
}

/// The beginning of a name.
pub fn shortened(name: &str) -> String {
    name.chars().take(MOST_NAME_CHARACTERS).collect()
}

/// Shortens a name, because a message may contain a longer one than this release writes.
pub(crate) fn shortened_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(shortened(&String::deserialize(deserializer)?))
}

/// One version in an asset's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileVersion {
    /// Counts from 1.
    pub number: u32,
    /// Whether this version is the one that is shown and downloaded; `None` if the portal does not state it.
    pub active: Option<bool>,
    /// Size of its file in bytes, if the portal states it.
    pub bytes: Option<u64>,
    /// Name of its file, if the portal states it.
    pub file_name: Option<String>,
    /// When it was added, by the portal's clock, if the portal states it.
    pub added: Option<Timestamp>,
}

/// What the portal shows of a version's file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShownFile {
    /// Length in bytes.
    pub bytes: Option<u64>,
    /// The file name.
    pub name: Option<String>,
    pub extension: Option<String>,
}

/// One asset with its version history, from a single GET with `versions=1`.
#[derive(Debug, Clone, PartialEq)]
pub struct AssetDetail {
    pub asset: Asset,
    /// Its versions in ascending order.
    pub versions: Vec<FileVersion>,
}

impl AssetDetail {
    /// The active version: the flagged one, or else the one that the asset names, or else the only one.
    ///
    /// `None` means unknown. A list without flags or with several shows nothing, and no version is assumed: protecting the oldest
    /// file would replace the newest one with it.
    pub fn active(&self) -> Option<u32> {
        if let Some(flagged) = self.flagged() {
            return Some(flagged);
        }
        match (self.asset.active_version, self.versions.as_slice()) {
            (named, []) => named,
            (Some(named), _) => self.version(named).map(|version| version.number),
            (None, [only]) if only.active != Some(false) => Some(only.number),
            (None, _) => None,
        }
    }

    /// The version that is flagged as active, if it is exactly one.
    fn flagged(&self) -> Option<u32> {
        let mut flagged = self.versions.iter().filter(|version| version.active == Some(true));
        flagged.next().filter(|_| flagged.next().is_none()).map(|version| version.number)
    }

    /// Whether the portal states which version is active, rather than it being the only one.
    pub fn says_active(&self) -> bool {
        self.flagged().is_some() || self.asset.active_version.is_some()
    }

    /// The highest version number; `None` if the portal lists no versions.
    pub fn top(&self) -> Option<u32> {
        self.versions.iter().map(|version| version.number).max()
    }

    /// The versions above this number that may hold a file of this length.
    pub fn may_hold(&self, above: u32, bytes: u64) -> impl Iterator<Item = &FileVersion> {
        self.versions.iter().filter(move |version| {
            version.number > above && version.bytes.is_none_or(|length| length == bytes)
        })
    }

    /// What the portal shows of a version's file. The asset's own name and extension are the active version's.
    pub fn shown_file(&self, number: u32) -> ShownFile {
        let version = self.version(number);
        let active = self.active() == Some(number);
        ShownFile {
            bytes: version.and_then(|version| version.bytes),
            name: version
                .and_then(|version| version.file_name.clone())
                .or_else(|| self.asset.file_name.clone().filter(|_| active)),
            extension: self.asset.extensions.first().filter(|_| active).cloned(),
        }
    }

    pub fn version(&self, number: u32) -> Option<&FileVersion> {
        self.versions.iter().find(|version| version.number == number)
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{asset, detail};
    use super::*;

    #[test]
    fn names_and_extensions_are_bounded_where_people_see_them() {
        let shown = |name: &str, extensions: &[&str]| {
            let extensions = extensions.iter().map(|text| (*text).to_owned()).collect();
            let asset = Asset { name: name.to_owned(), extensions, ..asset() };
            (asset.shown_name(), asset.shown_extension())
        };
        assert_eq!(shown("lake", &["JPG", "x"]), ("lake".to_owned(), "jpg".to_owned()));
        assert_eq!(shown(&"é".repeat(500_000), &[]), ("é".repeat(200), "(none)".to_owned()));
        for other in ["", "af25c0ffee1234567890abcdef012345", "sig=s3cr3t", "a b", "é"] {
            assert_eq!(shown("", &[other]).1, "(other)", "{other}");
        }
    }

    #[test]
    fn any_version_above_a_number_and_as_long_as_a_file_may_hold_it() {
        let mut detail = detail(&[500, 500, 500, 400, 500, 300], 1);
        detail.versions[5].bytes = None;
        let numbers: Vec<_> = detail.may_hold(2, 500).map(|version| version.number).collect();
        assert_eq!(numbers, [3, 5, 6]);
    }

    #[test]
    fn the_only_version_is_the_active_one_unless_the_portal_says_otherwise() {
        let only = |flag, named| {
            let mut only = detail(&[400], 1);
            only.asset.active_version = named;
            only.versions[0].active = flag;
            only.active()
        };
        assert_eq!(only(None, None), Some(1));
        assert_eq!(only(Some(true), Some(2)), Some(1));
        assert_eq!(only(Some(false), None), None);
        assert_eq!(only(None, Some(2)), None);
    }
}
