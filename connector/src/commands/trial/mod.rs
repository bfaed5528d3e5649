//! `connector trial FILE`: sends one file through Imatag, and shows each exchange and what it proves about the profile.

mod points;
mod trial_run;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use cli::options::GlobalOptions;
use cli::output;
use common::failure::Failure;
use config::{Config, confirm_profile};
use files::private;
use files::spool::SpooledFile;
use files::written;
use http_client::{Exchange, ExchangeLog};
use jiff::Timestamp;
use ledger::Ledger;
use ledger::state::State;
use serde_json::json;
use telemetry::Metrics;

use crate::arguments::Trial;
use crate::files::replace;
use points::{Findings, Verdict};
use trial_run::{TrialResult, TrialRun};

/// The exit code if the file went through, but the result is not as required.
const NOT_AS_IT_SHOULD: u8 = 6;

pub(crate) async fn run(global: &GlobalOptions, trial: &Trial) -> Result<(), Failure> {
    let config = wiring::load_for(global, &[])?.config;
    if let Some(path) = &trial.keep {
        can_keep(path)?;
    }
    let transcript: Arc<Mutex<Vec<Exchange>>> = Arc::default();
    let imatag = wiring::imatag_observed(
        &config,
        Arc::new(Metrics::new()),
        Some(exchange_log(&config, &transcript, global.json)?),
    )?;
    let mut findings = Findings::default();
    let checks = worker::wiring::checks(&config.checks);
    let readers = worker::wiring::readers(&config);
    let mut way = TrialRun {
        config: &config,
        checks,
        readers,
        imatag: &imatag,
        findings: &mut findings,
        yes: trial.yes,
    };
    let tried = way.go(&trial.file).await;
    if let (Ok(tried), Some(path)) = (&tried, &trial.keep) {
        keep(&tried.result, path)?;
    }
    print(global, &findings, &tried, &transcript);
    tried?;
    if !findings.confirm() {
        return Err(Failure::Reported(NOT_AS_IT_SHOULD));
    }
    if let Err(failure) = note_proven(&config).await {
        output::talk(&format!("the state directory does not know of this trial: {failure}"));
    }
    if trial.record {
        record(global)?;
    }
    Ok(())
}

/// Logs each exchange at once, since watermarking may take a while.
fn exchange_log(
    config: &Config,
    transcript: &Arc<Mutex<Vec<Exchange>>>,
    is_json: bool,
) -> Result<ExchangeLog, Failure> {
    let profile = config.imatag.wire()?;
    let origin = config.imatag.base_url.clone().unwrap_or(profile.base_url);
    let transcript = Arc::clone(transcript);
    Ok(ExchangeLog::new(origin, move |exchange| {
        if !is_json {
            for line in lines(exchange) {
                output::data(&line);
            }
        }
        transcript.lock().unwrap_or_else(PoisonError::into_inner).push(exchange.clone());
    }))
}

fn lines(exchange: &Exchange) -> Vec<String> {
    let status = exchange.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    let kind = exchange.content_type.as_deref().unwrap_or("-");
    let id = exchange.request_id.as_deref().map(|id| format!("  request {id}")).unwrap_or_default();
    let (method, target, took) = (&exchange.method, &exchange.target, exchange.took_ms);
    let mut lines = vec![format!("{method:<4} {target}"), format!("     {status} {kind} in {took} ms{id}")];
    lines.extend(exchange.rate_limit.iter().map(|header| format!("     {header}")));
    lines
}

fn print(
    global: &GlobalOptions,
    findings: &Findings,
    tried: &Result<TrialResult, Failure>,
    transcript: &Mutex<Vec<Exchange>>,
) {
    let medium = tried.as_ref().ok().and_then(|tried| tried.medium.as_ref()).map(ToString::to_string);
    if global.json {
        let points: Vec<_> =
            findings.iter().map(|(point, verdict)| json!({"point": point, "verdict": verdict})).collect();
        let transcript = transcript.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let line = json!({
            "confirmed": findings.confirm(), "medium": medium, "points": points, "transcript": transcript,
            "error": tried.as_ref().err().map(ToString::to_string),
        });
        output::json(&line);
        return;
    }
    for (point, verdict) in findings.iter() {
        let section = point.section();
        output::data(&match verdict {
            Verdict::Confirmed => format!("CONFIRMED      {section}"),
            Verdict::Refuted(why) => format!("NOT CONFIRMED  {section}: {why}"),
            Verdict::NotSeen(why) => format!("NOT SEEN       {section}: {why}"),
        });
    }
    if let Some(medium) = medium {
        output::talk(&format!(
            "medium {medium} stays at Imatag, under the name of a trial; delete it there if you like"
        ));
    }
    if findings.confirm() {
        output::talk("the profile fits this account; --record writes that into the configuration");
    }
}

/// Checks `--keep` before anything is paid for.
fn can_keep(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    // A dangling link exists, too.
    let wrong = if path.symlink_metadata().is_ok() {
        "is there already"
    } else if folder.is_some_and(|folder| !folder.is_dir()) {
        "is in no folder that is there"
    } else {
        return private::fixed(path)
            .map_err(|error| Failure::Usage(format!("--keep: cannot write {}: {error}", path.display())));
    };
    Err(Failure::Usage(format!("--keep: {} {wrong}", path.display())))
}

fn keep(result: &SpooledFile, path: &Path) -> Result<(), Failure> {
    let copy = || std::io::copy(&mut result.reader(), &mut private::create_named(path)?);
    let kept = copy()
        .map_err(|error| Failure::Usage(format!("--keep: cannot write {}: {error}", path.display())))?;
    output::talk(&format!("{kept} bytes are kept at {}; compare them with the original", path.display()));
    Ok(())
}

/// Records for the next `connector sync` that the profile works, if there is a state to record it in.
async fn note_proven(config: &Config) -> Result<(), Failure> {
    if let Some(state) = State::open_to_append(&config.producer.state_dir)? {
        Ledger::new(state).note_wire_proven(config.imatag.wire()?.hash).await?;
    }
    Ok(())
}

fn record(global: &GlobalOptions) -> Result<(), Failure> {
    let (path, chosen) = wiring::file(global.config.as_deref());
    let cannot = |error| Failure::Configuration(format!("cannot read {}: {error}", path.display()));
    let (text, _) = written::read_to_string(path, chosen).map_err(cannot)?;
    let today = Timestamp::now().strftime("%Y-%m-%d").to_string();
    replace(path, &confirm_profile(&text, &today)?).map_err(|failure| {
        Failure::Configuration(format!(
            "{failure}; add this to it: [imatag.profile_overrides] with confirmed = true"
        ))
    })?;
    output::talk(&format!("{} says now that the profile is confirmed", path.display()));
    Ok(())
}
