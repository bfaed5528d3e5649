mod failed_jobs;
mod rows;
pub(crate) mod samples;
mod size;

use super::*;
use common::check::{Check, Obstacle};
use common::hash::ContentHash;
use common::job::{Job, JobId, Lane};
use common::outcome::{Failure, FailureClass};

fn ledger() -> (tempfile::TempDir, Ledger) {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(State::open(directory.path()).unwrap());
    (directory, ledger)
}

fn job() -> Job {
    Job::new(RunId("r".to_owned()), "A".parse().unwrap(), "", Lane::Fresh, 3, None, Timestamp::now())
}

async fn note(ledger: &Ledger, event: OutcomeEvent) {
    ledger.state.write(move |transaction| note_outcome(transaction, &event)).await.unwrap();
}

#[tokio::test]
async fn a_published_job_is_open_until_its_outcome() {
    let (_directory, ledger) = ledger();
    let job = job();
    let published = job.clone();
    assert!(ledger.state.write(move |transaction| note_published(transaction, &published)).await.unwrap());
    assert!(ledger.known(&job.asset_id).await.unwrap().open.is_some());
    let oldest = async || ledger.oldest_open().await.unwrap().map(Timestamp::as_millisecond);
    assert_eq!(oldest().await, Some(job.created_at.as_millisecond()));
    note(&ledger, job.ended(Outcome::Gone, Timestamp::now())).await;
    assert_eq!(ledger.known(&job.asset_id).await.unwrap(), Known::default());
    assert_eq!(oldest().await, None);
}

#[tokio::test]
async fn open_jobs_are_counted_by_lane() {
    let (_directory, ledger) = ledger();
    for (lane, asset) in
        [(Lane::Fresh, "A"), (Lane::Backlog, "B"), (Lane::Backlog, "C"), (Lane::Backlog, "D")]
    {
        let job =
            Job::new(RunId("r".to_owned()), asset.parse().unwrap(), "", lane, 3, None, Timestamp::now());
        ledger.intend(&job).await.unwrap();
        if asset == "D" {
            note(&ledger, job.ended(Outcome::Gone, Timestamp::now())).await;
        }
    }
    let open = async |lane| ledger.open_in_lane(lane).await.unwrap();
    assert_eq!((open(Lane::Fresh).await, open(Lane::Backlog).await), (1, 2));
}

#[tokio::test]
async fn only_the_last_outcome_decides_whether_a_version_failed() {
    let (_directory, ledger) = ledger();
    let failure = Failure { class: FailureClass::Refused, reason: "".into(), request_id: None };
    note(&ledger, job().ended(Outcome::Failed(failure), Timestamp::now())).await;
    assert_eq!(ledger.known(&job().asset_id).await.unwrap().failed_version, Some(3));
    note(&ledger, job().ended(Outcome::AlreadyProtected, Timestamp::now())).await;
    assert_eq!(ledger.known(&job().asset_id).await.unwrap().failed_version, None);
}

#[tokio::test]
async fn an_outcome_after_a_failure_counts_whatever_the_clock_that_it_was_noted_by() {
    let (_directory, ledger) = ledger();
    let now = Timestamp::now();
    let failure = |reason: &str| {
        let reason = reason.to_owned();
        Outcome::Failed(Failure { class: FailureClass::Refused, reason: reason.into(), request_id: None })
    };
    // The clock of the worker that failed the job was ahead of that of the one that repeated it, which was ahead of the
    // one that ended it.
    let hour = jiff::SignedDuration::from_hours(1);
    let first = job().ended(failure("one"), now + hour);
    let second = job().ended(failure("two"), now);
    let done = job().ended(Outcome::Watermarked { version: 4 }, now - hour);
    let late = job().ended(failure("late"), now + hour);
    let events = [&first, &first, &second, &first, &done, &second, &done, &late].map(Clone::clone);
    ledger.intend(&job()).await.unwrap();
    assert_eq!(ledger.fold(events.to_vec()).await.unwrap(), []);
    assert_eq!(ledger.outcomes_of(&job().asset_id).await.unwrap(), [first, second, done]);
}

#[tokio::test]
async fn an_outcome_counts_only_for_a_job_that_was_published_as_it_says() {
    let (_directory, ledger) = ledger();
    ledger.intend(&job()).await.unwrap();
    ledger.confirm(&job().job_id).await.unwrap();
    let now = Timestamp::now();
    let ended = || job().ended(Outcome::Watermarked { version: 4 }, now);
    let (run_id, asset_id, job_id) = (RunId("s".to_owned()), "B".parse().unwrap(), JobId("j".to_owned()));
    let strangers = [
        OutcomeEvent { run_id, ..ended() },
        OutcomeEvent { asset_id, ..ended() },
        OutcomeEvent { job_id, ..ended() },
    ];
    assert_eq!(ledger.fold(strangers.to_vec()).await.unwrap(), strangers);
    assert!(ledger.known(&job().asset_id).await.unwrap().open.is_some());
    // For an unreadable message, only the id may be known.
    let unreadable = OutcomeEvent::of_unreadable(
        job().job_id,
        RunId(String::new()),
        AssetId::unknown(),
        "torn".to_owned(),
    );
    assert_eq!(ledger.fold(vec![unreadable]).await.unwrap(), []);
    assert_eq!(ledger.fold(vec![ended()]).await.unwrap(), []);
    assert_eq!(ledger.outcomes_of(&job().asset_id).await.unwrap(), [ended()]);
}

#[tokio::test]
async fn the_cursor_moves_only_with_a_whole_walk() {
    let (_directory, ledger) = ledger();
    let started: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
    let run = RunId("one".to_owned());
    ledger.begin_run_if_new(&run, RunMode::Full, false, "f", started).await.unwrap();
    ledger.end_walk(&run, RunState::Stopped, Some(started), 0).await.unwrap();
    assert_eq!(ledger.cursor().await.unwrap(), None);
    ledger.end_walk(&run, RunState::Enumerated, Some(started), 0).await.unwrap();
    assert_eq!(ledger.cursor().await.unwrap(), Some(started));
}

#[tokio::test]
async fn delta_runs_that_find_nothing_leave_a_count_and_the_first_and_latest_of_them() {
    let (_directory, ledger) = ledger();
    let run = async |id: &str, mode, publishes: bool| {
        let run = RunId(id.to_owned());
        ledger.begin_run_if_new(&run, mode, false, id, Timestamp::now()).await.unwrap();
        if publishes {
            let job = Job::new(run.clone(), id.parse().unwrap(), "", Lane::Fresh, 3, None, Timestamp::now());
            ledger.intend(&job).await.unwrap();
        }
        ledger.end_walk(&run, RunState::Enumerated, Some(Timestamp::now()), 0).await.unwrap();
    };
    let rows = async || {
        let runs = ledger.latest_runs(99).await.unwrap();
        runs.into_iter().rev().map(|run| run.run_id).collect::<Vec<_>>().join(" ")
    };
    for id in ["D1", "D2", "D3"] {
        run(id, RunMode::Delta, false).await;
    }
    assert_eq!((rows().await.as_str(), ledger.empty_runs().await.unwrap()), ("D1 D3", 3));
    run("F1", RunMode::Full, false).await;
    run("D4", RunMode::Delta, true).await;
    for id in ["D5", "D6", "D7"] {
        run(id, RunMode::Delta, false).await;
    }
    assert_eq!((rows().await.as_str(), ledger.empty_runs().await.unwrap()), ("D1 D3 F1 D4 D7", 6));
}

#[tokio::test]
async fn what_each_part_of_a_walk_left_out_for_its_type_adds_up() {
    let (_directory, ledger) = ledger();
    let run = RunId("one".to_owned());
    ledger.begin_run_if_new(&run, RunMode::Full, false, "f", Timestamp::now()).await.unwrap();
    ledger.checkpoint(&run, "here".to_owned(), 3).await.unwrap();
    ledger.checkpoint(&run, "there".to_owned(), 1).await.unwrap();
    ledger.end_walk(&run, RunState::Enumerated, None, 2).await.unwrap();
    assert_eq!(ledger.latest_runs(1).await.unwrap()[0].unsupported, 6);
    let counts = ledger.report(Extent::Run(run), |_| std::ops::ControlFlow::Continue(())).await.unwrap();
    assert_eq!(counts, Counts { unsupported: 6, ..Counts::default() });
}

#[tokio::test]
async fn an_interrupted_run_is_resumed_only_under_the_same_filters() {
    let (_directory, ledger) = ledger();
    let run = RunId("one".to_owned());
    ledger.begin_run_if_new(&run, RunMode::Full, false, "images", Timestamp::now()).await.unwrap();
    ledger.checkpoint(&run, "here".to_owned(), 0).await.unwrap();
    assert_eq!(ledger.interrupted_run(RunMode::Full, false, "films").await.unwrap(), None);
    assert_eq!(ledger.interrupted_run(RunMode::Delta, false, "images").await.unwrap(), None);
    // A run over a part of the same assets neither resumes nor ends it.
    assert_eq!(ledger.interrupted_run(RunMode::Full, true, "images").await.unwrap(), None);
    let part = RunId("part".to_owned());
    ledger.begin_run_if_new(&part, RunMode::Full, true, "images", Timestamp::now()).await.unwrap();
    let resumed = ledger.interrupted_run(RunMode::Full, false, "images").await.unwrap().unwrap();
    assert_eq!((resumed.run_id, resumed.checkpoint.as_deref()), (run, Some("here")));
}

#[tokio::test]
async fn a_leaked_file_leads_to_its_asset_by_either_hash() {
    let (_directory, ledger) = ledger();
    let hashes = [ContentHash::from_bytes([1; 32]), ContentHash::from_bytes([2; 32])];
    let event = OutcomeEvent {
        job_id: JobId("j".to_owned()),
        original: Some(hashes[0]),
        watermarked: Some(hashes[1]),
        ..job().ended(Outcome::Watermarked { version: 4 }, Timestamp::now())
    };
    note(&ledger, event).await;
    for hash in hashes {
        assert_eq!(ledger.outcomes_of_file(hash).await.unwrap()[0].asset_id, job().asset_id);
    }
    assert!(ledger.outcomes_of_file(ContentHash::from_bytes([3; 32])).await.unwrap().is_empty());
}

/// A report's lines and counts.
async fn report(ledger: &Ledger, extent: Extent) -> (Vec<Line>, Counts) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let take = move |line| {
        sender.send(line).unwrap();
        std::ops::ControlFlow::Continue(())
    };
    let counts = ledger.report(extent, take).await.unwrap();
    (receiver.iter().collect(), counts)
}

#[tokio::test]
async fn a_result_that_could_not_be_checked_in_full_counts_once_for_each_reason_by_its_latest_outcome() {
    let (_directory, ledger) = ledger();
    let unmade = |checks: &[(Check, Obstacle)]| checks.iter().copied().collect();
    let ended = |asset: &str, unchecked| {
        let job = Job::new(job().run_id, asset.parse().unwrap(), "", Lane::Fresh, 3, None, Timestamp::now());
        OutcomeEvent { unchecked, ..job.ended(Outcome::Watermarked { version: 4 }, Timestamp::now()) }
    };
    let (cut, long) = (Obstacle::Unreadable, Obstacle::TooLarge);
    note(&ledger, ended("A", unmade(&[(Check::Alpha, cut), (Check::Dpi, cut), (Check::Pages, long)]))).await;
    note(&ledger, ended("B", unmade(&[(Check::Alpha, cut)]))).await;
    note(&ledger, ended("B", unmade(&[(Check::Alpha, long)]))).await;
    note(&ledger, ended("C", unmade(&[]))).await;
    let counted = |cut: u64, long: u64| {
        [("too_large".to_owned(), long), ("unreadable".to_owned(), cut)].into_iter().collect()
    };
    assert_eq!(ledger.unchecked_of(&job().run_id).await.unwrap(), counted(1, 2));
    assert_eq!(ledger.unchecked_since(&Mark::default()).await.unwrap(), counted(2, 2));
    let now = ledger.mark().await.unwrap();
    assert!(ledger.unchecked_since(&now).await.unwrap().is_empty());
    let (lines, counts) = report(&ledger, Extent::Run(job().run_id)).await;
    assert_eq!(
        (lines[0].unchecked.as_str(), counts.unchecked),
        ("alpha:unreadable dpi:unreadable pages:too_large", 3)
    );
}

#[tokio::test]
async fn a_report_lists_every_job_those_without_an_outcome_included() {
    let (_directory, ledger) = ledger();
    let jobs = ["A", "B", "C"].map(|asset| {
        let run = RunId(if asset == "C" { "other" } else { "r" }.to_owned());
        Job::new(run, asset.parse().unwrap(), "", Lane::Fresh, 3, None, Timestamp::now())
    });
    for job in jobs.clone() {
        ledger.state.write(move |transaction| note_published(transaction, &job)).await.unwrap();
    }
    let event = jobs[0].ended(Outcome::Watermarked { version: 4 }, Timestamp::now());
    note(&ledger, OutcomeEvent { request_ids: vec!["q1".to_owned(), "q2".to_owned()], ..event }).await;
    let reported = |lines: Vec<Line>| -> Vec<_> {
        lines.into_iter().map(|line| (line.asset_id, line.outcome, line.protected_version)).collect()
    };
    let line = |asset: &str, outcome: &str, version| (asset.to_owned(), outcome.to_owned(), version);
    let (lines, counts) = report(&ledger, Extent::Run(jobs[0].run_id.clone())).await;
    assert_eq!(lines[0].request_ids, "q1 q2");
    assert!(lines[0].published.is_some() && lines[0].ended.is_some());
    assert_eq!(reported(lines), [line("A", "watermarked", Some(4)), line("B", "under_way", None)]);
    assert_eq!(counts, Counts { outcomes: 1, under_way: 1, ..Counts::default() });

    ledger.give_up_run(&jobs[0].run_id).await.unwrap();
    let (lines, counts) = report(&ledger, Extent::Asset(jobs[1].asset_id.clone())).await;
    assert_eq!((reported(lines), counts.missing), (vec![line("B", "missing", None)], 1));
    let (lines, counts) = report(&ledger, Extent::Since(Timestamp::UNIX_EPOCH)).await;
    assert_eq!(
        (lines.len(), counts),
        (3, Counts { outcomes: 1, under_way: 1, missing: 1, ..Counts::default() })
    );
}
