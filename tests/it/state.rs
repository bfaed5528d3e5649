//! The state file over the years: converted to a new format.

use rusqlite::Connection;

use crate::harness::{Bench, quick};

/// More than two batches of jobs, and of outcomes.
const JOBS: u32 = 12_000;

/// A state of the first release with many jobs, each watermarked.
async fn state_of_the_first_release() -> Bench {
    let bench = Bench::new(quick()).await;
    std::fs::create_dir(bench.path("state")).unwrap();
    let connection = Connection::open(bench.path("state/connector.sqlite")).unwrap();
    let schema = include_str!("../../crates/ledger/src/state/fixtures/first-release.sql");
    let fill = format!(
        "BEGIN;
         DELETE FROM jobs; DELETE FROM published; DELETE FROM outcomes;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {JOBS})
         INSERT INTO published SELECT printf('%032x', i), 'run-1', 'A' || i, 3, 1767323000000 + i, 0 FROM n;
         INSERT INTO outcomes (job_id, run_id, asset_id, outcome, base, bytes_downloaded, bytes_uploaded, event)
         SELECT job_id, run_id, asset_id, 'watermarked', base, 10, 20, json_object('job_id', job_id, 'run_id', run_id,
             'asset_id', asset_id, 'asset_name', 'Lake', 'base', base, 'outcome', 'watermarked', 'version', 4, 'attempts', 0,
             'bytes_downloaded', 10, 'bytes_uploaded', 20, 'at', '2026-01-02T03:04:05.678Z') FROM published;
         COMMIT;"
    );
    connection.execute_batch(schema).unwrap();
    connection.execute_batch(&fill).unwrap();
    bench
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_converts_the_state_of_an_earlier_release_the_program_continues_and_has_each_row_once()
 {
    let bench = state_of_the_first_release().await;
    for batch in ["1", "2", "3"] {
        let died = bench.run_with(&["status"], &[("CONNECTOR_CRASH_AT", batch.to_owned())]).await;
        assert_eq!(died.code, None, "{died:#?}");
    }
    let report = bench.run(&["report", "--since", "2020-01-01", "--format", "json"]).await;
    let assets = report.assert_code(0).out.lines().map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (&line["outcome"], &line["protected_version"]),
            (&"watermarked".into(), &4.into()),
            "{line}"
        );
        line["asset_id"].as_str().unwrap().to_owned()
    });
    assert!(
        assets.eq((1..=JOBS).map(|number| format!("A{number}"))),
        "each once, in the order of the record"
    );
    assert!(report.talk.contains(&format!("{JOBS} outcomes")), "{}", report.talk);
}
