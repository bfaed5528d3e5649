//! An outcome is read as it was written, and is found without a pass over the others.

use proptest::prelude::*;
use rusqlite::StatementStatus;

use super::samples::{job, one_of_each, watermarked};
use crate::state::record::{COLUMNS, JOINED, Recorded};
use crate::*;
use common::check::{Check, Obstacle};
use common::hash::ContentHash;
use common::outcome::Placed;

fn ids() -> impl Strategy<Value = String> {
    prop_oneof!["[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "[ -~]{0,20}", "\\PC{0,9}"]
}

fn placed() -> impl Strategy<Value = Option<Placed>> {
    let copy = (any::<u16>(), "[A-Z0-9-]{1,36}").prop_map(|(version, asset)| Placed::Copy {
        asset_id: asset.parse().unwrap(),
        version: version.into(),
    });
    let additional = "\\PC{1,9}".prop_map(|file_name| Placed::Additional { file_name: file_name.into() });
    prop_oneof![Just(None), copy.prop_map(Some), additional.prop_map(Some)]
}

fn hashes() -> impl Strategy<Value = Option<ContentHash>> {
    proptest::option::of(any::<[u8; 32]>().prop_map(ContentHash::from_bytes))
}

fn events() -> impl Strategy<Value = OutcomeEvent> {
    let asset = prop_oneof!["[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{16}", "[A-Za-z0-9_-]{1,64}"];
    let who = (prop_oneof!["[0-9a-f]{32}", "[ -~]{1,40}"], "[ -~]{0,40}", asset, "\\PC{0,20}");
    let what = (proptest::sample::select(one_of_each()), hashes(), hashes(), proptest::option::of(ids()));
    let times = prop_oneof![
        any::<i64>().prop_map(i128::from),
        (-3_i128..3).prop_map(|sign| sign * 100_000_000_000_000_000_000)
    ];
    let more = (proptest::collection::vec(ids(), 0..4), placed(), any::<bool>(), times);
    (who, what, more, any::<[u16; 2]>(), 0..1_u64 << 53).prop_map(|(who, what, more, numbers, bytes)| {
        let checks = more.2.then_some((Check::Alpha, Obstacle::TooLarge));
        OutcomeEvent {
            job_id: JobId(who.0),
            run_id: RunId(who.1),
            asset_id: who.2.parse().unwrap(),
            asset_name: who.3,
            base: numbers[0].into(),
            outcome: what.0,
            original: what.1,
            watermarked: what.2,
            media_id: what.3,
            request_ids: more.0,
            placed: more.1,
            unchecked: checks.into_iter().collect(),
            attempts: numbers[1].into(),
            bytes_downloaded: bytes,
            bytes_uploaded: bytes / 3,
            added: more.2.then(|| Timestamp::from_second(numbers[0].into()).unwrap()),
            at: Timestamp::from_nanosecond(more.3).unwrap(),
        }
    })
}

/// Notes the events, and reads what is recorded.
fn noted(events: &[OutcomeEvent]) -> Vec<OutcomeEvent> {
    let state = State::in_memory().unwrap();
    let events = events.to_vec();
    let read = async {
        state
            .write(move |transaction| events.iter().try_for_each(|event| note_outcome(transaction, event)))
            .await?;
        let ledger = Ledger::new(state);
        ledger.recorded(format!("SELECT {COLUMNS} FROM {JOINED}"), [], String::new()).await
    };
    let found = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(read).unwrap();
    found.into_iter().map(|row| row.event).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]
    #[test]
    fn an_outcome_is_read_as_it_was_written(event in events(), other in events()) {
        // The third is of the first's job, but names another run and asset.
        let foreign = OutcomeEvent { job_id: event.job_id.clone(), ..other.clone() };
        let events = [event, other, foreign];
        prop_assert_eq!(noted(&events), events);
    }
}

#[test]
fn an_outcome_of_each_kind_is_read_as_it_was_written() {
    let events: Vec<_> = (0..)
        .zip(one_of_each())
        .map(|(asset, outcome)| OutcomeEvent { outcome, ..watermarked(&job(asset, 0)) })
        .collect();
    assert_eq!(noted(&events), events);
}

/// What a query reads: its rows, SQLite's steps, and whole tables that it passed over.
async fn cost(ledger: &Ledger, sql: String, value: rusqlite::types::Value) -> (usize, i32, i32) {
    let read = move |connection: &Connection| {
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query([value])?;
        let mut found = 0;
        while let Some(row) = rows.next()? {
            Recorded::read(row)?;
            found += 1;
        }
        drop(rows);
        let status = |status| statement.get_status(status);
        Ok((found, status(StatementStatus::VmStep), status(StatementStatus::FullscanStep)))
    };
    ledger.state.read(read).await.unwrap()
}

#[tokio::test]
async fn an_asset_and_a_file_are_found_without_a_pass_over_the_others() {
    let ledger = Ledger::new(State::in_memory().unwrap());
    let mut costs = Vec::new();
    for jobs in [0..50, 50..3000] {
        let fill = move |transaction: &Transaction<'_>| {
            for (asset, pass) in jobs.flat_map(|asset| [(asset, 0), (asset, 1)]) {
                note_published(transaction, &job(asset, pass))?;
                note_outcome(transaction, &watermarked(&job(asset, pass)))?;
            }
            Ok(())
        };
        ledger.state.write(fill).await.unwrap();
        let sample = watermarked(&job(7, 0));
        let by_asset = (evidence::of_asset(), Packed(Form::Asset, sample.asset_id.as_str()).value());
        let by_file = (evidence::of_file(), sample.watermarked.unwrap().as_bytes().to_vec().into());
        for ((sql, value), expected) in [(by_asset, 2), (by_file, 1)] {
            let (found, steps, scanned) = cost(&ledger, sql, value).await;
            assert_eq!((found, scanned), (expected, 0));
            costs.push(steps);
        }
    }
    assert_eq!(costs[..2], costs[2..], "SQLite's steps, with 100 and with 6,000 recorded outcomes");
}
