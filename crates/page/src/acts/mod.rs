//! What a person does by the page: retry and drop failed jobs, pause and resume.

mod api;
mod failed;
mod pause;
mod record;
mod work;

#[cfg(test)]
mod tests;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;

use crate::problem::Problem;
use crate::state::{Live, PageState};
use ledger::FailedFilter;
use work::{Acts, Change, NotBegun};

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct ActState {
    page: PageState,
    acts: Acts,
}

/// The routes of all acts.
pub(crate) fn routes(page: PageState) -> Router {
    let retry = failed::routes(Change::Retry);
    let drop = failed::routes(Change::Drop);
    Router::new()
        .route("/failed/retry", retry)
        .route("/failed/drop", drop)
        .route("/pause", get(pause::ask_to_pause).post(pause::pause))
        .route("/resume", get(pause::ask_to_resume).post(pause::resume))
        .route("/acts", get(record::list))
        .route("/api/v1/acts", get(api::list))
        .route("/api/v1/failed/retry", post(api::retry))
        .route("/api/v1/failed/drop", post(api::drop))
        .route("/api/v1/pause", post(api::pause))
        .route("/api/v1/resume", post(api::resume))
        .with_state(ActState { page, acts: Acts::new() })
}

impl ActState {
    /// The running connector.
    fn live(&self) -> Result<Live, Problem> {
        Ok(self.live_until()?.0)
    }

    /// Where an act works, as long as the connector does.
    fn live_until(&self) -> Result<(Live, CancellationToken), Problem> {
        self.page.live_until().ok_or_else(|| {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "Not connected",
                "Nothing was done: the connector has not reached Bynder or its broker yet. Try again in a minute.",
            )
        })
    }
}

impl From<NotBegun> for Problem {
    fn from(not_begun: NotBegun) -> Self {
        let (status, title, text) = match not_begun {
            NotBegun::Busy => (
                StatusCode::CONFLICT,
                "Another act is under way",
                "Nothing was done: acts on failed jobs run one after the other. The page Acts shows how far it is.".to_owned(),
            ),
            NotBegun::Nothing => (
                StatusCode::CONFLICT,
                "Nothing to do",
                "None of the jobs that were counted is failed any more.".to_owned(),
            ),
            NotBegun::Record(error) => (StatusCode::SERVICE_UNAVAILABLE, "Not recorded", format!("Nothing was done: {error}")),
        };
        Self::new(status, title, text)
    }
}

/// A filter as people read it.
fn words(filter: &FailedFilter) -> String {
    let parts = [
        filter.class.map(|class| format!("class {}", class.name())),
        filter.name.as_ref().map(|name| format!("name with {name}")),
        filter.asset.as_ref().map(|asset| format!("asset {asset}")),
        filter.job.as_ref().map(|job| format!("job {job}")),
    ];
    let words: Vec<_> = parts.into_iter().flatten().collect();
    if words.is_empty() { "all".to_owned() } else { words.join(", ") }
}
