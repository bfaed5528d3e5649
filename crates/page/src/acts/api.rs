//! The acts for programs, which send a token with each request.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use common::bounded::{MOST_BYTES, optional};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::ActState;
use super::pause::Reason;
use super::record::From;
use super::work::Change;
use crate::access::Holder;
use crate::filter::FailedQuery;
use crate::problem::Problem;
use crate::read::{answer, parameters};

/// A body with its keys: the fields of a list would be taken in their order.
type Sent = Result<Json<Map<String, Value>>, JsonRejection>;

/// A key that is not known is refused: a mistyped filter would be none, and the act would concern all failed jobs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    class: Option<String>,
    name: Option<String>,
    asset: Option<String>,
    job: Option<String>,
    /// Left out, the jobs are only counted.
    #[serde(default, deserialize_with = "optional::<MOST_BYTES, _, _>")]
    until: Option<u64>,
}

pub(super) async fn retry(
    state: State<ActState>,
    holder: Holder,
    wish: Sent,
) -> Result<(StatusCode, Json<Value>), Problem> {
    change(Change::Retry, state, holder, wish).await.map_err(Problem::as_json)
}

pub(super) async fn drop(
    state: State<ActState>,
    holder: Holder,
    wish: Sent,
) -> Result<(StatusCode, Json<Value>), Problem> {
    change(Change::Drop, state, holder, wish).await.map_err(Problem::as_json)
}

async fn change(
    change: Change,
    State(state): State<ActState>,
    Holder(by): Holder,
    wish: Sent,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let Wish { class, name, asset, job, until } = body(wish)?;
    let query = FailedQuery { class, name, asset, job };
    if let Some(until) = until {
        let begun = state.begin(change, by, &query, until).await?;
        return Ok((StatusCode::ACCEPTED, Json(json!(begun))));
    }
    let filter = query.filter()?;
    let counted = state.live()?.ledger.count_failed(&filter).await?;
    Ok((StatusCode::OK, Json(json!({"matching": counted.matching, "until": counted.until}))))
}

pub(super) async fn pause(
    State(state): State<ActState>,
    Holder(by): Holder,
    reason: Sent,
) -> Result<Json<Value>, Problem> {
    let Reason { reason } = body(reason).map_err(Problem::as_json)?;
    state.pause(by, &reason).await.map_err(Problem::as_json)?;
    Ok(Json(json!({"paused": true})))
}

pub(super) async fn resume(
    State(state): State<ActState>,
    Holder(by): Holder,
) -> Result<Json<Value>, Problem> {
    let was_paused = state.resume(by).await.map_err(Problem::as_json)?;
    Ok(Json(json!({"paused": false, "was_paused": was_paused})))
}

pub(super) async fn list(
    State(state): State<ActState>,
    from: Result<Query<From>, QueryRejection>,
) -> Result<Response, Problem> {
    let from = parameters(from).map_err(Problem::as_json)?;
    let under_way = state.acts.progress();
    let acts = state.listed(&from).await.map_err(Problem::as_json)?;
    Ok(answer(&json!({"under_way": under_way, "acts": acts})))
}

/// What the body of a request says.
fn body<T: DeserializeOwned>(sent: Sent) -> Result<T, Problem> {
    let Json(fields) = sent.map_err(|wrong| {
        // Not what the library says of it, which quotes the body.
        Problem::bad_query(match wrong {
            JsonRejection::JsonDataError(_) => "The body is no object.",
            JsonRejection::JsonSyntaxError(_) => "The body is not valid JSON.",
            JsonRejection::MissingJsonContentType(_) => "The body has to be application/json.",
            _ => "The body cannot be read, or is too long.",
        })
    })?;
    serde_json::from_value(Value::Object(fields))
        .map_err(|_| Problem::bad_query("The body has a field that is unknown or of another form."))
}
