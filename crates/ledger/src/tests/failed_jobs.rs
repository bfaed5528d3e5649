//! Failed jobs are listed and counted by what the record knows, page by page.

use std::collections::HashSet;
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

/// The jobs of a page.
async fn page(ledger: &Ledger, filter: &FailedFilter, from: FailedFrom, count: usize) -> Vec<OutcomeEvent> {
    ledger.failed_page(filter, from, count).await.unwrap().events
}

const START: FailedFrom = FailedFrom::Skip(0);

async fn counted(ledger: &Ledger, filter: &FailedFilter) -> Vec<(&'static str, u64)> {
    ledger.failed_by_class(filter).await.unwrap().into_iter().collect()
}

#[tokio::test]
async fn pages_hold_each_failed_job_once_by_class_and_then_by_time() {
    let ledger = Ledger::new(State::in_memory().unwrap());
    fail(&ledger, 0..30).await;
    let all = FailedFilter::default();
    let mut pages = Vec::new();
    for number in 0..5 {
        pages.extend(page(&ledger, &all, FailedFrom::Skip(number * 7), 7).await);
    }
    let by_class =
        |rest: &[usize]| (0..30).filter(|n| rest.contains(&(n % 3))).map(failed).collect::<Vec<_>>();
    assert_eq!(pages, [by_class(&[1, 2]), by_class(&[0])].concat());
    assert_eq!(counted(&ledger, &all).await, [("permission", 20), ("refused", 10)]);
    let refused = FailedFilter { class: Some(FailureClass::Refused), ..all.clone() };
    assert_eq!(page(&ledger, &refused, START, 100).await, by_class(&[0]));
    assert_eq!(counted(&ledger, &refused).await, [("refused", 10)]);
    for filter in [
        FailedFilter { asset: Some(failed(4).asset_id), ..all.clone() },
        FailedFilter { job: Some(failed(4).job_id), ..all.clone() },
        FailedFilter { name: Some("img_0000004".to_owned()), ..all.clone() },
    ] {
        assert_eq!(page(&ledger, &filter, START, 100).await, [failed(4)], "{filter:?}");
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
    assert_eq!(page(&ledger, &all, START, 10).await, [failed(3)]);
    assert_eq!(counted(&ledger, &all).await, [("refused", 1)]);
    let refused = ledger.failed_jobs(Some(FailureClass::Refused), None, 10).await.unwrap();
    assert_eq!(refused.len(), 2, "one of them is dropped");
    assert_eq!(ledger.failed_count().await.unwrap(), 3);
    // A drop that comes late concerns no newer failure.
    let again = OutcomeEvent { at: Timestamp::now(), ..failed(0) };
    ledger.fold(vec![again.clone()]).await.unwrap();
    ledger.drop_failed(vec![failed(0)]).await.unwrap();
    assert_eq!(page(&ledger, &all, START, 10).await, [failed(3), again]);
}

#[tokio::test]
async fn pages_lead_to_each_other_in_both_directions() {
    let ledger = Ledger::new(State::in_memory().unwrap());
    fail(&ledger, 0..30).await;
    for class in
        [None, Some(FailureClass::Permission), Some(FailureClass::Refused), Some(FailureClass::Local)]
    {
        let filter = FailedFilter { class, ..FailedFilter::default() };
        let all = page(&ledger, &filter, START, 100).await;
        let (mut forwards, mut from) = (Vec::new(), START);
        loop {
            let found = ledger.failed_page(&filter, from, 7).await.unwrap();
            assert_eq!(found.before.is_none(), forwards.is_empty());
            forwards.push(found.clone());
            let Some(after) = found.after else { break };
            from = FailedFrom::After(after.to_string().parse().unwrap());
        }
        assert_eq!(
            forwards.iter().flat_map(|found| found.events.clone()).collect::<Vec<_>>(),
            all,
            "{class:?}"
        );
        while let Some(found) = forwards.pop() {
            let Some(before) = found.before else { break };
            let found = ledger.failed_page(&filter, FailedFrom::Before(before), 7).await.unwrap();
            assert_eq!(found, *forwards.last().unwrap(), "{class:?}");
        }
        assert_eq!(forwards, []);
    }
    for wrong in ["", "1", "a.b", "1.2.3", "16.99999999999999999999"] {
        assert_eq!(wrong.parse::<FailedPlace>(), Err(()), "{wrong}");
    }
}

#[tokio::test]
async fn the_assets_of_the_record_are_counted_by_their_latest_outcome() {
    let ledger = Ledger::new(State::in_memory().unwrap());
    fail(&ledger, 0..3).await;
    ledger.drop_failed(vec![failed(0)]).await.unwrap();
    let write = |transaction: &Transaction<'_>| {
        for (asset, outcome) in [Outcome::AlreadyProtected, Outcome::Gone].into_iter().enumerate() {
            let job = job(10 + asset, 0);
            note_published(transaction, &job)?;
            note_outcome(transaction, &OutcomeEvent { outcome, ..watermarked(&job) })?;
        }
        note_outcome(transaction, &watermarked(&job(1, 1)))?;
        note_published(transaction, &job(20, 0))?;
        Ok(())
    };
    ledger.state.write(write).await.unwrap();
    let counts =
        RecordCounts { protected: 2, failed: 2, gone: 1, without_outcome: 1, ..RecordCounts::default() };
    assert_eq!(ledger.record_counts().await.unwrap(), counts);
}

#[tokio::test]
async fn a_page_costs_what_it_holds_wherever_it_is_and_a_step_for_each_job_that_it_skips() {
    let ledger = Ledger::new(State::in_memory().unwrap());
    let steps = steps_of(&ledger).await;
    let mut costs = Vec::new();
    let all = FailedFilter::default();
    for (assets, last) in [(0..500, 400), (500..3000, 2900)] {
        fail(&ledger, assets).await;
        let cost = async |from| {
            let before = steps.load(Ordering::Relaxed);
            let found = ledger.failed_page(&all, from, 90).await.unwrap();
            assert_eq!(found.events.len(), 90);
            (steps.load(Ordering::Relaxed) - before, found)
        };
        let (first, _) = cost(START).await;
        let (skipped, page) = cost(FailedFrom::Skip(last)).await;
        let (after, _) = cost(FailedFrom::After(page.before.unwrap())).await;
        let (before, _) = cost(FailedFrom::Before(page.before.unwrap())).await;
        costs.push((first, skipped, after, before));
    }
    let [(first, few, ..), (same, many, after, before)] = costs[..] else { panic!("{costs:?}") };
    // The first query also prepares its statement.
    assert!(
        same <= first && after <= first && before <= first,
        "SQLite's steps for the first page, of 500 and of 3,000 failed jobs, and for the last: {costs:?}"
    );
    assert!(many - few < 40 * 2500, "steps for each job that is skipped: {}", (many - few) / 2500);
}

#[tokio::test]
async fn a_page_of_one_class_reads_no_other() {
    let ledger = Ledger::new(State::in_memory().unwrap());
    fail(&ledger, 0..3000).await;
    let steps = steps_of(&ledger).await;
    let filter = FailedFilter { class: Some(FailureClass::Marker), ..FailedFilter::default() };
    assert_eq!(page(&ledger, &filter, START, 50).await, []);
    let steps = steps.load(Ordering::Relaxed);
    assert!(steps < 1000, "{steps}");
}

#[tokio::test]
async fn an_act_concerns_what_was_counted_and_is_still_failed() {
    let ledger = Ledger::new(State::in_memory().unwrap());
    let all = FailedFilter::default();
    assert_eq!(ledger.count_failed(&all).await.unwrap(), Counted { matching: 0, until: 0 });
    assert_eq!(ledger.newest_outcome().await.unwrap(), 0);
    fail(&ledger, 0..9).await;
    let refused = FailedFilter { class: Some(FailureClass::Refused), ..all.clone() };
    let [counted, of_class] =
        [ledger.count_failed(&all).await.unwrap(), ledger.count_failed(&refused).await.unwrap()];
    assert_eq!((counted.matching, of_class.matching, of_class.until), (9, 3, counted.until));
    let ids = |assets: &[usize]| assets.iter().map(|asset| failed(*asset).job_id).collect::<HashSet<_>>();
    assert_eq!(ledger.counted_failed(&refused, of_class.until).await.unwrap(), ids(&[0, 3, 6]));
    // One fails for the first time, one is dropped, one is retried, and one of those fails again.
    fail(&ledger, 9..10).await;
    ledger.drop_failed(vec![failed(0)]).await.unwrap();
    let retry = |transaction: &Transaction<'_>| {
        note_replayed(transaction, &failed(3).job_id)?;
        note_replayed(transaction, &failed(4).job_id)?;
        note_outcome(transaction, &failed(4))
    };
    ledger.state.write(retry).await.unwrap();
    assert_eq!(ledger.counted_failed(&all, counted.until).await.unwrap(), ids(&[1, 2, 5, 6, 7, 8]));
    assert_eq!(ledger.counted_failed(&refused, of_class.until).await.unwrap(), ids(&[6]));
    assert_eq!(ledger.count_failed(&all).await.unwrap().matching, 8);
}
