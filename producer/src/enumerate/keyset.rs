//! Walks the library by date instead of by page offset, which shifts while people work.

use std::collections::BTreeMap;
use std::time::Duration;

use common::asset::{Asset, AssetId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// No library has more rows than this in one second; they are all kept in memory until the second ends.
const MOST_IN_ONE_SECOND: usize = 200_000;

/// The position of a walk. Only the bound is durable: after a restart the rows above it are read again, which costs
/// no more than the pages of one second, and the decisions about them are the same. The rest would have to be
/// written with each page, and grows with the rows of one second.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The lower bound of the next request; `None` at the very start.
    pub from: Option<Timestamp>,
    /// The page to request with that bound, from 1: if one second has more rows than a page holds, they are paged.
    #[serde(skip, default = "first_page")]
    pub page: u32,
    /// Rows at or above `from` that were already seen; bounded by the rows of one second.
    #[serde(skip)]
    pub seen: BTreeMap<AssetId, Timestamp>,
    /// Set while the pages with this bound are read again, from the last to the first.
    #[serde(skip)]
    pub back: Option<Back>,
}

/// What follows when the pages with a bound have been read backwards.
///
/// When rows leave the listing, such as those that a worker changes, later rows move to pages that were already
/// read. Read backwards, no row can move past the walk: all that remain have been seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Back {
    /// The walk continues from this bound.
    Then(Timestamp),
    /// The walk ends.
    End,
}

/// The portal's listing cannot be walked, so it is unknown which rows were missed.
#[derive(Debug, thiserror::Error)]
pub enum NotWalkable {
    /// A row is out of order by more than the listing may lag.
    #[error(
        "the portal does not return assets in the order asked for ({earlier} after {later}); the run stops"
    )]
    Unsorted {
        /// The earlier date.
        earlier: Timestamp,
        /// The later date, which came first.
        later: Timestamp,
    },
    /// Pages requested by number do not end.
    #[error(
        "the portal returns assets on page {0} that it returned before, and none that are new; the run stops"
    )]
    Endless(u32),
    /// No row on this page and those before can be read, so there is no bound to continue from.
    #[error(
        "the portal returns only rows that cannot be read, up to page {0}; the log names each with the reason. The format may \
         have changed: update the connector or report it; the run stops"
    )]
    Unreadable(u32),
    /// The rows of one second do not end.
    #[error(
        "the portal returns more than {MOST_IN_ONE_SECOND} assets within a second of {0}; ask Bynder's support about the listing; \
         the run stops"
    )]
    Crowded(Timestamp),
}

impl Position {
    /// The start of the library.
    pub fn start() -> Self {
        Self { from: None, page: 1, ..Self::default() }
    }

    /// Whether no page with its bound was received.
    pub fn is_first(&self) -> bool {
        self.page == 1 && self.seen.is_empty() && self.back.is_none()
    }

    /// Returns the rows of a received page that were not seen before, and the next position; `None` at the end.
    /// Only an empty page ends the walk: a portal may send fewer rows than requested.
    ///
    /// `date` returns the column that the listing is sorted by; `rows` is the number of rows that the portal sent,
    /// including unreadable ones. Rows may be out of order by `lag`, since a lagging index sorts them.
    pub fn advance(
        self,
        assets: Vec<Asset>,
        rows: usize,
        lag: Duration,
        date: impl Fn(&Asset) -> Timestamp,
    ) -> Result<(Vec<Asset>, Option<Self>), NotWalkable> {
        check_order(assets.iter().map(&date), lag)?;
        // Whether the portal's lower bound is inclusive is not documented: one second less works either way.
        let bound = assets.last().map(|last| a_second_before(date(last)));
        let bound = bound.filter(|bound| self.from.is_none_or(|from| *bound > from));
        let (mut here, is_readable) = (self, !assets.is_empty());
        let fresh: Vec<_> = assets.into_iter().filter(|asset| !here.seen.contains_key(&asset.id)).collect();
        here.seen.extend(fresh.iter().map(|asset| (asset.id.clone(), date(asset))));
        let next = match (here.back, bound) {
            (Some(_), _) if here.page > 1 => Some(Self { page: here.page - 1, ..here }),
            (Some(Back::Then(bound)), _) => Some(here.above(bound)),
            (Some(Back::End), _) => None,
            (None, _) if rows == 0 => here.turned(Back::End),
            (None, Some(bound)) if here.page == 1 => Some(here.above(bound)),
            (None, Some(bound)) => here.turned(Back::Then(bound)),
            // Each page before this one had at least one row of its own.
            (None, None) if fresh.is_empty() && here.page as usize > here.seen.len() + 1 => {
                let why = if is_readable { NotWalkable::Endless } else { NotWalkable::Unreadable };
                return Err(why(here.page));
            }
            (None, None) => Some(Self { page: here.page + 1, ..here }),
        };
        match next {
            Some(Self { seen, from, .. }) if seen.len() > MOST_IN_ONE_SECOND => {
                Err(NotWalkable::Crowded(from.unwrap_or(Timestamp::MIN)))
            }
            next => Ok((fresh, next)),
        }
    }

    fn above(mut self, bound: Timestamp) -> Self {
        self.seen.retain(|_, at| *at >= bound);
        Self { from: Some(bound), page: 1, seen: self.seen, back: None }
    }

    /// The page before this one, on the way back; `None` if there is none.
    fn turned(self, back: Back) -> Option<Self> {
        (self.page > 1).then(|| Self { page: self.page - 1, back: Some(back), ..self })
    }
}

fn check_order(dates: impl Iterator<Item = Timestamp>, lag: Duration) -> Result<(), NotWalkable> {
    let mut latest = Timestamp::MIN;
    for date in dates {
        if latest > date && latest.duration_since(date).unsigned_abs() > lag {
            return Err(NotWalkable::Unsorted { earlier: date, later: latest });
        }
        latest = latest.max(date);
    }
    Ok(())
}

fn first_page() -> u32 {
    1
}

pub(super) fn a_second_before(at: Timestamp) -> Timestamp {
    at.checked_sub(SignedDuration::from_secs(1)).unwrap_or(Timestamp::MIN)
}
