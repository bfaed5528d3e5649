//! The record of acts, and how far the one under way is.

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Html;
use common::bounded::{MOST_BYTES, optional};
use jiff::Timestamp;
use ledger::Act;
use serde::Deserialize;

use super::ActState;
use super::work::Progress;
use crate::frame::{Frame, Viewer};
use crate::problem::Problem;
use crate::read::parameters;
use crate::text::{Moment, shown};

pub(super) const PATH: &str = "/acts";
/// Acts on a page.
pub(super) const PAGE: usize = 50;

#[derive(Template)]
#[template(path = "acts/list.html")]
struct List {
    frame: Frame,
    under_way: Option<Progress>,
    acts: Vec<Act>,
    now: Timestamp,
    /// From which one the next page goes on.
    next: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct From {
    #[serde(default, deserialize_with = "optional::<MOST_BYTES, _, _>")]
    pub(super) before: Option<u64>,
}

pub(super) async fn list(
    State(state): State<ActState>,
    viewer: Viewer,
    from: Result<Query<From>, QueryRejection>,
) -> Result<Html<String>, Problem> {
    let from = parameters(from)?;
    // Read before the record: an act that ends in between shows as ended, not as interrupted.
    let under_way = state.acts.progress();
    let acts = state.listed(&from).await?;
    let next = acts.last().filter(|_| acts.len() == PAGE).map(|act| act.id);
    let frame = Frame::new(&state.page, viewer, "acts");
    let page = List { frame, under_way, acts, now: Timestamp::now(), next };
    Ok(Html(page.render().unwrap_or_default()))
}

impl ActState {
    /// A page of the record, newest first.
    pub(super) async fn listed(&self, from: &From) -> Result<Vec<Act>, Problem> {
        let Some(record) = self.page.record().await? else { return Ok(Vec::new()) };
        Ok(record.ledger.acts(from.before, PAGE as u64).await?)
    }
}

impl List {
    fn at(act: &Act, now: &Timestamp) -> Moment {
        Moment::of(act.at, *now)
    }

    fn what(act: &Act) -> String {
        shown(&act.what)
    }

    /// What became of it, in words.
    fn result(&self, act: &Act) -> String {
        let is_under_way = self.under_way.as_ref().is_some_and(|progress| progress.id == act.id);
        match (act.ended, act.changed, &act.trouble) {
            (None, ..) if is_under_way => "under way".to_owned(),
            (None, ..) => "interrupted: the connector ended before the act did".to_owned(),
            (Some(_), Some(changed), Some(trouble)) if act.matching > 0 => {
                format!("at least {changed} of {} jobs, then: {}", act.matching, shown(trouble))
            }
            (Some(_), _, Some(trouble)) => shown(trouble),
            (Some(_), Some(changed), None) if act.matching > 0 => {
                format!("{changed} of {} jobs", act.matching)
            }
            (Some(_), ..) => "done".to_owned(),
        }
    }
}
