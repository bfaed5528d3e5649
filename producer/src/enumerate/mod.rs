//! Walking the library: one page in memory, resumable after each.

mod keyset;

#[cfg(test)]
mod tests;

use common::asset::Asset;
use common::bynder::{Bynder, BynderError, DateField, ListQuery, Order};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use keyset::{NotSorted, Position};

use common::patience::{Patience, patiently};

/// Rows a page: the most the portal gives.
const PAGE: u32 = 1000;

/// The stretch of the library that a run goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// The date column it is bounded and sorted by.
    pub field: DateField,
    /// The lower bound.
    pub from: Option<Timestamp>,
    /// The upper bound: what the run itself changes must not come up again.
    pub to: Option<Timestamp>,
}

/// Where a walk stands between two pages; durable as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Which of the pushed-down requests.
    request: usize,
    position: Position,
}

/// A walk over the library.
#[derive(Debug)]
pub struct Walk {
    bynder: Bynder,
    requests: Vec<ListQuery>,
    stretch: Stretch,
    place: Place,
    /// Lives only as long as the process: the portal forgets cursors.
    cursor: Option<String>,
}

/// One page, and where to go on.
#[derive(Debug)]
pub struct Step {
    /// Assets not seen before.
    pub assets: Vec<Asset>,
    /// Rows not seen before, those that cannot be read among them.
    pub rows: usize,
    /// The portal's clock.
    pub portal_time: Option<Timestamp>,
    /// Where to go on; `None` at the end.
    pub next: Option<Place>,
}

/// A walk that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// The portal failed, patience and all.
    #[error(transparent)]
    Bynder(#[from] BynderError),
    /// The portal's order cannot be relied on.
    #[error(transparent)]
    NotSorted(#[from] NotSorted),
}

impl Walk {
    /// Starts at `place`, or at the beginning of the stretch.
    pub fn new(bynder: Bynder, requests: Vec<ListQuery>, stretch: Stretch, place: Option<Place>) -> Self {
        let start = Place { request: 0, position: Position { from: stretch.from, ..Position::start() } };
        Self { bynder, requests, stretch, place: place.unwrap_or(start), cursor: None }
    }

    /// Fetches the next page; `None` when there is none.
    pub async fn next(&mut self, patience: &Patience) -> Result<Option<Step>, WalkError> {
        let Some(request) = self.requests.get(self.place.request) else { return Ok(None) };
        let position = self.place.position.clone();
        let query = ListQuery {
            limit: PAGE,
            page: position.page,
            cursor: self.cursor.take(),
            order: Some((self.stretch.field, Order::Ascending)),
            dates: Some((self.stretch.field, position.from, self.stretch.to)),
            ..request.clone()
        };
        let page = patiently(patience, || self.bynder.list(&query)).await?;
        let (portal_time, rows, readable) = (page.portal_time, page.rows, page.assets.len());
        let field = self.stretch.field;
        let (assets, next) = position.advance(page.assets, rows, PAGE as usize, |asset| field.of(asset))?;
        self.cursor = page.next_cursor;
        let next = match next {
            Some(position) => Some(Place { position, ..self.place }),
            None => self.next_request(),
        };
        self.place =
            next.clone().unwrap_or(Place { request: self.requests.len(), position: Position::start() });
        let repeated = readable - assets.len();
        Ok(Some(Step { assets, rows: rows - repeated, portal_time, next }))
    }

    fn next_request(&mut self) -> Option<Place> {
        self.cursor = None;
        let request = self.place.request + 1;
        let position = Position { from: self.stretch.from, ..Position::start() };
        (request < self.requests.len()).then_some(Place { request, position })
    }
}
