//! Converting the state of an earlier release.

use ledger::state::State;
use rusqlite::Connection;
use tokio::time::Instant;

use crate::table::{Table, mebibytes, rate};
use crate::usage;

/// The tables of the first release, and a little in them.
const FIRST_RELEASE: &str = include_str!("../../crates/ledger/src/state/fixtures/first-release.sql");

pub(crate) fn measure(is_short: bool, assets: u64) -> anyhow::Result<Table> {
    let jobs = if is_short { 2_000 } else { assets };
    let how =
        format!("A state of the first release with {jobs} jobs, each with an outcome, opened by this one.");
    let mut table = Table::new("Converting an earlier state", how);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("connector.sqlite");
    fill(&path, jobs)?;
    let before = std::fs::metadata(&path)?.len();
    let own = || usage::of(std::process::id()).map_or(0, |usage| usage.peak);
    let filled = own();
    let started = Instant::now();
    let state = State::open(folder.path())?;
    let took = started.elapsed();
    let count = "SELECT count(*) FROM outcomes";
    let outcomes: u64 = Connection::open(&path)?.query_row(count, [], |row| row.get(0))?;
    anyhow::ensure!(outcomes == jobs, "{outcomes} outcomes of {jobs}");
    drop(state);
    let figure = format!("{:.0} s, {:.0} outcomes/s", took.as_secs_f64(), rate(jobs, took));
    table.add("converted", figure);
    table.add("the file before", format!("{}, {} bytes an outcome", mebibytes(before), before / jobs));
    let figure = format!("{}; when it had made the file, {}", mebibytes(own()), mebibytes(filled));
    table.add("memory of this process, at most", figure);
    Ok(table)
}

fn fill(path: &std::path::Path, jobs: u64) -> anyhow::Result<()> {
    let connection = Connection::open(path)?;
    connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = WAL")?;
    connection.execute_batch(FIRST_RELEASE)?;
    let fill = format!(
        "BEGIN;
         DELETE FROM jobs; DELETE FROM published; DELETE FROM outcomes;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {jobs})
         INSERT INTO published SELECT lower(hex(randomblob(16))), 'run-' || (i / 100000),
             printf('%08X-%04X-%04X-%016X', i * 2654435761 % 4294967296, 1, 2, i), 3, 1767323000000 + i * 500, 0 FROM n;
         INSERT INTO outcomes (job_id, run_id, asset_id, outcome, base, original, watermarked, bytes_downloaded,
                               bytes_uploaded, event)
         SELECT job_id, run_id, asset_id, 'watermarked', base, original, watermarked, 10, 20, json_object(
             'job_id', job_id, 'run_id', run_id, 'asset_id', asset_id, 'asset_name', 'IMG_0000001.jpg', 'base', base,
             'outcome', 'watermarked', 'version', 4, 'original', original, 'watermarked', watermarked,
             'media_id', '1f0a9c2e-77b1-4d3c-9e55-12ab34cd56ef', 'attempts', 0, 'bytes_downloaded', 10,
             'bytes_uploaded', 20, 'at', '2026-01-02T03:04:05.678901234Z')
         FROM (SELECT *, lower(hex(randomblob(32))) AS original, lower(hex(randomblob(32))) AS watermarked FROM published);
         COMMIT;"
    );
    Ok(connection.execute_batch(&fill)?)
}
