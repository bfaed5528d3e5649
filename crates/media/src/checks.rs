//! Which checks are made.

use std::collections::BTreeSet;

use common::check::{Check, USUAL_SIMILARITY};
use serde::{Deserialize, Serialize};

/// The checks that are switched on; all of them by default.
///
/// What no check needs is not read: pictures are decoded for [`Check::SamePicture`] and [`Check::Alpha`] alone, documents parsed for
/// [`Check::Pages`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checks {
    /// The checks to make.
    pub made: BTreeSet<Check>,
    /// How alike two pictures must be to count as the same, from 0 to 1.
    pub similarity: f64,
}

impl Checks {
    pub(crate) fn includes(&self, check: Check) -> bool {
        self.made.contains(&check)
    }
}

impl Default for Checks {
    fn default() -> Self {
        Self { made: Check::ALL.into(), similarity: USUAL_SIMILARITY }
    }
}
