//! The same as JSON: `docs/openapi.json` describes it.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use common::asset::AssetId;
use common::visible::shown_in_json;
use ledger::FailedPage;
use serde_json::{Value, json};

use crate::filter::{FailedQuery, PlaceQuery};
use crate::problem::Problem;
use crate::read::history::History;
use crate::read::reading::{Reading, parameters};
use crate::read::rows::FailedRow;
use crate::read::runs::MOST_RUNS;

/// Failed jobs in an answer, unless the request says how many.
const USUAL_ROWS: usize = 50;
const MOST_ROWS: usize = 500;

/// An answer without characters that a terminal would act on.
pub(crate) fn answer(value: &Value) -> Response {
    let text = shown_in_json(&value.to_string()).into_owned();
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}

pub(super) async fn overview(State(reading): State<Reading>) -> Result<Response, Problem> {
    let snapshot = reading.snapshot().await.map_err(Problem::as_json)?;
    let budget = snapshot.budget.map(|budget| {
        json!({
            "requests_per_5_minutes": budget.requests_per_5_minutes,
            "share": budget.figures.share,
            "calls_in_5_minutes": budget.figures.lately,
            "processes": budget.figures.members,
            "silence_seconds": budget.figures.silence.map(|left| left.as_secs()),
        })
    });
    Ok(answer(&json!({
        "at": snapshot.at,
        "library": snapshot.library,
        "record": snapshot.record,
        "failed": snapshot.failed,
        "budget": budget,
        "not_ready": snapshot.reasons,
        "status": snapshot.standing.as_json(),
    })))
}

pub(super) async fn failed(
    State(reading): State<Reading>,
    query: Result<Query<FailedQuery>, QueryRejection>,
    place: Result<Query<PlaceQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let answering = async {
        let (query, place) = (parameters(query)?, parameters(place)?);
        let (filter, from, limit) = (query.filter()?, place.from()?, place.limit(USUAL_ROWS, MOST_ROWS)?);
        let mut page = FailedPage::default();
        if let Some(ledger) = reading.ledger().await? {
            page = ledger.failed_page(&filter, from, limit).await?;
        }
        let rows: Vec<_> =
            page.events.into_iter().map(|event| FailedRow::of(&reading.state, event)).collect();
        Ok(answer(&json!({
            "jobs": rows,
            "before": page.before.map(|place| place.to_string()),
            "after": page.after.map(|place| place.to_string()),
        })))
    };
    answering.await.map_err(Problem::as_json)
}

pub(super) async fn asset(
    State(reading): State<Reading>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let answering = async {
        let unknown = || {
            Problem::new(
                StatusCode::NOT_FOUND,
                "No such asset",
                "The record has nothing of an asset with this id.",
            )
        };
        let asset: AssetId = id.parse().map_err(|_| unknown())?;
        let ledger = reading.ledger().await?.ok_or_else(unknown)?;
        let history = History::of(&ledger, &asset).await?.ok_or_else(unknown)?;
        Ok(answer(&json!({
            "asset_id": asset,
            "asset_name": history.name(),
            "bynder_url": reading.state.portal().asset(&asset),
            "history": history.lines,
            "has_more": history.is_cut,
            "acts": history.acts,
        })))
    };
    answering.await.map_err(Problem::as_json)
}

pub(super) async fn runs(State(reading): State<Reading>) -> Result<Response, Problem> {
    let answering = async {
        let (mut runs, mut empty_runs) = (Vec::new(), 0);
        if let Some(ledger) = reading.ledger().await? {
            runs = ledger.latest_runs(MOST_RUNS).await?;
            empty_runs = ledger.empty_runs().await?;
        }
        Ok(answer(&json!({"runs": runs, "runs_without_jobs": empty_runs})))
    };
    answering.await.map_err(Problem::as_json)
}
