//! Walks the library: one page in memory, resumable after each.

mod keyset;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use bynder::{Bynder, BynderError, DateField, ListQuery, Order};
use common::asset::Asset;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use keyset::{NotWalkable, Position};

use crate::filter::Requests;
use bynder::patience::{Patience, patiently};

/// Rows per page: the portal's maximum.
const PAGE: u32 = 1000;
/// How far rows may be out of order, unless configured.
pub const LAG: Duration = Duration::from_mins(15);
/// Unreadable rows that are remembered by their ids.
const MOST_UNREADABLE: usize = 10_000;

/// The part of the library that a run walks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// The date column that bounds and sorts it.
    pub field: DateField,
    /// The lower bound.
    pub from: Option<Timestamp>,
    /// The upper bound: what the run itself changes must not appear again.
    pub to: Option<Timestamp>,
}

/// The position of a walk between two pages; durable as JSON, which keeps only the bound of the [`Position`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WalkPosition {
    /// The index of the pushed-down request.
    request: usize,
    position: Position,
}

impl WalkPosition {
    /// The request, and the date from which a walk that resumes here reads its rows.
    pub(crate) fn bound(&self) -> (usize, Option<Timestamp>) {
        (self.request, self.position.from)
    }

    /// The position from which all rows at its bound are read, whether or not the portal includes that.
    pub(crate) fn a_second_earlier(mut self) -> Self {
        self.position.from = self.position.from.map(keyset::a_second_before);
        self
    }
}

/// A walk over the library.
#[derive(Debug)]
pub struct Walk {
    bynder: Bynder,
    requests: Requests,
    stretch: Stretch,
    /// How far rows may be out of order.
    lag: Duration,
    place: WalkPosition,
    unreadable: Unreadable,
}

/// One page, and the next position.
#[derive(Debug)]
pub struct Step {
    /// Assets not seen before.
    pub assets: Vec<Asset>,
    /// Unreadable rows not seen before.
    pub unreadable: usize,
    /// How many rows the walk has in all by the portal's count, if this page asked for it.
    pub total: Option<u64>,
    /// The portal's clock.
    pub portal_time: Option<Timestamp>,
    /// The next position; `None` at the end.
    pub next: Option<WalkPosition>,
}

/// Why a walk cannot continue.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// The portal failed, even after retries.
    #[error(transparent)]
    Bynder(#[from] BynderError),
    /// The portal's order cannot be relied on.
    #[error(transparent)]
    NotWalkable(#[from] NotWalkable),
}

/// The unreadable rows seen so far: pages overlap, and each row counts once.
#[derive(Debug, Default)]
struct Unreadable(BTreeSet<String>);

impl Unreadable {
    /// Returns how many of these are new. Remembers only a bounded number: if the portal changed its format, every
    /// row is unreadable.
    fn meet(&mut self, rows: Vec<Option<String>>) -> usize {
        let new = rows.into_iter().filter(|id| match id {
            Some(id) if self.0.len() < MOST_UNREADABLE => self.0.insert(id.clone()),
            Some(id) => !self.0.contains(id),
            None => true,
        });
        new.count()
    }
}

impl Walk {
    /// Starts at `place`, or at the beginning of the stretch. Rows may be out of order by `lag`.
    pub fn new(
        bynder: Bynder,
        requests: Requests,
        stretch: Stretch,
        lag: Duration,
        place: Option<WalkPosition>,
    ) -> Self {
        let start =
            WalkPosition { request: 0, position: Position { from: stretch.from, ..Position::start() } };
        let place = place.unwrap_or(start);
        Self { bynder, requests, stretch, lag, place, unreadable: Unreadable::default() }
    }

    /// Fetches the next page; `None` if there is none.
    pub async fn next(&mut self, patience: &Patience) -> Result<Option<Step>, WalkError> {
        let Some(request) = self.requests.get(self.place.request) else { return Ok(None) };
        let position = self.place.position.clone();
        // A page that holds as many rows as the portal counts is the whole answer. The count costs the portal a search of its own,
        // so only walks that are short ask for it.
        let total = self.stretch.field == DateField::Modified && position.is_first();
        let query = ListQuery {
            limit: PAGE,
            total,
            page: position.page,
            order: Some((self.stretch.field, Order::Ascending)),
            dates: Some((self.stretch.field, position.from, self.stretch.to)),
            ..request
        };
        let page = patiently(patience, || self.bynder.list(&query)).await?;
        let (portal_time, total_rows, rows) = (page.portal_time, page.total, page.rows());
        let field = self.stretch.field;
        let (assets, next) = position.advance(page.assets, rows, self.lag, |asset| field.of(asset))?;
        // A page that is full may be counted as a page.
        let is_whole = total && rows < PAGE as usize && total_rows == Some(rows as u64);
        let next = match next.filter(|_| !is_whole) {
            Some(position) => Some(WalkPosition { position, ..self.place }),
            None => self.next_request(),
        };
        self.place = next
            .clone()
            .unwrap_or(WalkPosition { request: self.place.request + 1, position: Position::start() });
        let unreadable = self.unreadable.meet(page.unreadable);
        Ok(Some(Step { assets, unreadable, total: total_rows, portal_time, next }))
    }

    /// The number of requests that the filters take.
    pub fn requests(&self) -> usize {
        let mut count = 0;
        while self.requests.get(count).is_some() {
            count += 1;
        }
        count
    }

    /// A page of one request, counted from 1, the newest rows first. Rows move between such pages while people work.
    pub async fn newest(&self, request: usize, page: u32, patience: &Patience) -> Result<Step, WalkError> {
        let Stretch { field, from, to } = self.stretch;
        let query = ListQuery {
            limit: PAGE,
            page,
            order: Some((field, Order::Descending)),
            dates: Some((field, from, to)),
            ..self.requests.get(request).unwrap_or_default()
        };
        let page = patiently(patience, || self.bynder.list(&query)).await?;
        let (portal_time, unreadable) = (page.portal_time, page.unreadable.len());
        Ok(Step { assets: page.assets, unreadable, total: page.total, portal_time, next: None })
    }

    /// Ends the stretch: later changes are left to another run.
    pub fn end_at(&mut self, to: Timestamp) {
        self.stretch.to = Some(self.stretch.to.map_or(to, |earlier| earlier.min(to)));
    }

    fn next_request(&self) -> Option<WalkPosition> {
        let request = self.place.request + 1;
        let position = Position { from: self.stretch.from, ..Position::start() };
        self.requests.get(request).map(|_| WalkPosition { request, position })
    }
}
