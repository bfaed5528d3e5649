//! The ledger with a long history: its size, and what is asked of it.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use common::outcome::OutcomeEvent;
use jiff::SignedDuration;
use ledger::Ledger;
use ledger::state::State;
use nix::sys::resource::{UsageWho, getrusage};
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use crate::lab::{Lab, Library};
use crate::record::{History, PASS};
use crate::table::{Table, mebibytes};
use crate::usage;

/// Outcomes that a producer records at once.
const FOLDED: usize = 200;
/// Jobs a day, at the request limit of one address.
const A_DAY: u64 = 154_000;
/// How often each command is run.
const RUNS: usize = 5;

pub(crate) async fn measure(is_short: bool, assets: u64) -> anyhow::Result<Table> {
    let assets = if is_short { 2_000 } else { assets };
    let how = format!(
        "{assets} assets with two outcomes each, recorded by the code that the producer uses, the second in another order than the \
         first. The commands are whole processes ({RUNS} runs each, the slowest counts). {FOLDED} outcomes are folded at a time, of \
         jobs for assets all over the library."
    );
    let mut table = Table::new("A ledger with history", how);
    let lab = Lab::new(&Library::default()).await?;
    let state = State::open(&lab.path("state"))?;
    let history = History::new(assets, 3);
    let each =
        (history.record(&state, 0).await? + history.record(&state, 1).await?) / u32::try_from(2 * assets)?;
    table.add("a job and its outcome recorded, 5000 at a time", micros(each));
    let file = state.path().to_owned();
    let log = file.with_extension("sqlite-wal");
    let size =
        || anyhow::Ok(std::fs::metadata(&file)?.len() + std::fs::metadata(&log).map_or(0, |log| log.len()));
    let bytes = size()?;
    let per_outcome = bytes / (2 * assets);
    table.add("the state file", format!("{}, {per_outcome} bytes an outcome", mebibytes(bytes)));
    table.promise("at most 400 bytes an outcome", per_outcome.to_string(), per_outcome <= 400);

    let sample = History::outcome(&history.job(1, assets / 3));
    let hash = sample.watermarked.context("no hash")?.to_string();
    commands(&mut table, &lab, &sample, &hash, "").await?;
    fold(&mut table, history, &state).await?;
    let days = if is_short { 2_000 } else { A_DAY };
    open_report(&mut table, &lab, history, &state, days).await?;
    let own = usage::of(std::process::id()).context("no memory")?.peak;
    table.add("memory of the process that records, at most", mebibytes(own));
    table.promise("recording in 150 MiB", mebibytes(own), own < 150 << 20);

    drop(state);
    archive(&mut table, &lab, history).await?;
    let bytes = size()?;
    table.add("the state file then", format!("{}, {} bytes an asset", mebibytes(bytes), bytes / assets));
    table.promise("at most 600 bytes an asset after it", (bytes / assets).to_string(), bytes / assets <= 600);
    let sample = History::outcome(&history.job(0, assets / 3));
    let hash = sample.watermarked.context("no hash")?.to_string();
    commands(&mut table, &lab, &sample, &hash, ", archived").await?;
    let peak = u64::try_from(getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss())? << 10;
    table.add("memory of these commands, at most", mebibytes(peak));
    table.promise("these commands in 150 MiB", mebibytes(peak), peak < 150 << 20);
    Ok(table)
}

/// Times what people ask.
async fn commands(
    table: &mut Table,
    lab: &Lab,
    sample: &OutcomeEvent,
    hash: &str,
    which: &str,
) -> anyhow::Result<()> {
    let asset = sample.asset_id.as_str();
    for (name, arguments, most) in [
        ("status", &["status", "--embedded"][..], 500),
        ("report --asset", &["report", "--asset", asset], 50),
        ("lookup", &["lookup", hash], 50),
    ] {
        let mut slowest = Duration::ZERO;
        for _ in 0..RUNS {
            let started = Instant::now();
            let output = lab
                .program("connector", arguments)?
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .output()
                .await?;
            slowest = slowest.max(started.elapsed());
            anyhow::ensure!(output.status.success(), "{name} ended with {:?}", output.status);
            anyhow::ensure!(
                name == "status" || String::from_utf8(output.stdout)?.contains(asset),
                "{name} finds nothing"
            );
        }
        table.add(format!("`{name}`{which}"), micros(slowest));
        if which.is_empty() {
            table.promise(
                format!("`{name}`: {most} ms"),
                micros(slowest),
                slowest < Duration::from_millis(most),
            );
        }
    }
    Ok(())
}

/// Times an outcome, as a producer records it.
async fn fold(table: &mut Table, history: History, state: &State) -> anyhow::Result<()> {
    let (ledger, mut took, mut confirmed) = (Ledger::new(state.clone()), Duration::ZERO, Duration::ZERO);
    let jobs = 10_000.min(history.assets);
    let confirms = 1_000.min(jobs);
    for from in (0..jobs).step_by(FOLDED) {
        history.publish(state, 2, from, from + FOLDED as u64).await?;
        let events = history.outcomes(2, from, from + FOLDED as u64);
        let started = Instant::now();
        ledger.fold(events).await?;
        took += started.elapsed();
    }
    for number in 0..confirms {
        let job = history.job(3, number);
        let started = Instant::now();
        ledger.intend(&job).await?;
        ledger.confirm(&job.job_id).await?;
        confirmed += started.elapsed();
    }
    let each = took / u32::try_from(jobs)?;
    table.add("an outcome folded", micros(each));
    table.promise("an outcome folded: 0.2 ms", micros(each), each < Duration::from_micros(200));
    table
        .add("a job recorded before and after it is published", micros(confirmed / u32::try_from(confirms)?));
    Ok(())
}

/// `connector report | less`, left open in the middle for a day.
async fn open_report(
    table: &mut Table,
    lab: &Lab,
    history: History,
    state: &State,
    jobs: u64,
) -> anyhow::Result<()> {
    let since = history.begin.to_string();
    let mut command = lab.program("connector", &["report", "--since", &since])?;
    let mut report = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    report.stdout.as_mut().context("no output")?.read_exact(&mut [0; 4096]).await?;
    let log = state.path().with_extension("sqlite-wal");
    let (ledger, mut longest) = (Ledger::new(state.clone()), 0);
    for from in (0..jobs).step_by(FOLDED) {
        // A pass has as many jobs as the library has assets.
        let (pass, from) = (u32::try_from(4 + from / history.assets)?, from % history.assets);
        let to = history.assets.min(from + FOLDED as u64);
        history.publish(state, pass, from, to).await?;
        ledger.fold(history.outcomes(pass, from, to)).await?;
        longest = longest.max(std::fs::metadata(&log)?.len());
    }
    anyhow::ensure!(report.try_wait()?.is_none(), "the report has ended");
    report.kill().await?;
    table.add(
        format!("the log while {jobs} jobs were recorded and a report was left open, at most"),
        mebibytes(longest),
    );
    table.promise("`report | less` for a day: 64 MiB of log", mebibytes(longest), longest < 64 << 20);
    Ok(())
}

/// Archives the first pass.
async fn archive(table: &mut Table, lab: &Lab, history: History) -> anyhow::Result<()> {
    let before = (history.begin + SignedDuration::from_hours(24 * PASS)).to_string();
    let mut command = lab.program("connector", &["state", "archive", "--before", &before, "--quiet"])?;
    let (took, usage) = usage::to_its_end(command.spawn()?, &[0]).await?;
    let mut bytes = 0;
    for entry in std::fs::read_dir(lab.path("state/archive"))? {
        bytes += entry?.metadata()?.len();
    }
    let each = bytes / history.assets.max(1);
    table.add(
        "`state archive` of the first outcome of each asset",
        format!(
            "{:.0} s, {} of memory; {each} bytes of files for each",
            took.as_secs_f64(),
            mebibytes(usage.peak)
        ),
    );
    Ok(())
}

fn micros(duration: Duration) -> String {
    format!("{:.3} ms", duration.as_secs_f64() * 1000.0)
}
