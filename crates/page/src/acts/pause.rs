//! Pause and resume.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{Html, IntoResponse, Redirect, Response};
use budget::OperatorPause;
use jiff::Timestamp;
use ledger::{ActKind, NewAct};
use serde::Deserialize;

use super::ActState;
use crate::access::{Signed, Visitor, to_sign_in};
use crate::frame::{Frame, Viewer};
use crate::problem::Problem;
use crate::text::{Moment, shown};

/// A longer reason is cut off.
const LONGEST_REASON: usize = 200;

#[derive(Template)]
#[template(path = "acts/pause.html")]
struct PausePage {
    frame: Frame,
    csrf: String,
    /// The page to end the pause.
    resumes: bool,
    /// Since when it is paused.
    since: Option<Moment>,
    /// Why, as it is shown.
    why: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Reason {
    pub(super) reason: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Nothing {}

pub(super) async fn ask_to_pause(
    state: State<ActState>,
    viewer: Viewer,
    visitor: Extension<Visitor>,
    uri: Uri,
) -> Result<Response, Problem> {
    ask(state, viewer, visitor, uri, false).await
}

pub(super) async fn ask_to_resume(
    state: State<ActState>,
    viewer: Viewer,
    visitor: Extension<Visitor>,
    uri: Uri,
) -> Result<Response, Problem> {
    ask(state, viewer, visitor, uri, true).await
}

async fn ask(
    State(state): State<ActState>,
    viewer: Viewer,
    Extension(visitor): Extension<Visitor>,
    uri: Uri,
    resumes: bool,
) -> Result<Response, Problem> {
    let Some(csrf) = visitor.csrf() else { return Ok(to_sign_in(&uri).into_response()) };
    let paused = state.live()?.pause.paused().await?;
    let since = paused.as_ref().map(|pause| Moment::of(pause.since, Timestamp::now()));
    let why = paused.and_then(|pause| pause.reason).map(|reason| shown(&reason));
    let page = PausePage { frame: Frame::new(&state.page, viewer, "overview"), csrf, resumes, since, why };
    Ok(Html(page.render().unwrap_or_default()).into_response())
}

pub(super) async fn pause(
    State(state): State<ActState>,
    Signed { by, form }: Signed<Reason>,
) -> Result<Redirect, Problem> {
    state.pause(by, &form.reason).await?;
    Ok(Redirect::to("/"))
}

pub(super) async fn resume(
    State(state): State<ActState>,
    Signed { by, form: Nothing {} }: Signed<Nothing>,
) -> Result<Redirect, Problem> {
    state.resume(by).await?;
    Ok(Redirect::to("/"))
}

impl ActState {
    /// Pauses in a person's name.
    pub(super) async fn pause(&self, by: Arc<str>, reason: &str) -> Result<(), Problem> {
        let live = self.live()?;
        let reason: String = reason.trim().chars().take(LONGEST_REASON).collect();
        let who = if reason.is_empty() { by.to_string() } else { format!("{reason} ({by})") };
        let wish = OperatorPause { since: Timestamp::now(), reason: Some(who) };
        let act = self.note(&live.ledger, ActKind::Pause, by, reason).await?;
        let done = live.pause.pause(&wish).await;
        ended(&live.ledger, act, done).await
    }

    /// Ends the pause in a person's name; returns whether there was one.
    pub(super) async fn resume(&self, by: Arc<str>) -> Result<bool, Problem> {
        let live = self.live()?;
        let act = self.note(&live.ledger, ActKind::Resume, by, String::new()).await?;
        let done = live.pause.resume().await;
        let was_paused = *done.as_ref().unwrap_or(&false);
        ended(&live.ledger, act, done.map(|_| ())).await?;
        Ok(was_paused)
    }

    async fn note(
        &self,
        ledger: &ledger::Ledger,
        kind: ActKind,
        by: Arc<str>,
        what: String,
    ) -> Result<u64, Problem> {
        tracing::info!(by = &*by, reason = what, act = kind.name(), "an act by the operator's page");
        let act = NewAct { by: by.to_string(), at: Timestamp::now(), kind, what, asset: None, matching: 0 };
        Ok(ledger.begin_act(act).await?)
    }
}

/// Records how it ended.
async fn ended(
    ledger: &ledger::Ledger,
    act: u64,
    done: Result<(), common::failure::Failure>,
) -> Result<(), Problem> {
    let trouble = done.as_ref().err().map(ToString::to_string);
    ledger.end_act(act, Timestamp::now(), 0, trouble).await?;
    Ok(done?)
}
