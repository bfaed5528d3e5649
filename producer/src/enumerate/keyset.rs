//! Walking the library by date instead of by page offset, which shifts while people work.

use std::collections::BTreeMap;

use common::asset::{Asset, AssetId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Where the walk stands; durable after each page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The lower bound of the next request; `None` at the very start.
    pub from: Option<Timestamp>,
    /// The page to ask for below that bound, from 1: more rows in one second than a page holds are paged.
    pub page: u32,
    /// Rows at or above `from` that were seen already; bounded by what one second holds.
    pub seen: BTreeMap<AssetId, Timestamp>,
}

/// The portal does not sort as asked, so nothing can be said about what was missed.
#[derive(Debug, thiserror::Error)]
#[error("the portal does not return assets in the order asked for ({earlier} after {later}); the run stops")]
pub struct NotSorted {
    earlier: Timestamp,
    later: Timestamp,
}

impl Position {
    /// The start of the library.
    pub fn start() -> Self {
        Self { from: None, page: 1, seen: BTreeMap::new() }
    }

    /// Rows of a received page that were not seen before, and the position after it; `None` when it was the last.
    ///
    /// `date` gives the column that the listing is sorted by; `limit` is the page size asked for, and `rows` the
    /// number of rows the portal sent, unreadable ones included.
    pub fn advance(
        self,
        assets: Vec<Asset>,
        rows: usize,
        limit: usize,
        date: impl Fn(&Asset) -> Timestamp,
    ) -> Result<(Vec<Asset>, Option<Self>), NotSorted> {
        for pair in assets.windows(2) {
            let (later, earlier) = (date(&pair[0]), date(&pair[1]));
            if earlier < later {
                return Err(NotSorted { earlier, later });
            }
        }
        // Whether the portal's lower bound is inclusive is not documented: one second less works either way.
        let next_from = assets.last().map(|last| date(last) - SignedDuration::from_secs(1));
        let mut seen = self.seen;
        let fresh: Vec<_> = assets.into_iter().filter(|asset| !seen.contains_key(&asset.id)).collect();
        if rows < limit {
            return Ok((fresh, None));
        }
        seen.extend(fresh.iter().map(|asset| (asset.id.clone(), date(asset))));
        let advanced = next_from.filter(|next| self.from.is_none_or(|from| *next > from));
        let next = match advanced {
            Some(from) => {
                seen.retain(|_, at| *at >= from);
                Self { from: Some(from), page: 1, seen }
            }
            None => Self { from: self.from, page: self.page + 1, seen },
        };
        Ok((fresh, Some(next)))
    }
}
