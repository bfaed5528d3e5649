//! Walking the library by date instead of by page offset, which shifts while people work.

use std::collections::BTreeMap;
use std::time::Duration;

use common::asset::{Asset, AssetId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// More rows than that of one second are no library's; each is kept in memory until the second ends.
const MOST_IN_ONE_SECOND: usize = 200_000;

/// Where the walk stands. Only the bound is durable: after a restart the rows above it are read once more, which costs no more
/// than the pages of one second, and what is decided of them again is the same. The rest would be written with each page,
/// and grow with the rows of one second.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The lower bound of the next request; `None` at the very start.
    pub from: Option<Timestamp>,
    /// The page to ask for below that bound, from 1: more rows in one second than a page holds are paged.
    #[serde(skip, default = "first_page")]
    pub page: u32,
    /// Rows at or above `from` that were seen already; bounded by what one second holds.
    #[serde(skip)]
    pub seen: BTreeMap<AssetId, Timestamp>,
    /// Set while the pages below this bound are read once more, from the last to the first.
    #[serde(skip)]
    pub back: Option<Back>,
}

/// What follows when the pages below a bound were read backwards.
///
/// Rows that leave the listing, such as those that a worker changes, move later ones to pages that were read before. Read
/// backwards, no page is passed by a row: all that are left were seen then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Back {
    /// The walk goes on from this bound.
    Then(Timestamp),
    /// The walk is over.
    End,
}

/// What the portal returns is no list that can be walked, so nothing can be said about what was missed.
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
    /// Pages that are asked for by number do not end.
    #[error(
        "the portal returns assets on page {0} that it returned before, and none that are new; the run stops"
    )]
    Endless(u32),
    /// Nothing on this page and those before can be read, so nothing says where to continue.
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

    /// Rows of a received page that were not seen before, and the position after it; `None` at the end, which only an
    /// empty page is: a portal may send fewer rows than were asked for.
    ///
    /// `date` gives the column that the listing is sorted by, `rows` the number of rows the portal sent, unreadable ones
    /// included. Rows may be out of order by `lag`, as an index that lags behind sorts them.
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
            // Each page before this one had a row of its own.
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

fn a_second_before(at: Timestamp) -> Timestamp {
    at.checked_sub(SignedDuration::from_secs(1)).unwrap_or(Timestamp::MIN)
}
