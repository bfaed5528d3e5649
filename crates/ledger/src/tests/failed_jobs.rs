//! Failed jobs are listed and counted by what the record knows, page by page.

use std::sync::atomic::Ordering;

use super::samples::{job, steps_of, watermarked};
use crate::*;
use common::outcome::{Failure, FailureClass};

fn failed(asset: usize) -> OutcomeEvent {
    let class = if asset.is_multiple_of(3) { FailureClass::Refused } else { FailureClass::Permission };
    let outcome = Outcome::Failed(Failure { class, reason: "It broke".into(), request_id: None });
    OutcomeEvent { outcome, ..watermarked(&job(asset, 0)) }
}

/// Records these failed jobs, and nothing else.
async fn fail(ledger: &Ledger, assets: std::ops::Range<usize>) {
    let write = move |transaction: &Transaction<'_>| {
        for asset in assets {
            note_published(transaction, &job(asset, 0))?;
            note_outcome(transaction, &failed(asset))?;
        }
        Ok(())
    };
    ledger.state.write(write).await.unwrap();
}

async fn counted(ledger: &Ledger, filter: &FailedFilter) -> Vec<(&'static str, u64)> {
    ledger.failed_by_class(filter).await.unwrap().into_iter().collect()
}

#[tokio::test]
async fn pages_hold_each_failed_job_once_by_class_and_then_by_time() {
    let ledger = Ledger::new(State::in_memory().unwrap());
    fail(&ledger, 0..30).await;
    let all = FailedFilter::default();
    let mut pages = Vec::new();
    for page in 0..5 {
        pages.extend(ledger.failed_page(&all, page * 7, 7).await.unwrap());
    }
    let by_class =
        |rest: &[usize]| (0..30).filter(|n| rest.contains(&(n % 3))).map(failed).collect::<Vec<_>>();
    assert_eq!(pages, [by_class(&[1, 2]), by_class(&[0])].concat());
    assert_eq!(counted(&ledger, &all).await, [("permission", 20), ("refused", 10)]);
    let refused = FailedFilter { class: Some(FailureClass::Refused), ..all.clone() };
    assert_eq!(ledger.failed_page(&refused, 0, 100).await.unwrap(), by_class(&[0]));
    assert_eq!(counted(&ledger, &refused).await, [("refused", 10)]);
    for filter in [
        FailedFilter { asset: Some(failed(4).asset_id), ..all.clone() },
        FailedFilter { job: Some(failed(4).job_id), ..all.clone() },
        FailedFilter { name: Some("img_0000004".to_owned()), ..all.clone() },
    ] {
        assert_eq!(ledger.failed_page(&filter, 0, 100).await.unwrap(), [failed(4)], "{filter:?}");
        assert!(filter.matches(&failed(4)) && !filter.matches(&failed(5)));
    }
}

#[tokio::test]
async fn what_is_dropped_or_open_again_is_not_listed_and_a_dropped_one_can_still_be_retried() {
    let ledger = Ledger::new(State::in_memory().unwrap());
    fail(&ledger, 0..4).await;
    ledger.drop_failed(vec![failed(0), failed(1)]).await.unwrap();
    let replayed = failed(2).job_id;
    ledger.state.write(move |transaction| note_replayed(transaction, &replayed)).await.unwrap();
    let all = FailedFilter::default();
    assert_eq!(ledger.failed_page(&all, 0, 10).await.unwrap(), [failed(3)]);
    assert_eq!(counted(&ledger, &all).await, [("refused", 1)]);
    let refused = ledger.failed_jobs(Some(FailureClass::Refused), None, 10).await.unwrap();
    assert_eq!(refused.len(), 2, "one of them is dropped");
    assert_eq!(ledger.failed_count().await.unwrap(), 3);
    // A drop that comes late concerns no newer failure.
    let again = OutcomeEvent { at: Timestamp::now(), ..failed(0) };
    ledger.fold(vec![again.clone()]).await.unwrap();
    ledger.drop_failed(vec![failed(0)]).await.unwrap();
    assert_eq!(ledger.failed_page(&all, 0, 10).await.unwrap(), [failed(3), again]);
}

#[tokio::test]
async fn a_page_costs_what_it_holds_and_a_step_for_each_job_that_it_skips() {
    let ledger = Ledger::new(State::in_memory().unwrap());
    let steps = steps_of(&ledger).await;
    let mut costs = Vec::new();
    let all = FailedFilter::default();
    for (assets, last) in [(0..500, 400), (500..3000, 2900)] {
        fail(&ledger, assets).await;
        let cost = async |skip| {
            let before = steps.load(Ordering::Relaxed);
            assert_eq!(ledger.failed_page(&all, skip, 100).await.unwrap().len(), 100);
            steps.load(Ordering::Relaxed) - before
        };
        costs.push((cost(0).await, cost(last).await));
    }
    let [(first, few), (same, many)] = costs[..] else { panic!("{costs:?}") };
    // The first query also prepares its statement.
    assert!(
        same <= first,
        "SQLite's steps for the first page, of 500 and of 3,000 failed jobs: {first}, {same}"
    );
    assert!(many - few < 40 * 2500, "steps for each job that is skipped: {}", (many - few) / 2500);
}
