//! What an asset's marker claims of its active version, and whether the length agrees. Pure.

use common::asset::{Asset, AssetDetail};
use common::marker::{Marker, Record};

/// What the marker claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// Nothing: it holds no record.
    Nothing,
    /// Nothing of the active version, and a person wants it so.
    OptedOut,
    /// Nothing of the active version: a person made or restored another one.
    OtherVersion,
    /// The active version is this protected file, and its length says nothing else.
    Fits(Record),
    /// The active version is this protected file; but it has another length.
    OtherSize(Record, u64),
    /// The portal does not tell the active version or its length.
    Unknown,
}

impl Claim {
    /// By a row of the listing.
    pub(super) fn of_row(asset: &Asset, marker: &Marker) -> Self {
        Self::new(marker, asset.active_version, Some(asset.bytes).filter(|bytes| *bytes > 0))
    }

    /// By a single look.
    pub(super) fn of_look(detail: &AssetDetail, marker: &Marker) -> Self {
        let active = detail.active();
        let version = active.and_then(|active| detail.version(active)).and_then(|version| version.bytes);
        Self::new(marker, active, version.or(Some(detail.asset.bytes).filter(|bytes| *bytes > 0)))
    }

    fn new(marker: &Marker, active: Option<u32>, bytes: Option<u64>) -> Self {
        let Marker::Ours(records) = marker else { return Self::Nothing };
        if records.iter().next().is_none() {
            return if marker.opted_out() { Self::OptedOut } else { Self::Nothing };
        }
        let Some(active) = active else { return Self::Unknown };
        let Some(record) = records.iter().find(|record| record.version == active).copied() else {
            return if marker.opted_out() { Self::OptedOut } else { Self::OtherVersion };
        };
        match bytes {
            None => Self::Unknown,
            Some(bytes) if bytes == record.bytes => Self::Fits(record),
            Some(bytes) => Self::OtherSize(record, bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use common::hash::ContentHash;

    use super::*;

    #[test]
    fn a_claim_is_about_the_active_version_alone() {
        let record = Record {
            original: ContentHash::from_bytes([1; 32]),
            watermarked: ContentHash::from_bytes([2; 32]),
            version: 2,
            bytes: 500,
        };
        let (named, wished) = (record.to_string(), format!("opted-out; {record}"));
        let table = [
            ("", Some(2), Some(500), Claim::Nothing),
            ("see ticket 4711", Some(2), Some(500), Claim::Nothing),
            ("opted-out; ", Some(2), Some(500), Claim::OptedOut),
            (&named, Some(2), Some(500), Claim::Fits(record)),
            (&named, Some(2), Some(501), Claim::OtherSize(record, 501)),
            (&named, Some(2), None, Claim::Unknown),
            (&named, None, Some(500), Claim::Unknown),
            (&named, Some(3), Some(500), Claim::OtherVersion),
            (&named, Some(1), Some(400), Claim::OtherVersion),
            // A person's wish takes nothing back that was done before.
            (&wished, Some(2), Some(500), Claim::Fits(record)),
            (&wished, Some(3), Some(400), Claim::OptedOut),
        ];
        for (text, active, bytes, wanted) in table {
            assert_eq!(
                Claim::new(&Marker::parse(Some(text)), active, bytes),
                wanted,
                "{text} {active:?} {bytes:?}"
            );
        }
    }
}
