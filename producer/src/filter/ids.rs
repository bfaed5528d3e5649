//! Any number of single assets, by their ids.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use common::asset::AssetId;
use sha2::{Digest, Sha256};

/// Ids as they were written, and a set for lookups; shared, since there may be a million.
#[derive(Clone, Default, PartialEq)]
pub struct Ids {
    written: Arc<[AssetId]>,
    keys: Arc<HashSet<IdKey>>,
}

/// What all forms of an id have in common, in 16 bytes: half of a SHA-256 of its digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct IdKey([u8; 16]);

impl From<&AssetId> for IdKey {
    fn from(id: &AssetId) -> Self {
        let mut hash = Sha256::new();
        digits_of(id.as_str()).for_each(|digit| hash.update([digit as u8]));
        let mut key = [0; 16];
        key.copy_from_slice(&hash.finalize()[..16]);
        Self(key)
    }
}

impl Ids {
    /// The ids in their order.
    pub fn written(&self) -> &[AssetId] {
        &self.written
    }

    pub fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// Whether this id is among them, however it is written.
    pub fn contains(&self, id: &AssetId) -> bool {
        !self.is_empty() && self.keys.contains(&IdKey::from(id))
    }

    pub(crate) fn keys(&self) -> &HashSet<IdKey> {
        &self.keys
    }
}

impl FromIterator<AssetId> for Ids {
    fn from_iter<I: IntoIterator<Item = AssetId>>(ids: I) -> Self {
        let written: Arc<[AssetId]> = ids.into_iter().collect();
        let keys = Arc::new(written.iter().map(IdKey::from).collect());
        Self { written, keys }
    }
}

/// As the list alone: recorded fingerprints of filters contain this.
impl fmt::Debug for Ids {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.written.fmt(formatter)
    }
}

/// Bynder writes one id in two forms; the digits are the same.
pub(super) fn same_digits(left: &str, right: &str) -> bool {
    digits_of(left).eq(digits_of(right))
}

/// The part of an id that is the same in all its forms.
pub(crate) fn digits(id: &str) -> String {
    digits_of(id).collect()
}

fn digits_of(id: &str) -> impl Iterator<Item = char> {
    id.chars().filter(|digit| *digit != '-').map(|digit| digit.to_ascii_lowercase())
}
