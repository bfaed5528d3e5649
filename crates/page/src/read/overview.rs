//! The first page: how much is protected, what is under way, and what stops it.

use askama::Template;
use axum::extract::State;
use axum::response::Html;
use common::outcome::FailureClass;
use jiff::Timestamp;
use ledger::{Library, RecordCounts};
use standing::asked::Unrequested;
use standing::{Queues, Standing};
use wiring::quiet_hours::Effect;

use crate::filter::FailedQuery;
use crate::frame::{Frame, Viewer};
use crate::problem::Problem;
use crate::read::reading::{Reading, html};
use crate::read::runs::RunRow;
use crate::read::snapshot::{BudgetFigures, Snapshot};
use crate::text::{Moment, exact, number, percent, rough, shown};
use crate::words::of_class;

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    frame: Frame,
    looked_at: Moment,
    library: Option<Share>,
    has_record: bool,
    /// What stops or slows the work.
    notices: Vec<String>,
    is_paused: bool,
    record: Vec<(&'static str, String)>,
    verified: Option<String>,
    exposure: Option<String>,
    asked: Option<String>,
    queues: Result<Vec<(&'static str, String)>, String>,
    ahead: Vec<(&'static str, String)>,
    failed: Vec<FailedClass>,
    failed_count: String,
    /// Failed assets whose jobs are not kept any more.
    not_replayable: u64,
    runs: Vec<RunRow>,
    empty_runs: u64,
    budget: Vec<(&'static str, String)>,
}

/// How much of the library is protected.
struct Share {
    /// The share of those that are to be protected; `None` without such assets.
    percent: Option<String>,
    states: Vec<(&'static str, String)>,
    total: String,
    walked: Moment,
}

struct FailedClass {
    title: &'static str,
    count: String,
    link: String,
}

pub(super) async fn show(State(reading): State<Reading>, viewer: Viewer) -> Result<Html<String>, Problem> {
    let snapshot = reading.snapshot().await?;
    html(&page(reading.frame(viewer, "overview"), &snapshot, Timestamp::now()))
}

fn page(frame: Frame, snapshot: &Snapshot, now: Timestamp) -> Overview {
    let standing = &snapshot.standing;
    let failed = FailureClass::ALL.into_iter().filter_map(|class| {
        let count = *snapshot.failed.get(class.name())?;
        let query = FailedQuery { class: Some(class.name().to_owned()), ..FailedQuery::default() };
        Some(FailedClass {
            title: of_class(class).title,
            count: number(count),
            link: query.link("/failed", &[]),
        })
    });
    Overview {
        frame,
        looked_at: Moment::of(snapshot.at, now),
        library: snapshot.library.as_ref().map(|library| share(library, now)),
        has_record: standing.has_state,
        notices: notices(snapshot, now).iter().map(|notice| shown(notice)).collect(),
        is_paused: standing.queues.paused.is_some(),
        record: record(&snapshot.record),
        verified: verified(standing, now),
        exposure: standing.exposure.map(|exposure| {
            format!(
                "{} half of the time, {} in 95 of 100 cases ({} new versions in the last day)",
                exact(exposure.median_seconds),
                exact(exposure.p95_seconds),
                number(exposure.versions)
            )
        }),
        asked: standing.asked.as_ref().map(|asked| shown(&asked.in_words())),
        queues: queues(standing),
        ahead: ahead(standing),
        failed: failed.collect(),
        failed_count: number(snapshot.failed.values().sum()),
        not_replayable: standing.not_replayable,
        runs: standing.runs.iter().map(|run| RunRow::of(run, now)).collect(),
        empty_runs: standing.empty_runs,
        budget: budget(snapshot.budget),
    }
}

fn notices(snapshot: &Snapshot, now: Timestamp) -> Vec<String> {
    let Standing { queues: Queues { services_out, paused, silent, .. }, quiet, held, .. } =
        &snapshot.standing;
    let mut notices = Vec::new();
    notices.extend(paused.as_ref().map(|pause| {
        let since = Moment::of(pause.since, now);
        let reason = pause.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("Paused by a person since {} ({}){reason}", since.text, since.ago)
    }));
    notices.extend(snapshot.reasons.iter().map(|reason| format!("Not ready: {reason}")));
    if !services_out.is_empty() {
        notices.push(format!("Cannot be used now: {}", services_out.join(", ")));
    }
    if *silent {
        notices.push(
            "Nothing is sent to Bynder: its request limit was reached. This passes by itself.".to_owned(),
        );
    }
    notices.extend(quiet.as_ref().map(quiet_hours));
    notices.extend(held.as_ref().map(Unrequested::in_words));
    notices
}

fn quiet_hours(quiet: &Effect) -> String {
    let requests =
        quiet.requests_per_5_minutes.map(|requests| format!(", at most {requests} calls in 5 minutes"));
    let backlog = if quiet.backlog_paused { ", the backlog waits" } else { "" };
    let until = quiet.until.strftime("%Y-%m-%d %H:%M UTC");
    format!("Quiet hours until {until}{}{backlog}", requests.unwrap_or_default())
}

fn share(library: &Library, now: Timestamp) -> Share {
    let counts = &library.counts;
    // The others are left out on purpose.
    let wanted = counts.total() - counts.opted_out - counts.filtered_out;
    let states = [
        ("Protected", counts.protected),
        ("Not protected yet", counts.unprotected),
        ("Failed", counts.failed),
        ("Of a type that cannot be protected", counts.unsupported),
        ("Opted out", counts.opted_out),
        ("Left out by the filters", counts.filtered_out),
    ];
    Share {
        percent: (wanted > 0).then(|| percent(counts.protected, wanted)),
        states: states.map(|(name, count)| (name, number(count))).to_vec(),
        total: number(counts.total()),
        walked: Moment::of(library.at, now),
    }
}

fn record(record: &RecordCounts) -> Vec<(&'static str, String)> {
    let counts = [
        ("Protected", record.protected, true),
        ("Waiting for approval in Bynder", record.awaiting_approval, false),
        ("Not ended yet", record.without_outcome, false),
        ("Failed", record.failed, true),
        ("Replaced by a person meanwhile", record.superseded, false),
        ("Deleted in Bynder", record.gone, false),
    ];
    let shown = counts.into_iter().filter(|(_, count, always)| *always || *count > 0);
    shown.map(|(name, count, _)| (name, number(count))).collect()
}

fn verified(standing: &Standing, now: Timestamp) -> Option<String> {
    standing.verified.as_ref().map(|verified| {
        format!(
            "{}: {} of {} assets have a marker; {} match it, {} do not. {} have no marker, {} are opted out.",
            Moment::of(verified.at, now).ago,
            number(verified.protected),
            number(verified.listed),
            number(verified.held),
            number(verified.broken),
            number(verified.unprotected),
            number(verified.opted_out)
        )
    })
}

fn queues(standing: &Standing) -> Result<Vec<(&'static str, String)>, String> {
    let depth = standing.queues.depth.as_ref().map_err(|failure| shown(&failure.to_string()))?;
    let recorded: u64 = standing.runs.iter().map(|run| run.open).sum();
    let in_work = depth.in_flight.max(recorded.saturating_sub(depth.open()));
    let counts = [
        ("Waiting to be submitted: changed lately", depth.submit_fresh),
        ("Waiting to be submitted: rest of the library", depth.submit_backlog),
        ("Waiting for the transfer to Bynder", depth.transfer),
        ("Waiting to be saved in Bynder", depth.save),
        ("Waiting for a service or a time", depth.waiting),
        ("Being worked on", in_work),
    ];
    Ok(counts.map(|(name, count)| (name, number(count))).to_vec())
}

fn ahead(standing: &Standing) -> Vec<(&'static str, String)> {
    let Some(forecast) = standing.forecast.filter(|forecast| forecast.open > 0) else { return Vec::new() };
    let left = forecast.seconds_at_rate.map_or_else(|| "unknown: no job ended lately".to_owned(), rough);
    vec![
        ("Jobs left", number(forecast.open)),
        ("Jobs per minute", forecast.jobs_per_minute.map_or_else(String::new, |rate| format!("{rate:.1}"))),
        ("Estimated time left", left),
        ("At least, by the request budget", rough(forecast.seconds_at_budget)),
    ]
}

fn budget(budget: Option<BudgetFigures>) -> Vec<(&'static str, String)> {
    let Some(BudgetFigures { requests_per_5_minutes, figures }) = budget else { return Vec::new() };
    let mut lines = vec![
        ("Calls to Bynder allowed in 5 minutes", number(u64::from(requests_per_5_minutes))),
        ("Share of this process", format!("{:.0}", figures.share)),
        ("Calls of this process in the last 5 minutes", number(figures.lately)),
        ("Processes that share the budget", number(figures.members as u64)),
    ];
    lines.extend(figures.silence.map(|left| ("Silence after a refusal: left", rough(left.as_secs()))));
    lines
}
