//! What SQLite is asked by each operation of the queue (CONTRIBUTING.md, "When a budget fails").

use super::*;
use common::job::{Lane, RunId, Step};
use common::outcome::{Failure, FailureClass, Outcome};
use ledger::state::counting::{StatementCounter, StatementCounts};

/// Each operation with its statements and commits, in the order of the lives of two jobs.
const BUDGETS: [(&str, usize, usize); 11] = [
    // Six record the job in the ledger; one adds the queue's row.
    ("publish", 7, 1),
    ("publish again", 1, 1),
    // The kinds of job are looked for in turn, the backlog's submits last of six; then the row is marked.
    ("take a submit", 7, 1),
    ("take what was dropped", 8, 1),
    ("forward", 1, 1),
    // The fifth of six.
    ("take a transfer", 6, 1),
    ("wait", 1, 1),
    // The row; in the ledger the job, its outcome and its end.
    ("finish", 4, 1),
    ("take nothing", 6, 1),
    ("when the next is due", 6, 0),
    ("fail", 4, 1),
];

fn job(number: u32) -> Job {
    let (run, asset) = (RunId("r".to_owned()), format!("A{number}").parse().unwrap());
    Job::new(run, asset, "", Lane::Backlog, 1, None, Timestamp::now())
}

/// Runs every operation; returns what each asked.
async fn asked(
    queue: &EmbeddedQueue,
    counter: &StatementCounter,
    first: u32,
) -> Vec<(StatementCounts, String)> {
    let mut asked = Vec::new();
    let mut note = || asked.push(counter.take());
    let take = async || queue.take(StepSet::ALL).await.unwrap();
    let settle = async |delivery, settlement| queue.settle(delivery, settlement).await.unwrap();
    counter.take();
    queue.publish(&job(first)).await.unwrap();
    note();
    queue.publish(&job(first)).await.unwrap();
    note();
    let dropped = take().await;
    note();
    drop(dropped);
    let delivery = take().await.unwrap();
    note();
    let forwarded = Job { step: Step::Transfer, ..delivery.job.clone() };
    settle(delivery, Settlement::Forward(Box::new(forwarded))).await;
    note();
    let delivery = take().await.unwrap();
    note();
    let job_of = |delivery: &Delivery| Box::new(delivery.job.clone());
    let waiting = Settlement::Wait { job: job_of(&delivery), rung: Duration::ZERO };
    settle(delivery, waiting).await;
    note();
    let delivery = take().await.unwrap();
    counter.take();
    let finished = delivery.job.ended(Outcome::Gone, Timestamp::now());
    settle(delivery, Settlement::Finish(Box::new(finished))).await;
    note();
    assert!(take().await.is_none());
    note();
    queue.next_due(StepSet::ALL).await.unwrap();
    note();
    queue.publish(&job(first + 1)).await.unwrap();
    let delivery = take().await.unwrap();
    counter.take();
    let failure = Failure { class: FailureClass::Refused, reason: "".into(), request_id: None };
    let event = Box::new(delivery.job.ended(Outcome::Failed(failure), Timestamp::now()));
    let failed = Settlement::Fail { job: job_of(&delivery), event };
    settle(delivery, failed).await;
    note();
    asked
}

#[tokio::test]
async fn each_operation_of_the_queue_runs_its_statements_in_one_commit_and_prepares_none_again() {
    let state = State::in_memory().unwrap();
    let queue = EmbeddedQueue::open(state.clone()).await.unwrap();
    let counter = state.count_statements().await.unwrap();
    asked(&queue, &counter, 0).await;
    let asked = asked(&queue, &counter, 2).await;
    let over: Vec<_> = BUDGETS
        .iter()
        .zip(&asked)
        .filter(|((_, statements, commits), (counted, _))| {
            *counted != StatementCounts { statements: *statements, prepared: 0, commits: *commits }
        })
        .collect();
    assert!(over.is_empty(), "{over:#?}");
    assert_eq!(asked.len(), BUDGETS.len());
    for (operation, statements, commits) in BUDGETS {
        let row = format!("| {operation} | {statements} | {commits} |");
        assert!(include_str!("../../../../docs/performance.md").contains(&row), "the page has no row {row}");
    }
}
