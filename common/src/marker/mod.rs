//! The marker: the text in an asset's hash metaproperty, which describes the asset's protected files.
//!
//! It is a list of records, newest first, separated by `; `:
//! `<sha256 of the original> <sha256 of the watermarked file> v<version> <bytes>`. Before them may be `opted-out; `, and
//! then a link between an original and its copy: `copied-to <id>; ` or `copy-of <id>; `. The marker is the connector's only
//! state inside the library. A text that is not the connector's is never overwritten.

mod kin;
mod legacy;
mod record;
mod status;

#[cfg(test)]
mod tests;

use std::fmt;

pub use kin::Kin;
pub use legacy::{LegacyHash, LegacyMeaning};
pub use record::Record;
pub use status::Status;

use crate::asset::Asset;
use crate::hash::ContentHash;

/// Maximum records in a marker: eight take at most 1,400 of the 2,500 characters of a Bynder text field.
pub const MOST_RECORDS: usize = 8;

const OPTED_OUT: &str = "opted-out";
const SEPARATOR: &str = "; ";

/// The parsed value of an asset's hash metaproperty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marker {
    /// Absent or blank.
    Absent,
    /// The connector's records.
    Ours(Records),
    /// A bare hash from another tool.
    Legacy(LegacyHash),
    /// Any other text; never overwritten.
    Foreign(String),
}

/// The connector's text in a marker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    opted_out: bool,
    kin: Option<Kin>,
    newest_first: Vec<Record>,
}

/// What the marker states about a file with a known hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileVerdict {
    /// The file is a watermarked file of this record.
    Watermarked(Record),
    /// The file is protected according to another tool's hash.
    LegacyProtected,
    /// The file is the original of this record: a person restored it.
    KnownOriginal(Record),
    /// The marker does not mention the file.
    Unknown,
}

/// The metaproperty has a text that is not the connector's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it holds text that the connector did not write: {0:?}")]
pub struct ForeignText(pub String);

impl Asset {
    /// The marker in this metaproperty.
    pub fn marker(&self, metaproperty: &str) -> Marker {
        Marker::parse(self.property_text(metaproperty).as_deref())
    }
}

impl Marker {
    /// Parses the metaproperty's value. Every text has exactly one meaning, so this cannot fail.
    pub fn parse(text: Option<&str>) -> Self {
        let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
            return Self::Absent;
        };
        if let Some(hash) = LegacyHash::parse(text) {
            return Self::Legacy(hash);
        }
        Records::parse(text).map_or_else(|| Self::Foreign(text.to_owned()), Self::Ours)
    }

    /// Whether a record names this version with this size: it is protected, and needs no download.
    pub fn protects(&self, version: u32, bytes: u64) -> bool {
        self.record_of(version, bytes).is_some()
    }

    /// Whether the newest record names a later version than this, which is about to be saved.
    pub fn is_ahead_of(&self, version: u32) -> bool {
        self.ahead_of(version).is_some()
    }

    /// The newest record, if it names a later version than this.
    pub fn ahead_of(&self, version: u32) -> Option<Record> {
        let Self::Ours(records) = self else { return None };
        records.iter().next().filter(|record| record.version > version).copied()
    }

    /// The record that names this version with this size.
    pub fn record_of(&self, version: u32, bytes: u64) -> Option<Record> {
        let Self::Ours(records) = self else { return None };
        records.iter().find(|record| record.version == version && record.bytes == bytes).copied()
    }

    /// Whether a person excluded this asset from protection.
    pub fn opted_out(&self) -> bool {
        matches!(self, Self::Ours(records) if records.opted_out)
    }

    /// The link to this asset's copy or original.
    pub fn kin(&self) -> Option<&Kin> {
        let Self::Ours(records) = self else { return None };
        records.kin.as_ref()
    }

    /// What the marker states about a file; `legacy_matches` is whether the legacy hash, if any, is this file's.
    pub fn verdict(&self, sha256: ContentHash, legacy_matches: bool, meaning: LegacyMeaning) -> FileVerdict {
        match self {
            Self::Legacy(_) if legacy_matches && meaning == LegacyMeaning::Protected => {
                FileVerdict::LegacyProtected
            }
            Self::Absent | Self::Foreign(_) | Self::Legacy(_) => FileVerdict::Unknown,
            Self::Ours(records) => records.verdict(sha256),
        }
    }

    /// The records for the next marker; empty for an absent or a legacy one.
    ///
    /// # Errors
    /// The text is foreign and must not be overwritten.
    pub fn into_records(self) -> Result<Records, ForeignText> {
        match self {
            Self::Absent | Self::Legacy(_) => Ok(Records::default()),
            Self::Ours(records) => Ok(records),
            Self::Foreign(text) => Err(ForeignText(text)),
        }
    }
}

impl Records {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim).peekable();
        let opted_out = parts.next_if_eq(&OPTED_OUT).is_some();
        let kin = parts.peek().and_then(|part| Kin::parse(part));
        if kin.is_some() {
            parts.next();
        }
        let newest_first =
            parts.filter(|part| !part.is_empty()).map(Record::parse).collect::<Option<Vec<_>>>()?;
        (opted_out || kin.is_some() || !newest_first.is_empty()).then_some(Self {
            opted_out,
            kin,
            newest_first,
        })
    }

    /// The records, newest first.
    pub fn iter(&self) -> impl Iterator<Item = &Record> {
        self.newest_first.iter()
    }

    /// Adds `record` as the newest, and removes the records that it invalidates.
    ///
    /// Those are records of the same version, whose file it replaces, and records of the same watermarked file, which would name
    /// another version for it. At most [`MOST_RECORDS`] are kept.
    #[must_use]
    pub fn with(mut self, record: Record) -> Self {
        self.newest_first
            .retain(|old| old.version != record.version && old.watermarked != record.watermarked);
        self.newest_first.insert(0, record);
        self.newest_first.truncate(MOST_RECORDS);
        self
    }

    /// Removes a record whose version was never saved.
    #[must_use]
    pub fn without(mut self, record: &Record) -> Self {
        self.newest_first.retain(|old| old != record);
        self
    }

    /// Sets whether the asset is excluded from protection.
    #[must_use]
    pub fn with_opt_out(mut self, opted_out: bool) -> Self {
        self.opted_out = opted_out;
        self
    }

    /// Sets the link to the asset's copy or original.
    #[must_use]
    pub fn with_kin(mut self, kin: Kin) -> Self {
        self.kin = Some(kin);
        self
    }

    /// The link to the asset's copy or original.
    pub fn kin(&self) -> Option<&Kin> {
        self.kin.as_ref()
    }

    /// Removes the records whose watermarked file `others` has too: what was in a copy before is not in it now.
    #[must_use]
    pub fn without_those_of(mut self, others: &Self) -> Self {
        self.newest_first.retain(|old| others.iter().all(|other| other.watermarked != old.watermarked));
        self
    }

    /// Whether the marker has exactly this record.
    pub fn contains(&self, record: &Record) -> bool {
        self.newest_first.contains(record)
    }

    fn verdict(&self, sha256: ContentHash) -> FileVerdict {
        let watermarked = self.iter().find(|record| record.watermarked == sha256).copied();
        let original = self.iter().find(|record| record.original == sha256).copied();
        watermarked
            .map(FileVerdict::Watermarked)
            .or(original.map(FileVerdict::KnownOriginal))
            .unwrap_or(FileVerdict::Unknown)
    }
}

impl fmt::Display for Records {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flag = self.opted_out.then(|| OPTED_OUT.to_owned());
        let kin = self.kin.as_ref().map(Kin::to_string);
        let parts: Vec<String> =
            flag.into_iter().chain(kin).chain(self.iter().map(Record::to_string)).collect();
        formatter.write_str(&parts.join(SEPARATOR))
    }
}
