//! The marker: what the hash metaproperty of an asset says about that asset's files.
//!
//! A Bynder text metaproperty holds records, newest first, separated by `; `:
//! `<sha256 of the original> <sha256 of the watermarked file> v<version> <bytes>`. In front of them may stand
//! `opted-out; `, and behind that what ties a copy and its original together: `copied-to <id>; ` or `copy-of <id>; `.
//! It is the connector's only memory inside the library, so text that is not the connector's is never overwritten.

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

/// Records kept in one marker: eight need at most 1,400 of the 2,500 characters a Bynder text field holds.
pub const MOST_RECORDS: usize = 8;

const OPTED_OUT: &str = "opted-out";
const SEPARATOR: &str = "; ";

/// The parsed value of an asset's hash metaproperty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marker {
    /// The field is absent or blank: nothing is known.
    Absent,
    /// The connector's own records.
    Ours(Records),
    /// A bare hash that another tool left.
    Legacy(LegacyHash),
    /// Text of somebody else, never to be overwritten.
    Foreign(String),
}

/// The connector's records on one asset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records {
    opted_out: bool,
    kin: Option<Kin>,
    newest_first: Vec<Record>,
}

/// What the marker says of a file whose hash is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileVerdict {
    /// The file is a watermarked file of this record.
    Watermarked(Record),
    /// Another tool's hash says that the file is protected.
    LegacyProtected,
    /// The file is an original that was watermarked before: somebody put it back.
    KnownOriginal(Record),
    /// The marker says nothing of this file.
    Unknown,
}

/// The metaproperty holds text that is not the connector's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it holds text that the connector did not write: {0:?}")]
pub struct ForeignText(pub String);

impl Asset {
    /// What the named metaproperty says about this asset's files.
    pub fn marker(&self, metaproperty: &str) -> Marker {
        Marker::parse(self.property_text(metaproperty).as_deref())
    }
}

impl Marker {
    /// Reads the metaproperty's value; every text has exactly one meaning, so this cannot fail.
    pub fn parse(text: Option<&str>) -> Self {
        let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
            return Self::Absent;
        };
        if let Some(hash) = LegacyHash::parse(text) {
            return Self::Legacy(hash);
        }
        Records::parse(text).map_or_else(|| Self::Foreign(text.to_owned()), Self::Ours)
    }

    /// Whether a record names exactly this version with exactly this size: protected, nothing to download.
    pub fn protects(&self, version: u32, bytes: u64) -> bool {
        self.record_of(version, bytes).is_some()
    }

    /// Whether the newest record names a later version than this: it is about to be saved.
    pub fn is_ahead_of(&self, version: u32) -> bool {
        self.ahead_of(version).is_some()
    }

    /// The newest record, if it names a later version than this.
    pub fn ahead_of(&self, version: u32) -> Option<Record> {
        let Self::Ours(records) = self else { return None };
        records.iter().next().filter(|record| record.version > version).copied()
    }

    /// The record that names exactly this version with exactly this size.
    pub fn record_of(&self, version: u32, bytes: u64) -> Option<Record> {
        let Self::Ours(records) = self else { return None };
        records.iter().find(|record| record.version == version && record.bytes == bytes).copied()
    }

    /// Whether a person asked that no run protect this asset.
    pub fn opted_out(&self) -> bool {
        matches!(self, Self::Ours(records) if records.opted_out)
    }

    /// What ties this asset to a copy or an original of it.
    pub fn kin(&self) -> Option<&Kin> {
        let Self::Ours(records) = self else { return None };
        records.kin.as_ref()
    }

    /// Decides by the file's own hashes; `legacy_matches` says whether the legacy hash, if any, is this file's.
    pub fn verdict(&self, sha256: ContentHash, legacy_matches: bool, meaning: LegacyMeaning) -> FileVerdict {
        match self {
            Self::Legacy(_) if legacy_matches && meaning == LegacyMeaning::Protected => {
                FileVerdict::LegacyProtected
            }
            Self::Absent | Self::Foreign(_) | Self::Legacy(_) => FileVerdict::Unknown,
            Self::Ours(records) => records.verdict(sha256),
        }
    }

    /// The records to build the next marker on: none for an absent or legacy one.
    ///
    /// # Errors
    /// Foreign text must stay as it is.
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

    /// Puts `record` first and drops what it makes untrue.
    ///
    /// Another record of the same version would claim a file that this one replaces, and two records of one
    /// watermarked file would disagree about its version; both go, then the oldest beyond [`MOST_RECORDS`].
    #[must_use]
    pub fn with(mut self, record: Record) -> Self {
        self.newest_first
            .retain(|old| old.version != record.version && old.watermarked != record.watermarked);
        self.newest_first.insert(0, record);
        self.newest_first.truncate(MOST_RECORDS);
        self
    }

    /// Takes back a record whose version never came to be.
    #[must_use]
    pub fn without(mut self, record: &Record) -> Self {
        self.newest_first.retain(|old| old != record);
        self
    }

    /// Notes, or takes back, that no run shall protect this asset.
    #[must_use]
    pub fn with_opt_out(mut self, opted_out: bool) -> Self {
        self.opted_out = opted_out;
        self
    }

    /// Ties the asset to a copy or an original of it.
    #[must_use]
    pub fn with_kin(mut self, kin: Kin) -> Self {
        self.kin = Some(kin);
        self
    }

    /// What ties the asset to a copy or an original of it.
    pub fn kin(&self) -> Option<&Kin> {
        self.kin.as_ref()
    }

    /// Takes back the records of files that these records know as watermarked: what was in a copy before is not what
    /// is in it now.
    #[must_use]
    pub fn without_those_of(mut self, others: &Self) -> Self {
        self.newest_first.retain(|old| others.iter().all(|other| other.watermarked != old.watermarked));
        self
    }

    /// Whether exactly this record stands in the marker.
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
