//! Which checks are enabled.

use std::collections::BTreeSet;

use common::check::{Check, USUAL_SIMILARITY};
use common::content::Content;
use common::hash::FileFacts;
use serde::{Deserialize, Serialize};

/// The enabled checks; by default all of them.
///
/// Nothing is read that no check needs: pictures are decoded only for [`Check::SamePicture`] and [`Check::Alpha`], documents
/// are parsed only for [`Check::Pages`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checks {
    pub enabled: BTreeSet<Check>,
    /// Least similarity of pictures that count as the same, from 0 to 1.
    pub similarity: f64,
}

impl Checks {
    /// The checks that can compare a result with this original. If the original crashed its reader or took it to the deadline,
    /// the result probably would too, and there would be nothing to compare it with.
    #[must_use]
    pub fn of_result(&self, original: &FileFacts) -> Self {
        let mut checks = self.clone();
        if let Some(Content::Unreadable(_)) = original.content.as_deref() {
            let has_size = original.pixels.is_some();
            checks
                .enabled
                .retain(|check| *check == Check::MediaType || (*check == Check::PixelSize && has_size));
        }
        checks
    }

    /// Whether any enabled check needs more than the media type and the size in pixels.
    pub(crate) fn need_content(&self) -> bool {
        self.enabled.iter().any(|check| !matches!(check, Check::MediaType | Check::PixelSize))
    }

    pub(crate) fn includes(&self, check: Check) -> bool {
        self.enabled.contains(&check)
    }
}

impl Default for Checks {
    fn default() -> Self {
        Self { enabled: Check::ALL.into(), similarity: USUAL_SIMILARITY }
    }
}
