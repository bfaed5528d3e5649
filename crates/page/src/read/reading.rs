//! What the handlers of the pages share.

use std::sync::Arc;

use askama::Template;
use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::StatusCode;
use axum::response::Html;
use common::asset::AssetId;
use ledger::Ledger;

use crate::frame::{Frame, Viewer};
use crate::problem::Problem;
use crate::read::snapshot::{Snapshot, Snapshots};
use crate::state::PageState;
use crate::thumbnails::Thumbnails;

#[derive(Clone)]
pub(super) struct Reading {
    pub(super) state: PageState,
    snapshots: Arc<Snapshots>,
    pub(super) thumbnails: Arc<Thumbnails>,
}

impl Reading {
    pub(super) fn new(state: &PageState) -> Self {
        Self { state: state.clone(), snapshots: Arc::default(), thumbnails: Arc::default() }
    }

    pub(super) fn frame(&self, viewer: Viewer, section: &'static str) -> Frame {
        Frame::new(&self.state, viewer, section)
    }

    /// The ledger, to read; `None` before the first run.
    pub(super) async fn ledger(&self) -> Result<Option<Ledger>, Problem> {
        Ok(self.state.record().await?.map(|record| record.ledger))
    }

    /// Notes the assets of a page. Returns whether it can show thumbnails, which the running connector has.
    pub(super) fn shows_thumbnails<'a>(&self, assets: impl IntoIterator<Item = &'a AssetId>) -> bool {
        self.thumbnails.show(assets);
        self.state.live().is_some()
    }

    /// The state of the work, a few seconds old.
    pub(super) async fn snapshot(&self) -> Result<Arc<Snapshot>, Problem> {
        Ok(self.snapshots.latest(&self.state).await?)
    }
}

pub(super) fn html(template: &impl Template) -> Result<Html<String>, Problem> {
    let wrong = |error: askama::Error| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "The page cannot be made", error.to_string())
    };
    template.render().map(Html).map_err(wrong)
}

/// The parameters of a request.
pub(crate) fn parameters<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Problem> {
    let understood = query.map(|Query(query)| query);
    understood.map_err(|_| Problem::bad_query("A parameter is given twice or cannot be read."))
}
