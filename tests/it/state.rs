//! The state file over the years: converted to a new format, and its history archived.

use std::ops::Range;

use common::hash::ContentHash;
use common::job::{Job, Lane, RunId};
use common::outcome::{Failure, FailureClass, Outcome, OutcomeEvent};
use jiff::Timestamp;
use ledger::Ledger;
use ledger::state::State;
use nix::sys::signal::Signal;
use rusqlite::Connection;
use tokio::io::AsyncReadExt;

use crate::harness::fleet::{ended, signal};
use crate::harness::{Bench, quick, until};

/// More than two batches of jobs, and of outcomes.
const JOBS: u32 = 12_000;

/// A state of the first release with this many jobs, each watermarked.
async fn state_of_the_first_release(jobs: u32) -> Bench {
    let bench = Bench::new(quick()).await;
    std::fs::create_dir(bench.path("state")).unwrap();
    let connection = Connection::open(bench.path("state/connector.sqlite")).unwrap();
    let schema = include_str!("../../crates/ledger/src/state/fixtures/first-release.sql");
    let fill = format!(
        "BEGIN;
         DELETE FROM jobs; DELETE FROM published; DELETE FROM outcomes;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {jobs})
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
    let bench = state_of_the_first_release(JOBS).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn stopped_by_a_signal_a_conversion_ends_after_its_batch_and_the_next_start_continues_it() {
    let jobs = 2 * JOBS;
    let bench = state_of_the_first_release(jobs).await;
    let path = bench.path("state/connector.sqlite");
    let count =
        |sql: &str| -> u32 { Connection::open(&path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap() };
    let mut left = jobs;
    for stop in [Signal::SIGTERM, Signal::SIGINT] {
        let passed = bench.path(stop.as_str());
        let child = bench.command(&["sync"]).env("CONNECTOR_CRASH_COUNT", &passed).spawn().unwrap();
        until(|| std::fs::read_to_string(&passed).is_ok_and(|places| places.contains("conversion.batch")))
            .await;
        signal(&child, stop);
        let ended = ended(child).await;
        let said = &ended.assert_code(5).talk;
        assert!(
            said.contains("is converted in part: it was stopped") && said.contains("continues"),
            "{said}"
        );
        assert_eq!(count("PRAGMA user_version"), 9, "{said}");
        let before = std::mem::replace(&mut left, count("SELECT count(*) FROM published_before"));
        assert!(left < before, "{left} of {before} jobs are left");
    }
    bench.run(&["status"]).await.assert_code(0);
    assert_eq!(count("SELECT count(*) FROM outcomes JOIN published USING (job) WHERE sequence = last"), jobs);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_an_earlier_release_that_cannot_be_read_is_named_and_stops_no_conversion() {
    let bench = state_of_the_first_release(JOBS).await;
    let path = bench.path("state/connector.sqlite");
    let damage = "UPDATE published SET asset_id = 'no/asset' WHERE asset_id = 'A7'";
    Connection::open(&path).unwrap().execute_batch(damage).unwrap();
    let report = bench.run(&["report", "--asset", "A7", "--format", "json"]).await;
    let warned = report.assert_code(0).talk.lines().find(|line| line.contains("is kept as it is"));
    let warned = warned.unwrap_or_else(|| panic!("{report:#?}"));
    assert!(warned.contains("published_unreadable") && warned.contains(&format!("{:032x}", 7)), "{warned}");
    assert_eq!(report.out.lines().count(), 1, "its outcome can be read: {report:#?}");
    let kept = "SELECT asset_id FROM published_unreadable";
    let kept: String = Connection::open(&path).unwrap().query_row(kept, [], |row| row.get(0)).unwrap();
    assert_eq!(kept, "no/asset");
}

/// The lines of a report over everything, in an order of their own.
async fn reported(bench: &Bench) -> Vec<String> {
    let report = bench.run(&["report", "--since", "2020-01-01", "--format", "json"]).await;
    let mut lines: Vec<_> = report.assert_code(0).out.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The job of an asset in a pass over the library, and its outcome; both long ago.
fn job_of(pass: u32, asset: u32) -> (Job, OutcomeEvent) {
    let at = Timestamp::from_second(1_700_000_000 + i64::from(pass * 1000 + asset)).unwrap();
    let (run, id) = (RunId(format!("run-{pass}")), format!("A{asset}").parse().unwrap());
    let job = Job::new(run, id, "Lake", Lane::Backlog, pass, None, at);
    let file = |name: &str| ContentHash::of(format!("{name} {asset} {pass}").as_bytes()).ok();
    let ended = job.ended(Outcome::Watermarked { version: 9 }, at);
    let ended = OutcomeEvent { original: file("original"), watermarked: file("watermarked"), ..ended };
    (job, ended)
}

async fn publish(state: &State, pass: u32, assets: Range<u32>) {
    let publish = move |transaction: &rusqlite::Transaction<'_>| {
        assets
            .into_iter()
            .try_for_each(|asset| ledger::note_published(transaction, &job_of(pass, asset).0).map(drop))
    };
    state.write(publish).await.unwrap();
}

async fn fold(ledger: &Ledger, pass: u32, assets: Range<u32>) {
    let events = assets.map(|asset| job_of(pass, asset).1).collect();
    assert_eq!(ledger.fold(events).await.unwrap(), []);
}

/// Makes the state one with three jobs of each of a few assets.
async fn fill(bench: &Bench) {
    let _ = std::fs::remove_dir_all(bench.path("state"));
    let state = State::open(&bench.path("state")).unwrap();
    for pass in 1..=3 {
        publish(&state, pass, 0..20).await;
        fold(&Ledger::new(state.clone()), pass, 0..20).await;
    }
}

const ARCHIVE: [&str; 5] = ["state", "archive", "--before", "2024-01-01", "--json"];

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_and_after_every_effect_the_archive_loses_nothing_and_reports_have_each_outcome_once() {
    let bench = Bench::new(quick()).await;
    fill(&bench).await;
    let whole = reported(&bench).await;
    assert_eq!(whole.len(), 60);
    let count = [("CONNECTOR_CRASH_COUNT", bench.path("count").display().to_string())];
    let done = bench.run_with(&ARCHIVE, &count).await.assert_code(0).summary();
    assert_eq!((&done["outcomes"], &done["jobs"], &done["files"]), (&40.into(), &40.into(), &1.into()));
    assert_eq!(reported(&bench).await, whole);
    let points = std::fs::read_to_string(bench.path("count")).unwrap();
    assert!(points.contains("archive.written") && points.lines().count() >= 5, "{points}");
    for point in 1..=points.lines().count() {
        fill(&bench).await;
        let died = bench.run_with(&ARCHIVE, &[("CONNECTOR_CRASH_AT", point.to_string())]).await;
        assert_eq!(died.code, None, "{died:#?}");
        assert_eq!(reported(&bench).await, whole, "after dying at {point}");
        bench.run(&ARCHIVE).await.assert_code(0);
        assert_eq!(reported(&bench).await, whole, "after dying at {point} and archiving again");
        let files = std::fs::read_dir(bench.path("state/archive")).unwrap().count();
        assert_eq!(files, 2, "after dying at {point}: a file and its keys");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_archived_is_found_by_asset_by_run_and_by_file() {
    let bench = Bench::new(quick()).await;
    fill(&bench).await;
    bench.run(&ARCHIVE).await.assert_code(0);
    for (arguments, lines) in [(&["report", "--asset", "A7"][..], 3), (&["report", "run-1"], 20)] {
        let report = bench.run(&[arguments, &["--format", "json"]].concat()).await;
        assert_eq!(report.assert_code(0).out.lines().count(), lines, "{arguments:?}");
    }
    let hash = ContentHash::of(&b"watermarked 7 1"[..]).unwrap().to_string();
    let found = bench.run(&["lookup", &hash, "--json"]).await.assert_code(0).summary();
    assert_eq!((&found["found"][0]["asset_id"], found["found"].as_array().unwrap().len()), (&"A7".into(), 1));
    let recent = bench.run(&["state", "archive", "--before", "2999-01-01"]).await;
    assert!(
        recent.assert_code(2).talk.contains("is too recent: outcomes of the last 48 hours stay"),
        "{recent:#?}"
    );
    let held = State::open(&bench.path("state")).unwrap();
    let busy = bench.run(&ARCHIVE).await;
    assert!(busy.assert_code(5).talk.contains("is in use by process"), "{busy:#?}");
    drop(held);
}

/// As with `connector report | less`. A reader that held a snapshot would make the log as long as all that is written meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn while_a_report_is_open_in_the_middle_and_jobs_are_recorded_the_log_stays_short() {
    let bench = Bench::new(quick()).await;
    let state = State::open(&bench.path("state")).unwrap();
    let ledger = Ledger::new(state.clone());
    publish(&state, 1, 0..3000).await;
    fold(&ledger, 1, 0..3000).await;
    let mut report = bench.spawn(&["report", "--since", "2020-01-01"]);
    report.stdout.as_mut().unwrap().read_exact(&mut [0; 4096]).await.unwrap();
    let log = bench.path("state/connector.sqlite-wal");
    let mut longest = 0;
    for asset in (0..8000).step_by(200) {
        publish(&state, 2, asset..asset + 200).await;
        fold(&ledger, 2, asset..asset + 200).await;
        longest = longest.max(std::fs::metadata(&log).unwrap().len());
    }
    assert_eq!(report.try_wait().unwrap(), None, "it is still open");
    assert!(longest < 16 << 20, "{longest} bytes of log");
    // It continues where it was, with what was recorded before it began.
    let mut rest = String::new();
    report.stdout.as_mut().unwrap().read_to_string(&mut rest).await.unwrap();
    assert_eq!(report.wait().await.unwrap().code(), Some(0));
    let last = rest.lines().rfind(|line| line.contains("\"watermarked\"")).unwrap();
    assert!(last.starts_with("\"A2999\""), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_page_of_failed_jobs_says_how_many_there_are() {
    let bench = Bench::new(quick()).await;
    let state = State::open(&bench.path("state")).unwrap();
    publish(&state, 1, 0..5).await;
    let failure = Failure { class: FailureClass::Refused, reason: "".into(), request_id: None };
    let failed = |event| OutcomeEvent { outcome: Outcome::Failed(failure.clone()), ..event };
    let events = (0..5).map(|asset| failed(job_of(1, asset).1)).collect();
    assert_eq!(Ledger::new(state).fold(events).await.unwrap(), []);
    for (arguments, said) in [
        (&["--limit", "2"][..], "2 of 5 failed jobs; --page 2 shows the next"),
        (&["--limit", "2", "--page", "3"], "1 of 5 failed jobs; this is the last page"),
        (&["--limit", "2", "--page", "4"], "0 of 5 failed jobs; this is the last page"),
        (&["--limit", "5"], "5 failed jobs"),
        (&["--name", "lak"], "5 failed jobs"),
        (&["--name", "sea"], "0 failed jobs"),
    ] {
        let listed = bench.run(&[&["failed", "list"], arguments].concat()).await;
        let last = listed.assert_code(0).talk.lines().last();
        assert_eq!(last, Some(said), "{arguments:?}");
    }
}
