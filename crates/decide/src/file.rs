//! What to do with an original whose hash is known.

use common::hash::ContentHash;
use common::marker::{FileVerdict, LegacyHash, LegacyMeaning, Marker, Record};

/// The decision from the marker and the file's hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileDecision {
    /// The file is a watermarked one: complete the marker, starting from this record.
    AlreadyProtected {
        /// The record that names the file; `None` if another tool's hash does.
        record: Option<Record>,
    },
    /// The file needs a watermark.
    Protect,
}

/// Decides by the file's own hash. `extra_hash` is the file's MD5 or SHA-1 if the marker is such a hash.
pub fn decide_file(
    marker: &Marker,
    sha256: ContentHash,
    extra_hash: Option<&str>,
    legacy: LegacyMeaning,
) -> FileDecision {
    let legacy_matches = match marker {
        Marker::Legacy(hash @ LegacyHash::Sha256(_)) => hash.digits() == sha256.to_string(),
        Marker::Legacy(hash) => extra_hash == Some(hash.digits()),
        Marker::Absent | Marker::Ours(_) | Marker::Foreign(_) => false,
    };
    match marker.verdict(sha256, legacy_matches, legacy) {
        FileVerdict::Watermarked(record) => FileDecision::AlreadyProtected { record: Some(record) },
        FileVerdict::LegacyProtected => FileDecision::AlreadyProtected { record: None },
        // A person restored or uploaded the unprotected file again.
        FileVerdict::KnownOriginal(_) | FileVerdict::Unknown => FileDecision::Protect,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_legacy_hash_counts_only_when_it_is_this_files() {
        let sha256 = ContentHash::from_bytes([1; 32]);
        let ours = Marker::parse(Some(&sha256.to_string()));
        let other = Marker::parse(Some(&"ab".repeat(32)));
        let protected = LegacyMeaning::Protected;
        assert_eq!(
            decide_file(&ours, sha256, None, protected),
            FileDecision::AlreadyProtected { record: None }
        );
        assert_eq!(decide_file(&other, sha256, None, protected), FileDecision::Protect);
        assert_eq!(decide_file(&ours, sha256, None, LegacyMeaning::Original), FileDecision::Protect);
        let md5 = "ab".repeat(16);
        let marker = Marker::parse(Some(&md5));
        assert_eq!(
            decide_file(&marker, sha256, Some(&md5), protected),
            FileDecision::AlreadyProtected { record: None }
        );
        assert_eq!(decide_file(&marker, sha256, Some("x"), protected), FileDecision::Protect);
    }

    #[test]
    fn a_restored_original_is_protected_again() {
        let original = ContentHash::from_bytes([1; 32]);
        let watermarked = ContentHash::from_bytes([2; 32]);
        let record = Record { original, watermarked, version: 2, bytes: 9 };
        let marker = Marker::parse(Some(&record.to_string()));
        let legacy = LegacyMeaning::Original;
        assert_eq!(decide_file(&marker, original, None, legacy), FileDecision::Protect);
        assert_eq!(
            decide_file(&marker, watermarked, None, legacy),
            FileDecision::AlreadyProtected { record: Some(record) }
        );
    }
}
