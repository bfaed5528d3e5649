//! Counts are maintained as rows are written. They match a count of the rows, and no question about a current run reads
//! the history.

use std::sync::atomic::Ordering;

use super::tests::samples::steps_of;
use super::*;
use common::job::{Job, Lane};
use common::outcome::{Failure, FailureClass};

fn job(run: usize, asset: usize) -> Job {
    let lane = if asset.is_multiple_of(3) { Lane::Fresh } else { Lane::Backlog };
    let (run, asset) = (RunId(format!("run {run}")), format!("{asset:04}").parse().unwrap());
    Job::new(run, asset, "", lane, 3, None, Timestamp::UNIX_EPOCH)
}

fn failed(class: FailureClass) -> Outcome {
    Outcome::Failed(Failure { class, reason: "".into(), request_id: None })
}

/// Records jobs of one run, each with up to three outcomes, of which the last counts; every fourth job stays open.
async fn record(ledger: &Ledger, run: usize, jobs: usize) {
    let write = move |transaction: &Transaction<'_>| {
        for asset in 0..jobs {
            let job = job(run, asset);
            note_published(transaction, &job)?;
            let outcomes = [failed(FailureClass::Refused), failed(FailureClass::Permission), Outcome::Gone];
            for (number, outcome) in outcomes.into_iter().enumerate().skip(asset % 4) {
                let bytes = (asset + number) as u64;
                let ended = job.ended(outcome, Timestamp::UNIX_EPOCH);
                note_outcome(
                    transaction,
                    &OutcomeEvent { bytes_downloaded: bytes, bytes_uploaded: 1, ..ended },
                )?;
            }
        }
        Ok(())
    };
    ledger.state.write(write).await.unwrap();
}

/// A query's rows, as text.
async fn rows(ledger: &Ledger, sql: &'static str) -> Vec<String> {
    let read = move |connection: &Connection| {
        let mut statement = connection.prepare(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query([])?;
        let mut texts = Vec::new();
        while let Some(row) = rows.next()? {
            let cells = (0..columns).map(|at| Ok(format!("{:?}", row.get_ref(at)?)));
            texts.push(cells.collect::<Result<Vec<_>, DatabaseError>>()?.join(" "));
        }
        Ok(texts)
    };
    ledger.state.read(read).await.unwrap()
}

#[tokio::test]
async fn what_is_kept_count_of_is_what_counting_the_rows_gives() {
    let ledger = Ledger::new(State::in_memory().unwrap());
    for (run, jobs) in [(1, 40), (2, 7), (1, 40)] {
        record(&ledger, run, jobs).await;
    }
    ledger.give_up_run(&RunId("run 2".to_owned())).await.unwrap();
    for (kept, counted) in [
        (
            "SELECT run, published, open FROM run_jobs",
            "SELECT run, count(*), sum(open) FROM published GROUP BY 1 ORDER BY 1",
        ),
        ("SELECT lane, open FROM lane_jobs", "SELECT lane, sum(open) FROM published GROUP BY 1 ORDER BY 1"),
        (
            "SELECT * FROM run_outcomes WHERE jobs > 0",
            "SELECT run, outcome, count(*), sum(bytes_downloaded), sum(bytes_uploaded)
             FROM outcomes JOIN published USING (job) WHERE sequence IN (SELECT max(sequence) FROM outcomes GROUP BY job)
             GROUP BY 1, 2 ORDER BY 1, 2",
        ),
        (
            "SELECT * FROM outcome_totals",
            "SELECT outcome, count(*), sum(bytes_downloaded), sum(bytes_uploaded) FROM outcomes GROUP BY 1 ORDER BY 1",
        ),
        (
            "SELECT asset, last_outcome, outcome FROM assets WHERE last_outcome >= 0",
            "SELECT asset, max(sequence), outcome FROM outcomes JOIN published USING (job) GROUP BY 1 ORDER BY 1",
        ),
        (
            "SELECT * FROM asset_counts WHERE assets > 0",
            "SELECT iif(last_outcome < 0, -1, outcome), count(*) FROM assets GROUP BY 1 ORDER BY 1",
        ),
        (
            "SELECT asset, last_job FROM assets",
            "SELECT asset, max(job) FROM published GROUP BY 1 ORDER BY 1",
        ),
        (
            "SELECT job, before FROM published WHERE before >= 0",
            "SELECT job, (SELECT max(job) FROM published AS other WHERE other.asset = published.asset
                          AND other.job < published.job) AS of FROM published WHERE of > 0",
        ),
        (
            "SELECT job, last FROM published WHERE last >= 0",
            "SELECT job, max(sequence) FROM outcomes GROUP BY 1 ORDER BY 1",
        ),
        (
            "SELECT sequence, previous FROM outcomes WHERE previous IS NOT NULL",
            "SELECT sequence, (SELECT max(sequence) FROM outcomes AS other WHERE other.job = outcomes.job
                               AND other.sequence < outcomes.sequence) AS of FROM outcomes WHERE of > 0",
        ),
        (
            "SELECT run, first_job, last_job, first_outcome, last_outcome FROM run_jobs",
            "SELECT run, min(job), max(job), min(sequence), max(sequence)
             FROM published LEFT JOIN outcomes USING (job) GROUP BY 1 ORDER BY 1",
        ),
        (
            "SELECT * FROM published_hours",
            "SELECT at_ms / 3600000, min(job) FROM published GROUP BY 1 ORDER BY 1",
        ),
        (
            "SELECT * FROM outcome_hours",
            "SELECT at / 3600000000000, min(sequence) FROM outcomes GROUP BY 1 ORDER BY 1",
        ),
    ] {
        let kept_rows = rows(&ledger, kept).await;
        assert!(!kept_rows.is_empty(), "{kept}");
        assert_eq!(kept_rows, rows(&ledger, counted).await, "{kept}");
    }
}

/// Asks what is asked during a run.
async fn ask(ledger: &Ledger, mark: &Mark) {
    let run = RunId("run 2".to_owned());
    ledger.published_in(&run).await.unwrap();
    ledger.open_in(&run).await.unwrap();
    ledger.open_in_lane(Lane::Fresh).await.unwrap();
    ledger.tally_of(&run).await.unwrap();
    ledger.tally_since(mark).await.unwrap();
    ledger.mark().await.unwrap();
    ledger.known(&"0000".parse().unwrap()).await.unwrap();
    ledger.was_published(&job(2, 0).job_id).await.unwrap();
    ledger.latest_runs(1).await.unwrap();
    ledger.failures_of("run 2").await.unwrap();
    ledger.published_by_walks().await.unwrap();
    ledger.record_counts().await.unwrap();
}

#[tokio::test]
async fn nothing_that_is_asked_while_a_run_goes_on_costs_more_with_more_history() {
    let ledger = Ledger::new(State::in_memory().unwrap());
    let steps = steps_of(&ledger).await;
    record(&ledger, 2, 20).await;
    let mark = ledger.mark().await.unwrap();
    let mut cost = Vec::new();
    for jobs in [20, 40, 1000] {
        record(&ledger, 1, jobs).await;
        let before = steps.load(Ordering::Relaxed);
        ask(&ledger, &mark).await;
        cost.push(steps.load(Ordering::Relaxed) - before);
    }
    assert_eq!(cost[1], cost[2], "SQLite's steps, with 60 and with 1,040 jobs recorded: {cost:?}");
}

#[tokio::test]
async fn an_outcome_is_found_by_its_time_whichever_clock_is_wrong_and_one_far_ahead_costs_later_questions_nothing()
 {
    let ledger = Ledger::new(State::in_memory().unwrap());
    let now = Timestamp::now();
    let hours = jiff::SignedDuration::from_hours;
    // Of a worker whose clock is years ahead; and as it looks to a producer whose clock is three days behind.
    for (asset, ahead) in [(1, 99_999), (2, 72)] {
        let event = OutcomeEvent { at: now + hours(ahead), ..job(1, asset).ended(Outcome::Gone, now) };
        ledger.state.write(move |transaction| note_outcome(transaction, &event)).await.unwrap();
    }
    let since = async |ahead| ledger.ended_since(now + hours(ahead)).await.unwrap();
    assert_eq!(since(0).await, (2, Some(now + hours(72))));
    // The one that is years ahead counts as one of tomorrow.
    assert_eq!(since(71).await, (1, Some(now + hours(72))));
    assert_eq!(since(100).await, (0, None), "from an hour that has no outcome, nothing is read");
}

#[tokio::test]
async fn forged_outcomes_of_absurd_sizes_overflow_no_sum() {
    let ledger = Ledger::new(State::in_memory().unwrap());
    let write = |transaction: &Transaction<'_>| {
        for asset in 0..1100 {
            let ended = job(1, asset).ended(Outcome::Gone, Timestamp::UNIX_EPOCH);
            let bytes = 1 << 53;
            note_outcome(
                transaction,
                &OutcomeEvent { bytes_downloaded: bytes, bytes_uploaded: bytes, ..ended },
            )?;
        }
        Ok(())
    };
    ledger.state.write(write).await.unwrap();
    let since = ledger.tally_since(&Mark::default()).await.unwrap();
    assert_eq!(since.outcomes["gone"], 1100);
    assert!(since.bytes_downloaded > 1 << 57 && since.bytes_uploaded > 1 << 57);
    ledger.tally_of(&RunId("run 1".to_owned())).await.unwrap();
}
