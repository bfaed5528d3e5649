//! What SQLite is asked by each operation that the producer of a fleet makes for a job (CONTRIBUTING.md, "When a budget
//! fails").

use super::tests::samples::{job, watermarked};
use super::*;
use crate::state::counting::StatementCounts;
use common::job::Lane;

/// Each operation with its statements and commits, in the order of a job's life.
const BUDGETS: [(&str, usize, usize); 9] = [
    ("known of a new asset", 1, 0),
    ("was published", 1, 0),
    ("open in lane", 1, 0),
    // Whether it is known; its run; its asset, which is new; the job; the asset's lost jobs; that it is not confirmed.
    ("intend", 7, 1),
    ("intend again", 2, 1),
    ("confirm", 1, 1),
    // The job, its outcome, its end.
    ("fold", 3, 1),
    // The job, its outcomes.
    ("fold again", 2, 1),
    // The asset, its open and its lost jobs, its outcome.
    ("known", 4, 0),
];

async fn run(ledger: &Ledger, operation: &str, number: usize) {
    let job = job(number, 0);
    match operation {
        "known of a new asset" | "known" => drop(ledger.known(&job.asset_id).await.unwrap()),
        "was published" => drop(ledger.was_published(&job.job_id).await.unwrap()),
        "open in lane" => drop(ledger.open_in_lane(Lane::Fresh).await.unwrap()),
        "intend" | "intend again" => drop(ledger.intend(&job).await.unwrap()),
        "confirm" => ledger.confirm(&job.job_id).await.unwrap(),
        "fold" | "fold again" => {
            let strangers = ledger.fold(vec![watermarked(&job)]).await.unwrap();
            assert_eq!(strangers, []);
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn each_operation_of_a_job_runs_its_statements_and_prepares_none_again() {
    let ledger = Ledger::new(State::in_memory().unwrap());
    for (operation, _, _) in BUDGETS {
        run(&ledger, operation, 0).await;
    }
    let counter = ledger.state.count_statements().await.unwrap();
    for (operation, statements, commits) in BUDGETS {
        run(&ledger, operation, 1).await;
        let (asked, texts) = counter.take();
        assert_eq!(asked, StatementCounts { statements, prepared: 0, commits }, "{operation}:\n{texts}");
        let row = format!("| {operation} | {statements} | {commits} |");
        assert!(include_str!("../../../docs/performance.md").contains(&row), "the page has no row {row}");
    }
}
