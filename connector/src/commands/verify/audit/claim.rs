//! What an asset's marker claims about the active version, and whether the length agrees. Pure.

use common::asset::{Asset, AssetDetail};
use common::marker::{Marker, Record};

/// A marker's claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// It has no record, and so claims nothing.
    Nothing,
    /// Nothing about the active version, and the asset is opted out.
    OptedOut,
    /// Nothing about the active version: a person made or restored another one.
    OtherVersion,
    /// The active version is this protected file, and the length agrees.
    Fits(Record),
    /// The active version is this protected file, but its length differs.
    OtherSize(Record, u64),
    /// The portal does not report the active version or its length.
    Unknown,
}

impl Claim {
    /// From a row of the listing.
    pub(super) fn of_row(asset: &Asset, marker: &Marker) -> Self {
        Self::new(marker, asset.active_version, Some(asset.bytes).filter(|bytes| *bytes > 0))
    }

    /// From a single GET.
    pub(super) fn of_asset(detail: &AssetDetail, marker: &Marker) -> Self {
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
            // An opt-out does not undo earlier protection.
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
