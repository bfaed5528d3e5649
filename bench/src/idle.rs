//! A day without a change, by a clock that runs faster.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::lab::{Lab, Library, faster};
use crate::table::Table;

/// How many times faster the clock of connector and sandbox runs.
const FASTER: u32 = 300;
/// The calls that the default budget allows in a day.
const BUDGET_OF_A_DAY: f64 = 4000.0 * 12.0 * 24.0;
/// For this long, nothing has to be protected any more before the day begins.
const SETTLED_RUNS: u64 = 70;
const PATIENCE: Duration = Duration::from_mins(20);

/// What grows, or does not.
struct Sizes {
    empty_runs: u64,
    calls: u64,
    state: u64,
    log: u64,
}

pub(crate) async fn measure(is_short: bool) -> anyhow::Result<Table> {
    let runs: u64 = if is_short { 30 } else { 24 * 60 * 2 };
    let how = format!(
        "`connector serve` with the default configuration and `every = \"30s\"` over 20 pictures that it protected and 100,000 others; \
         {runs} runs. The clock of connector and sandbox runs {FASTER} times faster (libfaketime). The log is that of the level `info`."
    );
    let mut table = Table::new("A day without a change", how);
    let library =
        Library { pictures: 20, archive: 100_000, limited: false, faster: FASTER, ..Library::default() };
    let lab = Lab::new(&library).await?;
    lab.configure_with_default_waits("requests_per_5_minutes = 4000\n", "")?;
    let mut command = lab.program("connector", &["serve", "--log-format", "json"])?;
    command.envs(faster(FASTER)).env("CONNECTOR_LOG", "info").env("CONNECTOR_PRODUCER__EVERY", "30s");
    command.env("CONNECTOR_LIMITS__ASSETS_PER_RUN", "100000");
    let log = std::fs::File::create(lab.path("log"))?;
    let mut serving = command.stderr(Stdio::from(log)).spawn()?;
    let deadline = Instant::now() + PATIENCE;
    let mut until = async |runs: u64| -> anyhow::Result<Sizes> {
        loop {
            let sizes = sizes(&lab).await?;
            if sizes.empty_runs >= runs {
                return Ok(sizes);
            }
            ensure!(serving.try_wait()?.is_none(), "the connector ended");
            ensure!(Instant::now() < deadline, "{} of {runs} runs within {PATIENCE:?}", sizes.empty_runs);
            sleep(Duration::from_millis(500)).await;
        }
    };
    let before = until(SETTLED_RUNS).await?;
    let after = until(before.empty_runs + runs).await?;
    lab.assert_protected(20).await?;
    let (calls, runs) = (after.calls - before.calls, after.empty_runs - before.empty_runs);
    let share = 100.0 * calls as f64 / (BUDGET_OF_A_DAY * runs as f64 * 30.0 / 86_400.0);
    table.add("calls", format!("{calls} for {runs} runs: {share:.2} % of the budget"));
    table.add("state folder", format!("{} bytes before, {} after", before.state, after.state));
    table.add("log", format!("{} bytes before, {} after", before.log, after.log));
    table.promise("an idle day: at most 0.3 % of the budget", format!("{share:.2} %"), share <= 0.3);
    let grown = after.state.saturating_sub(before.state);
    table.promise("an idle day: the state does not grow", format!("{grown} bytes"), grown == 0);
    let logged = after.log - before.log;
    table.promise("an idle day: the log does not grow", format!("{logged} bytes"), logged == 0);
    Ok(table)
}

async fn sizes(lab: &Lab) -> anyhow::Result<Sizes> {
    let status = lab.program("connector", &["status", "--json"])?.stdout(Stdio::piped()).output().await?;
    let status: Value = serde_json::from_slice(&status.stdout).unwrap_or_default();
    Ok(Sizes {
        empty_runs: status["runs_without_jobs"].as_u64().unwrap_or_default(),
        calls: lab.portal_calls().await?,
        state: below(&lab.path("state"))?,
        log: std::fs::metadata(lab.path("log")).context("no log")?.len(),
    })
}

fn below(folder: &Path) -> anyhow::Result<u64> {
    let Ok(files) = std::fs::read_dir(folder) else { return Ok(0) };
    files.map(|file| Ok(file?.metadata()?.len())).sum()
}
