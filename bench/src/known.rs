//! A full run over a library whose assets are all in the ledger: each page asks it for its assets.

use anyhow::Context;
use ledger::state::State;

use crate::lab::{Lab, Library};
use crate::record::History;
use crate::table::{Table, mebibytes, rate};
use crate::usage;

pub(crate) async fn measure(is_short: bool, assets: u64) -> anyhow::Result<Table> {
    let assets = if is_short { 2_000 } else { assets };
    let how = format!(
        "`connector sync --full` over {assets} protected assets, each with a job and an outcome in the ledger; no request limit."
    );
    let mut table = Table::new("Going over a library that the ledger knows", how);
    let lab = Lab::new(&Library { archive: assets, ..Library::default() }).await?;
    // One process at a time has the state.
    {
        let state = State::open(&lab.path("state"))?;
        History::new(assets, 1).record(&state, 0).await?;
    }
    let before = lab.requests("bynder.list").await?;
    let run = lab.program("connector", &["sync", "--full"])?.spawn()?;
    let mut resident = Vec::new();
    let sample = |pid| resident.extend(usage::of(pid).map(|usage| usage.resident));
    let (took, usage) = usage::to_its_end_while(run, &[0], sample).await?;
    let listings = lab.requests("bynder.list").await? - before;
    let early = resident.iter().take(resident.len().div_ceil(10)).max().context("the run was too short")?;
    table.add(
        format!("{assets} assets"),
        format!(
            "{listings} listings, {:.0} assets/s, {:.0} s of processor time, at most {} ({} in the first tenth of the time)",
            rate(assets, took),
            usage.cpu.as_secs_f64(),
            mebibytes(usage.peak),
            mebibytes(*early)
        ),
    );
    table.promise("under 150 MiB", mebibytes(usage.peak), usage.peak < 150 << 20);
    Ok(table)
}
