use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::Ordering;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use rusqlite::Transaction;

use crate::state::State;
use crate::tests::samples::{job, one_of_each, steps_of, watermarked};
use crate::{Counts, Extent, Known, Ledger, Line, Mark, Moved, RunMode, note_outcome, note_published};
use common::check::{Check, Obstacle};
use common::job::Job;
use common::outcome::{Outcome, OutcomeEvent};

const ASSETS: usize = 60;
/// The passes over the library.
const PASSES: u32 = 4;

/// The outcome of a job of [`filled`].
fn ended(job: &Job, asset: usize, pass: u32) -> OutcomeEvent {
    let kinds = one_of_each();
    let outcome = kinds[(asset + pass as usize) % kinds.len()].clone();
    let checks = [(Check::Alpha, Obstacle::TooLarge), (Check::Dpi, Obstacle::Unreadable)];
    let unchecked = checks.into_iter().take(asset % 3).collect();
    OutcomeEvent { outcome, unchecked, ..watermarked(job) }
}

/// A ledger with several jobs of each asset, of which some failed; one failed job was repeated. In the last pass, every tenth asset
/// has an open job.
async fn filled() -> (tempfile::TempDir, Ledger) {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(State::open(directory.path()).unwrap());
    let fill = |transaction: &Transaction<'_>| {
        for (pass, asset) in (0..PASSES).flat_map(|pass| (0..ASSETS).map(move |asset| (pass, asset))) {
            let job = job(asset, pass);
            note_published(transaction, &job)?;
            if pass + 1 < PASSES || asset % 10 > 0 {
                let event = ended(&job, asset, pass);
                note_outcome(transaction, &event)?;
                if asset % 7 == 0 && matches!(event.outcome, Outcome::Failed(_)) {
                    note_outcome(transaction, &watermarked(&job))?;
                }
            }
        }
        Ok(())
    };
    ledger.state.write(fill).await.unwrap();
    (directory, ledger)
}

async fn report(ledger: &Ledger, extent: Extent) -> (Vec<Line>, Counts) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let take = move |line| {
        sender.send(line).unwrap();
        ControlFlow::Continue(())
    };
    let counts = ledger.report(extent, take).await.unwrap();
    (receiver.iter().collect(), counts)
}

/// The lines of a report, in an order of their own.
async fn sorted(ledger: &Ledger, extent: Extent) -> (Vec<String>, Counts) {
    let (lines, counts) = report(ledger, extent).await;
    let mut lines: Vec<_> = lines.iter().map(|line| serde_json::to_string(line).unwrap()).collect();
    lines.sort();
    (lines, counts)
}

/// Everything that is asked of the record.
#[derive(Debug, PartialEq)]
struct Answers {
    reports: Vec<(Vec<String>, Counts)>,
    of_assets: Vec<Vec<OutcomeEvent>>,
    of_files: Vec<Vec<OutcomeEvent>>,
    of_runs: Vec<Vec<OutcomeEvent>>,
    known: Vec<Known>,
    tallies: Vec<crate::Tally>,
    unchecked: Vec<BTreeMap<String, u64>>,
    failed: Vec<crate::LostJob>,
}

async fn answers(ledger: &Ledger) -> Answers {
    let runs = || (0..PASSES).map(|pass| job(0, pass).run_id);
    let middle = watermarked(&job(ASSETS / 2, 1)).at;
    let extents =
        [Extent::Since(Timestamp::UNIX_EPOCH), Extent::Since(middle), Extent::Asset(job(5, 0).asset_id)];
    let mut answers = Answers {
        reports: Vec::new(),
        of_assets: Vec::new(),
        of_files: Vec::new(),
        of_runs: Vec::new(),
        known: Vec::new(),
        tallies: Vec::new(),
        unchecked: vec![ledger.unchecked_since(&Mark::default()).await.unwrap()],
        failed: ledger.failed_jobs(None, None, 99).await.unwrap(),
    };
    for extent in extents.into_iter().chain(runs().map(Extent::Run)) {
        answers.reports.push(sorted(ledger, extent).await);
    }
    for run in runs() {
        answers.of_runs.push(ledger.protected_by(&run).await.unwrap());
        answers.tallies.push(ledger.tally_of(&run).await.unwrap());
        answers.unchecked.push(ledger.unchecked_of(&run).await.unwrap());
    }
    for asset in 0..ASSETS {
        let id = job(asset, 0).asset_id;
        answers.known.push(ledger.known(&id).await.unwrap());
        answers.of_assets.push(ledger.outcomes_of(&id).await.unwrap());
        let file = watermarked(&job(asset, 1)).original.unwrap();
        answers.of_files.push(ledger.outcomes_of_file(file).await.unwrap());
    }
    answers
}

/// The number of outcomes and of jobs in the state file.
async fn rows(ledger: &Ledger) -> (usize, usize) {
    let sql = "SELECT (SELECT count(*) FROM outcomes), (SELECT count(*) FROM published)";
    let read = ledger
        .state
        .read(move |connection| Ok(connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?));
    read.await.unwrap()
}

#[tokio::test]
async fn every_question_is_answered_as_before_history_was_archived() {
    let (directory, ledger) = filled().await;
    let before = answers(&ledger).await;
    let all = rows(&ledger).await;
    assert_eq!(before.of_files.iter().map(Vec::len).min(), Some(1));

    let some = ledger.archive(watermarked(&job(0, 1)).at).await.unwrap();
    assert!(some.outcomes >= some.jobs && some.jobs > 20 && some.files == 1, "{some:?}");
    assert_eq!(answers(&ledger).await, before);
    let more = ledger.archive(watermarked(&job(0, 9)).at).await.unwrap();
    assert!(more.jobs > 40, "{more:?}");
    assert_eq!(answers(&ledger).await, before);
    assert_eq!(ledger.archive(watermarked(&job(0, 9)).at).await.unwrap(), Moved::default());
    let moved = (some.outcomes + more.outcomes, some.jobs + more.jobs);
    let left = rows(&ledger).await;
    assert_eq!((left.0 as u64, left.1 as u64), (all.0 as u64 - moved.0, all.1 as u64 - moved.1));

    drop(ledger);
    let ledger = Ledger::new(State::open(directory.path()).unwrap());
    assert_eq!(answers(&ledger).await, before);
    for entry in std::fs::read_dir(directory.path().join("archive")).unwrap() {
        let access = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(access & 0o777, 0o600);
    }
    // The files are plain to other programs.
    let read = std::process::Command::new("zcat")
        .arg(directory.path().join("archive/outcomes-000001.jsonl.gz"))
        .output();
    assert_eq!(String::from_utf8(read.unwrap().stdout).unwrap().lines().count() as u64, some.outcomes);
}

#[tokio::test]
async fn what_decides_about_an_asset_or_a_copy_of_an_outcome_is_not_archived() {
    let (_directory, ledger) = filled().await;
    let running = job(0, 1).run_id;
    ledger.begin_run_if_new(&running, RunMode::Full, false, "f", Timestamp::now()).await.unwrap();
    ledger.archive(watermarked(&job(0, 9)).at).await.unwrap();
    for (asset, pass) in (0..ASSETS).flat_map(|asset| (0..PASSES).map(move |pass| (asset, pass))) {
        let job = job(asset, pass);
        let stays = ledger.was_published(&job.job_id).await.unwrap();
        let failed = matches!(ended(&job, asset, pass).outcome, Outcome::Failed(_)) && asset % 7 > 0;
        let is_last = pass + 1 == PASSES || (pass + 2 == PASSES && asset % 10 == 0);
        assert_eq!(stays, failed || is_last || job.run_id == running, "{asset} {pass}");
        if failed {
            // It is replayed, and the outcome of that comes.
            let done = OutcomeEvent { outcome: Outcome::Gone, ..watermarked(&job) };
            assert_eq!(ledger.fold(vec![done.clone()]).await.unwrap(), []);
            assert!(ledger.outcomes_of(&job.asset_id).await.unwrap().contains(&done));
        }
    }
}

#[tokio::test]
async fn a_file_that_a_dead_process_left_does_not_count_and_is_written_anew() {
    let (directory, ledger) = filled().await;
    let before = answers(&ledger).await;
    let folder = directory.path().join("archive");
    // One of a state that was lost is not touched.
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o700)).unwrap();
    std::fs::write(folder.join("outcomes-000001.jsonl.gz"), "of another state").unwrap();
    for name in ["outcomes-000002.jsonl.gz", "outcomes-000002.jsonl.keys"] {
        std::fs::write(folder.join(name), "torn").unwrap();
    }
    ledger.set_fact("archiving", Some("outcomes-000002.jsonl.gz".to_owned())).await.unwrap();
    assert_eq!(answers(&ledger).await, before);
    assert!(ledger.archive(watermarked(&job(0, 9)).at).await.unwrap().outcomes > 0);
    assert_eq!(answers(&ledger).await, before);
    assert_eq!(std::fs::read(folder.join("outcomes-000001.jsonl.gz")).unwrap(), b"of another state");
}

#[tokio::test]
async fn a_state_file_from_elsewhere_names_no_file_outside_the_archive() {
    let (directory, ledger) = filled().await;
    let other = directory.path().join("other.txt");
    std::fs::write(&other, "not ours").unwrap();
    std::fs::create_dir(directory.path().join("archive")).unwrap();
    for name in ["../other.txt", "outcomes-/../../other.txt", other.to_str().unwrap()] {
        ledger.set_fact("archiving", Some(name.to_owned())).await.unwrap();
        assert!(ledger.archive(watermarked(&job(0, 9)).at).await.is_err());
        assert_eq!(std::fs::read(&other).unwrap(), b"not ours", "{name}");
    }
}

#[tokio::test]
async fn a_report_has_each_outcome_once_where_they_are_archived_between_its_pages() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(State::open(directory.path()).unwrap());
    let fill = |transaction: &Transaction<'_>| {
        for (asset, pass) in (0..700).flat_map(|asset| [(asset, 0), (asset, 1)]) {
            note_published(transaction, &job(asset, pass))?;
            note_outcome(transaction, &watermarked(&job(asset, pass)))?;
        }
        Ok(())
    };
    ledger.state.write(fill).await.unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let (other, runtime) = (ledger.clone(), tokio::runtime::Handle::current());
    let mut taken = 0;
    let take = move |line: Line| {
        taken += 1;
        if taken == 600 {
            let moved = runtime.block_on(other.archive(watermarked(&job(0, 9)).at)).unwrap();
            assert_eq!(moved.outcomes, 700);
        }
        sender.send(line.job_id).unwrap();
        ControlFlow::Continue(())
    };
    let counts = ledger.report(Extent::Since(Timestamp::UNIX_EPOCH), take).await.unwrap();
    assert_eq!(counts.outcomes, 1400);
    let reported: std::collections::BTreeSet<_> = receiver.iter().collect();
    assert_eq!(reported.len(), 1400);
}

#[tokio::test]
async fn free_space_is_given_back() {
    let (_directory, ledger) = filled().await;
    let path = ledger.state.path().to_owned();
    let more = |transaction: &Transaction<'_>| {
        for pass in 0..40 {
            for asset in 100..150 {
                note_published(transaction, &job(asset, pass))?;
                note_outcome(transaction, &watermarked(&job(asset, pass)))?;
            }
        }
        Ok(())
    };
    ledger.state.write(more).await.unwrap();
    let length = || std::fs::metadata(&path).unwrap().len();
    let before = answers(&ledger).await;
    ledger
        .state
        .blocking(|connection| Ok(connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?))
        .await
        .unwrap();
    let full = length();
    ledger.archive(watermarked(&job(0, 50)).at).await.unwrap();
    assert!(ledger.state.compact().await.unwrap());
    assert!(length() * 3 < full, "{} of {full}", length());
    assert!(!ledger.state.compact().await.unwrap());
    assert_eq!(answers(&ledger).await, before);
}

#[tokio::test]
async fn a_file_that_is_missing_is_named() {
    let (directory, ledger) = filled().await;
    ledger.archive(watermarked(&job(0, 9)).at).await.unwrap();
    let path = directory.path().join("archive/outcomes-000001.jsonl.gz");
    std::fs::remove_file(&path).unwrap();
    let error =
        ledger.report(Extent::Since(Timestamp::UNIX_EPOCH), |_| ControlFlow::Continue(())).await.unwrap_err();
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
}

#[tokio::test]
async fn a_line_that_is_no_outcome_for_its_length_is_left_out() {
    let (directory, ledger) = filled().await;
    ledger.archive(watermarked(&job(0, 9)).at).await.unwrap();
    let before = answers(&ledger).await;
    let path = directory.path().join("archive/outcomes-000001.jsonl.gz");
    let mut lines = String::new();
    GzDecoder::new(std::fs::read(&path).unwrap().as_slice()).read_to_string(&mut lines).unwrap();
    // Cut where reads are, the character would be broken.
    let long = format!("{{\"event\":\"{}\"}}\n", "é".repeat(3 << 20));
    let mut encoder = GzEncoder::new(std::fs::File::create(&path).unwrap(), Compression::fast());
    encoder.write_all([&long, &lines, &long].map(String::as_str).concat().as_bytes()).unwrap();
    encoder.finish().unwrap();
    assert_eq!(answers(&ledger).await, before);
}

#[tokio::test]
async fn each_of_an_assets_jobs_costs_the_same_to_archive_however_many_it_has() {
    let mut costs = Vec::new();
    for passes in [500, 2000] {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::new(State::open(directory.path()).unwrap());
        let fill = move |transaction: &Transaction<'_>| {
            for pass in 0..passes {
                note_published(transaction, &job(0, pass))?;
                // The later half stays, and one in ten of the others.
                let failed = one_of_each().pop().unwrap();
                let stays = pass > passes / 2 || pass % 10 == 0;
                let outcome = if stays { failed } else { Outcome::Gone };
                note_outcome(transaction, &OutcomeEvent { outcome, ..watermarked(&job(0, pass)) })?;
            }
            Ok(())
        };
        ledger.state.write(fill).await.unwrap();
        let before = ledger.outcomes_of(&job(0, 0).asset_id).await.unwrap();
        let steps = steps_of(&ledger).await;
        let moved = ledger.archive(watermarked(&job(0, passes)).at).await.unwrap();
        costs.push(steps.load(Ordering::Relaxed) / moved.jobs);
        assert_eq!(ledger.outcomes_of(&job(0, 0).asset_id).await.unwrap(), before);
    }
    assert!(costs[1] <= costs[0] + 20, "SQLite's steps for a job, of 500 and of 2,000: {costs:?}");
}
