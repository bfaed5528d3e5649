//! Formats the state of the work for an 80-column terminal.

use std::time::Duration;

use config::Span;
use ledger::{Exposure, RunStatus};
use queue::Depth;
use rabbitmq::Member;
use standing::asked::Unrequested;
use standing::{Forecast, Standing};
use wiring::quiet_hours::Effect;

/// The lines, each at most 80 characters unless names are longer. `directory` is the state directory.
pub(super) fn lines(standing: &Standing, directory: &str) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(halts(standing));
    match &standing.queues.depth {
        Ok(depth) => lines.extend(queues(depth)),
        Err(failure) => lines.push(format!("the queues cannot be looked at: {failure}")),
    }
    let services_out = &standing.queues.services_out;
    if !services_out.is_empty() {
        lines.push(pair("cannot be used", &services_out.join(", ")));
    }
    if let Some(members) = &standing.queues.members {
        lines.extend(at_work(members, &standing.deployment));
        lines.extend(members.iter().filter(|member| !member.services_out.is_empty()).map(trouble));
    }
    if let Some(forecast) = &standing.forecast {
        lines.extend(ahead(forecast));
    }
    if !standing.has_state {
        lines.push("no runs are recorded here; the producer's state may be elsewhere".to_owned());
        lines.push(format!("({directory} holds no state)"));
        return lines;
    }
    let cursor = standing.cursor.map_or_else(|| "none yet".to_owned(), |at| at.to_string());
    lines.push(pair("last finished run started", &cursor));
    lines.extend(standing.asked.as_ref().map(|asked| pair("asked for", &asked.in_words())));
    if let Some(verified) = &standing.verified {
        let at = verified.at.strftime("%Y-%m-%dT%H:%MZ");
        let text = format!("{at}: {} hold, {} do not", verified.held, verified.broken);
        lines.push(pair("last verification", &text));
    }
    if standing.not_replayable > 0 {
        let text = format!("{:>10}: sync --retry-failed", standing.not_replayable);
        lines.push(pair("failed, can be replayed no more", &text));
    }
    lines.extend(standing.runs.iter().map(run));
    if standing.empty_runs > 0 {
        lines.push(pair("runs that found nothing", &format!("{:>10}", standing.empty_runs)));
    }
    lines.extend(standing.exposure.as_ref().map(exposure));
    if let Some(latest) = standing.runs.first().filter(|latest| latest.unsupported > 0) {
        lines.push(pair("  no job in the latest: unsupported", &latest.unsupported.to_string()));
    }
    let reasons = standing.failed_by_reason.iter();
    lines.extend(
        reasons.map(|(reason, count)| pair(&format!("  failed in the latest: {reason}"), &count.to_string())),
    );
    lines
}

fn pair(name: &str, value: &str) -> String {
    format!("{name:<32} {value}")
}

fn halts(standing: &Standing) -> Vec<String> {
    let paused = standing.queues.paused.as_ref().map(|pause| {
        let reason = pause.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        format!("paused by a person since {}{reason}; `connector resume` continues", pause.since)
    });
    let held = standing.held.as_ref().map(Unrequested::in_words);
    let silent = standing.queues.silent.then(|| {
        "nothing is sent to Bynder: its request limit was reached; this passes by itself".to_owned()
    });
    paused.into_iter().chain(silent).chain(standing.quiet.as_ref().map(quiet)).chain(held).collect()
}

fn quiet(quiet: &Effect) -> String {
    let requests =
        quiet.requests_per_5_minutes.map(|requests| format!("at most {requests} calls in 5 minutes"));
    let backlog = quiet.backlog_paused.then(|| "the backlog waits".to_owned());
    let effects: Vec<String> = requests.into_iter().chain(backlog).collect();
    format!("quiet hours until {}: {}", quiet.until, effects.join(", "))
}

fn queues(depth: &Depth) -> Vec<String> {
    let counts = [
        ("to submit, changed lately", depth.submit_fresh),
        ("to submit, backlog", depth.submit_backlog),
        ("to transfer", depth.transfer),
        ("to save", depth.save),
        ("waiting for their time", depth.waiting),
        ("failed and kept", depth.failed),
    ];
    counts.into_iter().map(|(name, count)| pair(name, &format!("{count:>10}"))).collect()
}

/// The members of this deployment, and how many others share its address.
fn at_work(members: &[Member], deployment: &str) -> Vec<String> {
    let (own, others): (Vec<_>, Vec<_>) =
        members.iter().partition(|member| member.deployment.is_empty() || member.deployment == deployment);
    let mut lines = vec![counted(&own)];
    if !others.is_empty() {
        lines.push(pair("of other deployments", &format!("{} on the same address", others.len())));
    }
    lines
}

fn counted(members: &[&Member]) -> String {
    let count = |program: &str| members.iter().filter(|member| member.program == program).count();
    let others = members.len() - count("worker") - count("producer");
    let others = if others > 0 { format!(", others {others}") } else { String::new() };
    pair("at work", &format!("workers {}, producers {}{others}", count("worker"), count("producer")))
}

fn trouble(member: &Member) -> String {
    let id: String = member.member.chars().take(8).collect();
    pair("cannot be used", &format!("{} ({} {id}…)", member.services_out.join(", "), member.program))
}

fn ahead(forecast: &Forecast) -> Vec<String> {
    let rate = forecast.jobs_per_minute.map(|rate| pair("jobs per minute", &format!("{rate:>10.1}")));
    if forecast.open == 0 {
        return rate.into_iter().collect();
    }
    let at_rate = forecast.seconds_at_rate.map_or_else(|| "unknown: no job ended recently".to_owned(), rough);
    let left = [
        pair("estimated time left", &at_rate),
        pair("minimum by request budget", &rough(forecast.seconds_at_budget)),
    ];
    rate.into_iter().chain(left).collect()
}

/// A duration, rounded up to a minute if longer than an hour.
fn rough(seconds: u64) -> String {
    let seconds = if seconds > 3600 { seconds.div_ceil(60) * 60 } else { seconds };
    Span(Duration::from_secs(seconds)).to_string()
}

fn exposure(exposure: &Exposure) -> String {
    let span = |seconds| Span(Duration::from_secs(seconds)).to_string();
    let (median, most) = (span(exposure.median_seconds), span(exposure.p95_seconds));
    let text = format!("{median} (median), {most} (95 %), {} of late", exposure.versions);
    pair("new pictures protected within", &text)
}

fn run(run: &RunStatus) -> String {
    format!(
        "{} {:<5} {:<11}{:>7} jobs{:>7} open{:>5} failed",
        run.run_id, run.mode, run.state, run.published, run.open, run.failed
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use standing::asked::Asked;
    use standing::{Ended, Queues, forecast};

    use super::*;

    #[test]
    fn a_busy_fleet_is_told_within_eighty_columns() {
        let run = RunStatus {
            run_id: "20261125T101500Z-0123abcd".to_owned(),
            mode: "delta".to_owned(),
            started: String::new(),
            state: "enumerating".to_owned(),
            published: 123_456,
            open: 23_456,
            failed: 12,
            unsupported: 7,
        };
        let member = |program: &str, deployment: &str, out: &[&str]| Member {
            program: program.to_owned(),
            deployment: deployment.to_owned(),
            member: "0123456789abcdef".to_owned(),
            calls_per_5_minutes: 2000.0,
            services_out: out.iter().map(|name| (*name).to_owned()).collect(),
        };
        let ended = Ended { count: 500, over: Duration::from_mins(5) };
        let standing = Standing {
            cursor: None,
            runs: vec![run],
            empty_runs: 40_320,
            exposure: Some(Exposure { versions: 124, median_seconds: 31, p95_seconds: 64 }),
            failed_by_reason: BTreeMap::from([("permission".to_owned(), 12)]),
            verified: None,
            has_state: true,
            queues: Queues {
                depth: Ok(Depth { submit_backlog: 23_000, waiting: 400, ..Depth::default() }),
                members: Some(vec![
                    member("worker", "connector", &["imatag"]),
                    member("worker", "connector", &[]),
                    member("producer", "connector", &[]),
                    member("worker", "other", &[]),
                ]),
                services_out: Vec::new(),
                paused: None,
                silent: true,
            },
            deployment: "connector".to_owned(),
            quiet: None,
            not_replayable: 12,
            asked: Some(Asked { cap: Some(3), ..Asked::default() }),
            held: None,
            forecast: Some(forecast(23_456, Some(ended), 7.5, 4000)),
        };
        let lines = lines(&standing, "state");
        insta::assert_snapshot!(lines.join("\n"), @r"
        nothing is sent to Bynder: its request limit was reached; this passes by itself
        to submit, changed lately                 0
        to submit, backlog                    23000
        to transfer                               0
        to save                                   0
        waiting for their time                  400
        failed and kept                           0
        at work                          workers 2, producers 1
        of other deployments             1 on the same address
        cannot be used                   imatag (worker 01234567…)
        jobs per minute                       100.0
        estimated time left              3h 55m
        minimum by request budget        3h 40m
        last finished run started        none yet
        asked for                        all of it, 3 assets at most
        failed, can be replayed no more          12: sync --retry-failed
        20261125T101500Z-0123abcd delta enumerating 123456 jobs  23456 open   12 failed
        runs that found nothing               40320
        new pictures protected within    31s (median), 1m 4s (95 %), 124 of late
          no job in the latest: unsupported 7
          failed in the latest: permission 12
        ");
        assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
    }
}
