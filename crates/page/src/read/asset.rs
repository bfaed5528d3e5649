//! The history of one asset.

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Html;
use common::asset::AssetId;
use common::outcome::FailureClass;
use jiff::Timestamp;
use ledger::{Act, Line};
use serde::Deserialize;

use crate::filter::FailedQuery;
use crate::frame::{Frame, Viewer};
use crate::problem::Problem;
use crate::read::history::History;
use crate::read::reading::{Reading, html, parameters};
use crate::text::{Moment, exact, shown};
use crate::words::{of_act, of_class, of_outcome};

#[derive(Template)]
#[template(path = "asset.html")]
struct AssetPage {
    frame: Frame,
    id: String,
    name: String,
    bynder_url: Option<String>,
    has_thumbnail: bool,
    /// Newest first.
    entries: Vec<Entry>,
    is_cut: bool,
    /// Newest first.
    acts: Vec<Done>,
    /// What to do, if the latest job failed.
    remedy: Option<&'static str>,
    retry: String,
}

struct Entry {
    title: String,
    is_failure: bool,
    ended: Option<Moment>,
    reason: Option<String>,
    facts: Vec<(&'static str, String)>,
}

/// What a person did to the asset's failed job.
struct Done {
    what: String,
    by: String,
    at: Moment,
    /// If it was not done.
    but: Option<String>,
}

impl Done {
    fn of(act: &Act, now: Timestamp) -> Self {
        let but = match (act.ended, act.changed, &act.trouble) {
            (_, _, Some(trouble)) => Some(shown(trouble)),
            (None, ..) => Some("this has not ended".to_owned()),
            (Some(_), Some(0), None) => Some("the job was not failed any more".to_owned()),
            (Some(_), ..) => None,
        };
        Self { what: shown(of_act(&act.kind)), by: shown(&act.by), at: Moment::of(act.at, now), but }
    }
}

impl Entry {
    fn of(line: &Line, now: Timestamp) -> Self {
        let class = line.class.and_then(FailureClass::named);
        let title = class.map_or_else(
            || of_outcome(&line.outcome).to_owned(),
            |class| format!("{}: {}", of_outcome(&line.outcome), of_class(class).title),
        );
        let version = |version: Option<u32>| version.map(|version| version.to_string());
        let published = line.published.map(|at| Moment::of(at, now).text);
        let facts = [
            ("Version to protect", version(line.base_version)),
            ("Protected version", version(line.protected_version)),
            ("Restored version", version(line.restored_version)),
            ("A person's version", version(line.crossing_version)),
            ("Copy", line.copy_id.clone()),
            ("Additional file", line.additional_file.clone()),
            ("Unprotected for", line.exposed_seconds.map(exact)),
            ("Job published", published),
            ("SHA-256 of the original", line.original_sha256.map(|hash| hash.to_string())),
            ("SHA-256 of the watermarked file", line.watermarked_sha256.map(|hash| hash.to_string())),
            ("Imatag's id", line.imatag_id.clone()),
            ("Imatag's request ids", Some(line.request_ids.clone())),
            ("Checks that could not be made", Some(line.unchecked.clone())),
            ("Run", Some(line.run_id.clone())),
            ("Job", Some(line.job_id.clone())),
        ];
        let facts = facts.into_iter().filter_map(|(label, value)| {
            let value = value.filter(|value| !value.is_empty())?;
            Some((label, shown(&value)))
        });
        Self {
            title,
            is_failure: class.is_some(),
            ended: line.ended.or(line.published).map(|at| Moment::of(at, now)),
            reason: line.reason.as_deref().map(shown),
            facts: facts.collect(),
        }
    }
}

/// A person types or pastes the id of an asset.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    id: Option<String>,
}

/// The history of the asset that a form names.
pub(super) async fn find(
    state: State<Reading>,
    viewer: Viewer,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Html<String>, Problem> {
    show(state, viewer, Path(parameters(wanted)?.id.unwrap_or_default())).await
}

pub(super) async fn show(
    State(reading): State<Reading>,
    viewer: Viewer,
    Path(id): Path<String>,
) -> Result<Html<String>, Problem> {
    let unknown = || {
        let text = "The record has nothing of an asset with this id. Bynder shows the id in the address of an asset's page.";
        Problem::new(StatusCode::NOT_FOUND, "No such asset", text)
    };
    let asset: AssetId = id.trim().parse().map_err(|_| unknown())?;
    let ledger = reading.ledger().await?.ok_or_else(unknown)?;
    let history = History::of(&ledger, &asset).await?.ok_or_else(unknown)?;
    let now = Timestamp::now();
    let name = if history.name().is_empty() { asset.as_str() } else { history.name() };
    let latest = history.lines.last().and_then(|line| line.class).and_then(FailureClass::named);
    html(&AssetPage {
        frame: reading.frame(viewer, "assets"),
        id: asset.to_string(),
        name: shown(name),
        bynder_url: reading.state.portal().asset(&asset),
        has_thumbnail: reading.shows_thumbnails([&asset]),
        entries: history.lines.iter().rev().map(|line| Entry::of(line, now)).collect(),
        is_cut: history.is_cut,
        acts: history.acts.iter().map(|act| Done::of(act, now)).collect(),
        remedy: latest.map(|class| of_class(class).remedy),
        retry: FailedQuery { asset: Some(asset.to_string()), ..FailedQuery::default() }
            .link("/failed/retry", &[]),
    })
}
