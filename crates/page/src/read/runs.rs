//! The latest runs.

use askama::Template;
use axum::extract::State;
use axum::response::Html;
use jiff::Timestamp;
use ledger::RunStatus;

use crate::frame::{Frame, Viewer};
use crate::problem::Problem;
use crate::read::reading::{Reading, html};
use crate::text::{Moment, number, shown};
use crate::words::{of_mode, of_walk};

/// How many runs are shown.
pub(super) const MOST_RUNS: u32 = 50;

#[derive(Template)]
#[template(path = "runs.html")]
struct RunsPage {
    frame: Frame,
    runs: Vec<RunRow>,
    empty_runs: u64,
}

/// A row of the table `runs_table.html`.
pub(super) struct RunRow {
    pub(super) id: String,
    pub(super) mode: String,
    pub(super) state: String,
    pub(super) started: Option<Moment>,
    pub(super) published: String,
    pub(super) open: String,
    pub(super) failed: String,
    pub(super) unsupported: String,
}

impl RunRow {
    pub(super) fn of(run: &RunStatus, now: Timestamp) -> Self {
        Self {
            id: shown(&run.run_id),
            mode: shown(of_mode(&run.mode)),
            state: shown(of_walk(&run.state)),
            started: run.started.parse().ok().map(|at| Moment::of(at, now)),
            published: number(run.published),
            open: number(run.open),
            failed: number(run.failed),
            unsupported: number(run.unsupported),
        }
    }
}

pub(super) async fn show(State(reading): State<Reading>, viewer: Viewer) -> Result<Html<String>, Problem> {
    let now = Timestamp::now();
    let (mut runs, mut empty_runs) = (Vec::new(), 0);
    if let Some(ledger) = reading.ledger().await? {
        runs = ledger.latest_runs(MOST_RUNS).await?;
        empty_runs = ledger.empty_runs().await?;
    }
    let runs = runs.iter().map(|run| RunRow::of(run, now)).collect();
    html(&RunsPage { frame: reading.frame(viewer, "runs"), runs, empty_runs })
}
