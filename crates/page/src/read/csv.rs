//! Failed jobs for a spreadsheet, page by page, so that a long list takes little memory.

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use common::spreadsheet::cell;
use csv::{QuoteStyle, WriterBuilder};
use futures::stream;
use jiff::Timestamp;
use ledger::{FailedFilter, FailedFrom, Ledger};

use crate::filter::FailedQuery;
use crate::problem::Problem;
use crate::read::reading::{Reading, parameters};
use crate::read::rows::FailedRow;
use crate::state::PageState;

/// Rows that are read at once.
const ROWS: usize = 500;

const COLUMNS: [&str; 13] = [
    "asset_id",
    "asset_name",
    "version",
    "class",
    "problem",
    "reason",
    "what_to_do",
    "failed_at",
    "attempts",
    "run_id",
    "job_id",
    "request_id",
    "bynder_url",
];

pub(super) async fn download(
    State(reading): State<Reading>,
    query: Result<Query<FailedQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let filter = parameters(query)?.filter()?;
    let (ledger, state) = (reading.ledger().await?, reading.state);
    let first = (Some(FailedFrom::Skip(0)), true);
    let pages = stream::try_unfold(first, move |(from, is_first)| {
        let (ledger, filter, state) = (ledger.clone(), filter.clone(), state.clone());
        async move {
            let Some(from) = from else { return Ok(None) };
            let (rows, next) = page(ledger.as_ref(), &filter, &state, from).await?;
            let text = text(&rows, is_first)?;
            Ok::<_, std::io::Error>(Some((Bytes::from(text), (next, false))))
        }
    });
    let name = format!("attachment; filename=\"failed-{}.csv\"", Timestamp::now().strftime("%Y-%m-%d"));
    let headers = [(CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(pages)).into_response())
}

async fn page(
    ledger: Option<&Ledger>,
    filter: &FailedFilter,
    state: &PageState,
    from: FailedFrom,
) -> std::io::Result<(Vec<FailedRow>, Option<FailedFrom>)> {
    let Some(ledger) = ledger else { return Ok((Vec::new(), None)) };
    let page = ledger.failed_page(filter, from, ROWS).await.map_err(std::io::Error::other)?;
    let rows = page.events.into_iter().map(|event| FailedRow::of(state, event)).collect();
    Ok((rows, page.after.map(FailedFrom::After)))
}

/// Rows with quoted cells, since some spreadsheets treat `;` as a separator.
fn text(rows: &[FailedRow], is_first: bool) -> std::io::Result<Vec<u8>> {
    let mut writer = WriterBuilder::new().quote_style(QuoteStyle::Always).from_writer(Vec::new());
    if is_first {
        writer.write_record(COLUMNS)?;
    }
    for row in rows {
        writer.write_record(cells(row))?;
    }
    writer.into_inner().map_err(csv::IntoInnerError::into_error)
}

/// Texts from outside are made safe for a spreadsheet. The others are the connector's own.
fn cells(row: &FailedRow) -> [String; COLUMNS.len()] {
    [
        cell(&row.asset_id),
        cell(&row.asset_name),
        row.version.to_string(),
        row.class.to_owned(),
        row.problem.to_owned(),
        cell(&row.reason),
        row.what_to_do.to_owned(),
        cell(&row.failed_at.to_string()),
        row.attempts.to_string(),
        cell(&row.run_id),
        cell(&row.job_id),
        cell(row.request_id.as_deref().unwrap_or_default()),
        row.bynder_url.clone().unwrap_or_default(),
    ]
}
