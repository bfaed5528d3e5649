use super::*;
use common::job::{Lane, RunId, Step};
use common::outcome::{Failure, FailureClass, Outcome};
use jiff::SignedDuration;
use ledger::{Ledger, QueueCheck};
use rusqlite::Connection;

#[tokio::test]
async fn a_message_that_cannot_be_read_fails_with_an_outcome_and_stops_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let state = State::open(directory.path()).unwrap();
    let queue = EmbeddedQueue::open(state.clone()).await.unwrap();
    for number in 0..2 {
        let asset = format!("A{number}").parse().unwrap();
        let job = Job::new(RunId("r".to_owned()), asset, "", Lane::Fresh, 1, None, Timestamp::now());
        queue.publish(&job).await.unwrap();
    }
    let damage = "UPDATE jobs SET body = 'garbage' WHERE asset_id = 'A0'";
    state.write(move |transaction| Ok(transaction.execute(damage, [])?)).await.unwrap();
    assert_eq!(queue.next(StepSet::ALL).await.unwrap().job.asset_id.as_str(), "A1");
    let failed = queue.list(&FailedFilter::default()).await.unwrap();
    assert_eq!(failed.len(), 1);
    assert!(failed[0].job.is_none());
    assert_eq!(failed[0].event.outcome.name(), "failed");
}

/// Makes changes to a queue's jobs fail through a trigger, as a full disk does.
struct Disk {
    state: State,
}

impl Disk {
    /// Fails each commit and nothing else: this is where a full disk shows in WAL mode.
    async fn fail_commits(&self) {
        self.run(
            "CREATE TABLE none (id PRIMARY KEY);
             CREATE TABLE owed (id REFERENCES none DEFERRABLE INITIALLY DEFERRED);
             CREATE TRIGGER full AFTER UPDATE ON jobs BEGIN INSERT INTO owed VALUES (1); END;
             CREATE TRIGGER full_too AFTER DELETE ON jobs BEGIN INSERT INTO owed VALUES (1); END;",
        )
        .await;
    }

    async fn fail_statements(&self) {
        self.run(
            "CREATE TRIGGER full BEFORE UPDATE ON jobs BEGIN SELECT RAISE(ABORT, 'full'); END;
             CREATE TRIGGER full_too BEFORE DELETE ON jobs BEGIN SELECT RAISE(ABORT, 'full'); END;",
        )
        .await;
    }

    async fn mend(&self) {
        self.run("DROP TRIGGER full; DROP TRIGGER full_too").await;
    }

    async fn run(&self, sql: &'static str) {
        self.state.write(move |transaction| Ok(transaction.execute_batch(sql)?)).await.unwrap();
    }
}

async fn queue_on_a_disk() -> (tempfile::TempDir, EmbeddedQueue, Disk) {
    let directory = tempfile::tempdir().unwrap();
    let state = State::open(directory.path()).unwrap();
    let queue = EmbeddedQueue::open(state.clone()).await.unwrap();
    let job =
        Job::new(RunId("r".to_owned()), "A".parse().unwrap(), "", Lane::Fresh, 1, None, Timestamp::now());
    queue.publish(&job).await.unwrap();
    (directory, queue, Disk { state })
}

async fn next(queue: &EmbeddedQueue) -> Delivery {
    tokio::time::timeout(Duration::from_secs(20), queue.next(StepSet::ALL)).await.unwrap().unwrap()
}

fn each_settlement(job: &Job) -> [Settlement; 4] {
    let failure = Failure { class: FailureClass::Refused, reason: "".into(), request_id: None };
    let (job, at) = (Box::new(job.clone()), Timestamp::now());
    [
        Settlement::Forward(job.clone()),
        Settlement::Wait { job: job.clone(), rung: Duration::ZERO },
        Settlement::Finish(Box::new(job.ended(Outcome::AlreadyProtected, at))),
        Settlement::Fail { event: Box::new(job.ended(Outcome::Failed(failure), at)), job },
    ]
}

#[tokio::test]
async fn a_job_whose_settlement_cannot_be_committed_comes_back() {
    for settlement in 0..4 {
        let (_directory, queue, disk) = queue_on_a_disk().await;
        let delivery = next(&queue).await;
        disk.fail_commits().await;
        let settlement = each_settlement(&delivery.job)[settlement].clone();
        queue.settle(delivery, settlement).await.unwrap_err();
        disk.mend().await;
        let again = next(&queue).await;
        assert!(again.redelivered);
        let settlement = each_settlement(&again.job)[2].clone();
        queue.settle(again, settlement).await.unwrap();
        assert_eq!(queue.depth().await.unwrap(), Depth::default());
    }
}

#[tokio::test]
async fn a_dropped_delivery_comes_back_although_looking_for_work_failed_meanwhile() {
    let (_directory, queue, disk) = queue_on_a_disk().await;
    let delivery = next(&queue).await;
    disk.fail_statements().await;
    let settlement = each_settlement(&delivery.job)[0].clone();
    queue.settle(delivery, settlement).await.unwrap_err();
    for _ in 0..2 {
        queue.take(StepSet::ALL).await.unwrap_err();
    }
    disk.mend().await;
    let again = next(&queue).await;
    assert!(again.redelivered);
}

#[tokio::test]
async fn a_job_whose_taking_cannot_be_committed_is_handed_out_once() {
    let (_directory, queue, disk) = queue_on_a_disk().await;
    disk.fail_commits().await;
    queue.take(StepSet::ALL).await.unwrap_err();
    let dropped = queue.shared.dropped.take().deliveries.len();
    assert_eq!(dropped, 0, "a delivery that was never made cannot come back");
    disk.mend().await;
    let delivery = next(&queue).await;
    assert!(!delivery.redelivered);
    assert!(queue.take(StepSet::ALL).await.unwrap().is_none());
}

#[tokio::test]
async fn a_clock_that_was_ahead_keeps_no_job_waiting() {
    let directory = tempfile::tempdir().unwrap();
    let state = State::open(directory.path()).unwrap();
    let queue = EmbeddedQueue::open(state.clone()).await.unwrap();
    let job =
        Job::new(RunId("r".to_owned()), "A".parse().unwrap(), "", Lane::Fresh, 1, None, Timestamp::now());
    queue.publish(&job).await.unwrap();
    let next_year = Timestamp::now().as_millisecond() + 365 * 24 * 3600 * 1000;
    let wait = "UPDATE jobs SET due_ms = ?1";
    state.write(move |transaction| Ok(transaction.execute(wait, [next_year])?)).await.unwrap();
    assert_eq!(queue.next(StepSet::ALL).await.unwrap().job, job);
}

#[tokio::test]
async fn a_job_that_can_never_be_handed_out_is_an_error_and_not_counted_as_ready() {
    let directory = tempfile::tempdir().unwrap();
    let state = State::open(directory.path()).unwrap();
    let queue = EmbeddedQueue::open(state.clone()).await.unwrap();
    let job =
        Job::new(RunId("r".to_owned()), "A".parse().unwrap(), "", Lane::Fresh, 1, None, Timestamp::now());
    queue.publish(&job).await.unwrap();
    for (column, known) in [("state", "ready"), ("step", "submit"), ("lane", "fresh")] {
        let set = |value: &'static str| {
            let sql = format!("PRAGMA ignore_check_constraints = ON; UPDATE jobs SET {column} = '{value}'");
            let state = state.clone();
            async move { state.write(move |transaction| Ok(transaction.execute_batch(&sql)?)).await.unwrap() }
        };
        set("later").await;
        let error = queue.depth().await.unwrap_err().to_string();
        assert!(error.contains("\"later\"") && error.contains("1 jobs"), "{error}");
        set(known).await;
        assert_eq!(queue.depth().await.unwrap().submit_fresh, 1);
    }
}

#[tokio::test]
async fn the_ledger_never_gives_up_a_job_that_is_in_the_queue() {
    let directory = tempfile::tempdir().unwrap();
    let state = State::open(directory.path()).unwrap();
    let ledger = Ledger::new(state.clone());
    let queue = EmbeddedQueue::open(state.clone()).await.unwrap();
    let published = Timestamp::from_second(1_800_000_000).unwrap();
    for asset in ["A", "B"] {
        let run = RunId("r".to_owned());
        let job = Job::new(run, asset.parse().unwrap(), "", Lane::Fresh, 1, None, published);
        queue.publish(&job).await.unwrap();
    }
    let taken_out = "DELETE FROM jobs WHERE asset_id = 'B'";
    state.write(move |transaction| Ok(transaction.execute(taken_out, [])?)).await.unwrap();
    let later = published + SignedDuration::from_hours(26);
    let lost = ledger.give_up_lost(QueueCheck::Busy, later, Duration::from_mins(15)).await.unwrap();
    assert_eq!(lost, 1);
    assert_eq!(ledger.lost_jobs(None, 9).await.unwrap()[0].asset_id.as_str(), "B");
}

#[tokio::test]
async fn a_job_that_was_under_way_in_the_first_release_is_handed_out_again() {
    let directory = tempfile::tempdir().unwrap();
    let connection = Connection::open(directory.path().join("connector.sqlite")).unwrap();
    connection.execute_batch(include_str!("../../../ledger/src/state/fixtures/first-release.sql")).unwrap();
    drop(connection);
    let queue = EmbeddedQueue::open(State::open(directory.path()).unwrap()).await.unwrap();
    assert_eq!(queue.depth().await.unwrap().open(), 1);
    let delivery = queue.next(StepSet::ALL).await.unwrap();
    assert!(delivery.job.asset_id.as_str().starts_with('3') && delivery.redelivered);
}

#[tokio::test]
async fn new_pictures_go_first_and_what_the_backlog_has_begun_has_one_turn_in_five() {
    let queue = EmbeddedQueue::open(State::in_memory().unwrap()).await.unwrap();
    let job = |number: u32, lane, step| {
        let (run, asset) = (RunId("r".to_owned()), format!("A{number}").parse().unwrap());
        Job { step, ..Job::new(run, asset, "", lane, 1, None, Timestamp::now()) }
    };
    for number in 0..20 {
        queue.publish(&job(number, Lane::Backlog, Step::Save)).await.unwrap();
        queue.publish(&job(100 + number, Lane::Fresh, Step::Submit)).await.unwrap();
    }
    let (mut lanes, mut kept) = (Vec::new(), Vec::new());
    for number in 0..20 {
        // A receiver of submits alone uses up no turn.
        queue.publish(&job(200 + number, Lane::Fresh, Step::Submit)).await.unwrap();
        kept.push(queue.next(StepSet::SUBMIT).await.unwrap());
        let delivery = queue.next(StepSet::ALL).await.unwrap();
        lanes.push(delivery.job.lane);
        kept.push(delivery);
    }
    let turns = [Lane::Fresh, Lane::Fresh, Lane::Fresh, Lane::Fresh, Lane::Backlog].repeat(4);
    assert_eq!(lanes, turns);
}
