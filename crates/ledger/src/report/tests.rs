use std::sync::atomic::Ordering;

use common::job::{Job, Lane, RunId};
use common::outcome::Outcome;
use jiff::Timestamp;

use super::*;
use crate::state::State;
use crate::tests::samples::steps_of;
use crate::{note_outcome, note_published};

fn job_of(run: &str, number: usize) -> Job {
    let asset = format!("{number:04}").parse().unwrap();
    let at = Timestamp::from_millisecond(number as i64).unwrap();
    Job::new(RunId(run.to_owned()), asset, "", Lane::Backlog, 1, None, at)
}

fn job(number: usize) -> Job {
    job_of("r", number)
}

#[tokio::test]
async fn a_report_of_many_pages_has_each_job_once_and_holds_nothing_of_the_file_while_a_line_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(State::open(directory.path()).unwrap());
    let (ended, open) = (2 * PAGE + 10, PAGE + 5);
    ledger
        .state
        .write(move |transaction| {
            for number in 0..ended + open {
                note_published(transaction, &job(number))?;
                if number < ended {
                    note_outcome(transaction, &job(number).ended(Outcome::Gone, Timestamp::now()))?;
                }
            }
            Ok(())
        })
        .await
        .unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let beside = rusqlite::Connection::open(ledger.state.path()).unwrap();
    let mut taken = 0;
    let take = move |line: Line| {
        taken += 1;
        // In the middle of a page a job ends and the log is checkpointed, which a held snapshot would prevent.
        if taken == PAGE + 7 {
            let last = job(ended + open - 1);
            let transaction = beside.unchecked_transaction().unwrap();
            note_outcome(&transaction, &last.ended(Outcome::Gone, Timestamp::now())).unwrap();
            transaction.commit().unwrap();
            let busy: u32 =
                beside.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
            assert_eq!(busy, 0, "a snapshot is held");
        }
        sender.send((line.asset_id, line.outcome)).unwrap();
        ControlFlow::Continue(())
    };
    let counts = ledger.report(Extent::Run(RunId("r".to_owned())), take).await.unwrap();
    let expected: Vec<_> = (0..ended + open)
        .map(|number| (format!("{number:04}"), if number < ended { "gone" } else { UNDER_WAY }.to_owned()))
        .collect();
    assert!(receiver.iter().collect::<Vec<_>>() == expected);
    assert_eq!(counts, Counts { outcomes: ended as u64, under_way: open as u64, ..Counts::default() });
}

#[tokio::test]
async fn a_report_ends_where_its_reader_breaks_off() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(State::open(directory.path()).unwrap());
    let note = |transaction: &rusqlite::Transaction<'_>| {
        (0..PAGE * 2).try_for_each(|number| note_published(transaction, &job(number)).map(drop))
    };
    ledger.state.write(note).await.unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let take = move |_| {
        sender.send(()).unwrap();
        ControlFlow::Break(())
    };
    ledger.report(Extent::Since(Timestamp::UNIX_EPOCH), take).await.unwrap();
    assert_eq!(receiver.iter().count(), 1);
}

/// Records jobs of a run, of which every third stays open, and as many restorations of other assets.
async fn record(ledger: &Ledger, run: &'static str, numbers: std::ops::Range<usize>) {
    let write = move |transaction: &rusqlite::Transaction<'_>| {
        for number in numbers {
            let job = job_of(run, number);
            note_published(transaction, &job)?;
            if number % 3 > 0 {
                note_outcome(transaction, &job.ended(Outcome::Gone, Timestamp::now()))?;
            }
            let sql = "INSERT INTO restorations (run_id, asset_id, at_ms, event) VALUES (?1, ?2, 0, '{}')";
            transaction.execute(sql, [format!("undo of {run}"), format!("other {number}")])?;
        }
        Ok(())
    };
    ledger.state.write(write).await.unwrap();
}

#[tokio::test]
async fn a_report_of_a_run_or_an_asset_reads_nothing_of_the_history_that_came_later() {
    let ledger = Ledger::new(State::in_memory().unwrap());
    let steps = steps_of(&ledger).await;
    record(&ledger, "early", 0..30).await;
    let mut costs = Vec::new();
    // The first reports also prepare their statements.
    for later in [1000..1001, 1001..1002, 1002..3000] {
        record(&ledger, "late", later).await;
        for extent in [Extent::Run(RunId("early".to_owned())), Extent::Asset("0003".parse().unwrap())] {
            let before = steps.load(Ordering::Relaxed);
            let counts = ledger.report(extent, |_| ControlFlow::Continue(())).await.unwrap();
            assert!(counts.under_way > 0, "{counts:?}");
            costs.push(steps.load(Ordering::Relaxed) - before);
        }
    }
    // Where a search in a larger index ends may take a step more.
    let is_same = |at: usize| costs[at].abs_diff(costs[at + 2]) < 5;
    assert!(is_same(2) && is_same(3), "SQLite's steps, with 2 and with 2,000 later jobs: {costs:?}");
}
