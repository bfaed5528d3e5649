//! Any number of single assets, by their ids.

use std::collections::HashSet;
use std::fmt;

use common::asset::AssetId;

/// Ids as they were written, and a set for lookups.
#[derive(Clone, Default, PartialEq)]
pub struct Ids {
    written: Vec<AssetId>,
    digits: HashSet<String>,
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
        !self.is_empty() && self.digits.contains(&digits(id.as_str()))
    }
}

impl FromIterator<AssetId> for Ids {
    fn from_iter<I: IntoIterator<Item = AssetId>>(ids: I) -> Self {
        let written: Vec<_> = ids.into_iter().collect();
        let digits = written.iter().map(|id| digits(id.as_str())).collect();
        Self { written, digits }
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
