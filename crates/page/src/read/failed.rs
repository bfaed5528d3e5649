//! The table of failed jobs.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Html;
use common::outcome::FailureClass;
use jiff::Timestamp;
use ledger::{FailedFilter, FailedPage};

use crate::filter::{FailedQuery, PlaceQuery};
use crate::frame::{Frame, Viewer};
use crate::problem::Problem;
use crate::read::reading::{Reading, html, parameters};
use crate::read::rows::FailedRow;
use crate::text::{Moment, number, shown};
use crate::words::of_class;

/// Rows per page.
const ROWS: usize = 50;

#[derive(Template)]
#[template(path = "failed.html")]
struct FailedTable {
    frame: Frame,
    /// The part of a name that is looked for.
    name: String,
    classes: Vec<ClassChoice>,
    /// Whether a class or a name is chosen.
    is_filtered: bool,
    /// Jobs that match.
    count: u64,
    rows: Vec<Row>,
    has_thumbnails: bool,
    previous: Option<String>,
    next: Option<String>,
    csv: String,
    retry_all: String,
    drop_all: String,
}

struct ClassChoice {
    name: &'static str,
    title: &'static str,
    count: String,
    is_chosen: bool,
}

struct Row {
    asset_id: String,
    name: String,
    problem: &'static str,
    reason: String,
    what_to_do: &'static str,
    since: Moment,
    bynder_url: Option<String>,
    retry: String,
    drop: String,
}

impl Row {
    fn of(row: FailedRow, now: Timestamp) -> Self {
        let query = FailedQuery { job: Some(row.job_id), ..FailedQuery::default() };
        let name = if row.asset_name.is_empty() { &row.asset_id } else { &row.asset_name };
        Self {
            name: shown(name),
            asset_id: row.asset_id,
            problem: row.problem,
            reason: shown(&row.reason),
            what_to_do: row.what_to_do,
            since: Moment::of(row.failed_at, now),
            bynder_url: row.bynder_url,
            retry: query.link("/failed/retry", &[]),
            drop: query.link("/failed/drop", &[]),
        }
    }
}

impl FailedTable {
    fn count_text(&self) -> String {
        number(self.count)
    }
}

pub(super) async fn show(
    State(reading): State<Reading>,
    viewer: Viewer,
    query: Result<Query<FailedQuery>, QueryRejection>,
    place: Result<Query<PlaceQuery>, QueryRejection>,
) -> Result<Html<String>, Problem> {
    let (query, place) = (parameters(query)?, parameters(place)?);
    let filter = query.filter()?;
    let (mut page, mut counts) = (FailedPage::default(), BTreeMap::new());
    if let Some(ledger) = reading.ledger().await? {
        page = ledger.failed_page(&filter, place.from()?, ROWS).await?;
        let every_class = FailedFilter { class: None, ..filter.clone() };
        counts = if every_class == FailedFilter::default() {
            reading.snapshot().await?.failed.clone()
        } else {
            ledger.failed_by_class(&every_class).await?
        };
    }
    let now = Timestamp::now();
    let count_of = |class: FailureClass| counts.get(class.name()).copied().unwrap_or_default();
    let choice = |class: FailureClass| ClassChoice {
        name: class.name(),
        title: of_class(class).title,
        count: number(count_of(class)),
        is_chosen: filter.class == Some(class),
    };
    let is_shown = |class: &FailureClass| count_of(*class) > 0 || filter.class == Some(*class);
    let has_thumbnails = reading.shows_thumbnails(page.events.iter().map(|event| &event.asset_id));
    let events = page.events.into_iter();
    html(&FailedTable {
        frame: reading.frame(viewer, "failed"),
        name: query.name.clone().unwrap_or_default(),
        classes: FailureClass::ALL.into_iter().filter(is_shown).map(choice).collect(),
        is_filtered: filter != FailedFilter::default(),
        count: filter.class.map_or_else(|| counts.values().sum(), count_of),
        rows: events.map(|event| Row::of(FailedRow::of(&reading.state, event), now)).collect(),
        has_thumbnails,
        previous: page.before.map(|place| query.link("/failed", &[("before", &place.to_string())])),
        next: page.after.map(|place| query.link("/failed", &[("after", &place.to_string())])),
        csv: query.link("/failed.csv", &[]),
        retry_all: query.link("/failed/retry", &[]),
        drop_all: query.link("/failed/drop", &[]),
    })
}
