//! Retry and drop failed jobs: the page with their number, and the act on exactly these.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::{Query, State};
use axum::http::Uri;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{MethodRouter, get};
use common::bounded::{MOST_BYTES, at_most};
use common::outcome::OutcomeEvent;
use ledger::{FailedFrom, Ledger};
use serde::Deserialize;

use super::work::{Begun, Change, Decided, Place};
use super::{ActState, record, words};
use crate::access::{Signed, Visitor, to_sign_in};
use crate::filter::FailedQuery;
use crate::frame::{Frame, Viewer};
use crate::problem::Problem;
use crate::text::shown;

#[derive(Template)]
#[template(path = "acts/failed.html")]
struct Confirmation {
    frame: Frame,
    csrf: String,
    retries: bool,
    /// The same jobs again, for the form.
    query: FailedQuery,
    words: String,
    matching: u64,
    until: u64,
    /// The asset of a single job.
    only: Option<String>,
}

/// The query says which jobs.
#[derive(Debug, Deserialize)]
struct Confirmed {
    #[serde(deserialize_with = "at_most::<MOST_BYTES, _, _>")]
    until: u64,
}

pub(super) fn routes(change: Change) -> MethodRouter<ActState> {
    let confirm =
        move |state, viewer, visitor, uri, query| confirm(change, state, viewer, visitor, uri, query);
    let act = move |state, query, signed| act(change, state, query, signed);
    get(confirm).post(act)
}

/// Shows how many jobs match, and changes nothing.
async fn confirm(
    change: Change,
    State(state): State<ActState>,
    viewer: Viewer,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
    Query(query): Query<FailedQuery>,
) -> Result<Response, Problem> {
    let Some(csrf) = visitor.csrf() else { return Ok(to_sign_in(&uri).into_response()) };
    let filter = query.filter()?;
    let ledger = state.live()?.ledger;
    let counted = ledger.count_failed(&filter).await?;
    let only = if counted.matching == 1 { first(&ledger, &filter).await? } else { None };
    let page = Confirmation {
        frame: Frame::new(&state.page, viewer, "failed"),
        csrf,
        retries: change == Change::Retry,
        words: shown(&words(&filter)),
        query,
        matching: counted.matching,
        until: counted.until,
        only: only.map(|job| format!("{} ({})", shown(&job.asset_name), job.asset_id)),
    };
    Ok(Html(page.render().unwrap_or_default()).into_response())
}

impl Confirmation {
    fn action(&self) -> String {
        self.query.link(if self.retries { "/failed/retry" } else { "/failed/drop" }, &[])
    }

    fn back(&self) -> String {
        self.query.link("/failed", &[])
    }
}

async fn act(
    change: Change,
    State(state): State<ActState>,
    Query(query): Query<FailedQuery>,
    Signed { by, form }: Signed<Confirmed>,
) -> Result<Redirect, Problem> {
    state.begin(change, by, &query, form.until).await?;
    Ok(Redirect::to(record::PATH))
}

async fn first(ledger: &Ledger, filter: &ledger::FailedFilter) -> Result<Option<OutcomeEvent>, Problem> {
    Ok(ledger.failed_page(filter, FailedFrom::Skip(0), 1).await?.events.into_iter().next())
}

impl ActState {
    /// Begins a change of exactly the jobs that were counted.
    pub(super) async fn begin(
        &self,
        change: Change,
        by: Arc<str>,
        query: &FailedQuery,
        until: u64,
    ) -> Result<Begun, Problem> {
        let filter = query.filter()?;
        let (live, end) = self.live_until()?;
        if until > live.ledger.newest_outcome().await? {
            return Err(Problem::bad_query("`until` comes from no count; count the jobs first"));
        }
        let (mut what, mut asset) = (words(&filter), filter.asset.clone());
        if filter.job.is_some()
            && let Some(only) = first(&live.ledger, &filter).await?
        {
            what = format!("{what} ({})", only.asset_name);
            asset = Some(only.asset_id);
        }
        let decided = Decided { by, change, filter, what, until, asset };
        let place = Place { ledger: live.ledger, failed: live.failed, end };
        Ok(self.acts.begin(&self.page, place, decided).await?)
    }
}
