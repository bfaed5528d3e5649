//! Which checks are made.

use std::collections::BTreeSet;

use common::check::{Check, USUAL_SIMILARITY};
use common::content::Content;
use common::hash::FileFacts;
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
    /// Those that can compare a result of this original. A result is much like its original: where that broke its reader,
    /// or held it until the deadline, the result would as well, and for nothing.
    #[must_use]
    pub fn of_result(&self, original: &FileFacts) -> Self {
        let mut checks = self.clone();
        if let Some(Content::Unreadable(_)) = original.content.as_deref() {
            let has_size = original.pixels.is_some();
            checks
                .made
                .retain(|check| *check == Check::MediaType || (*check == Check::PixelSize && has_size));
        }
        checks
    }

    /// Whether any of them needs more than the type and the size in pixels.
    pub(crate) fn look_inside(&self) -> bool {
        self.made.iter().any(|check| !matches!(check, Check::MediaType | Check::PixelSize))
    }

    pub(crate) fn includes(&self, check: Check) -> bool {
        self.made.contains(&check)
    }
}

impl Default for Checks {
    fn default() -> Self {
        Self { made: Check::ALL.into(), similarity: USUAL_SIMILARITY }
    }
}
