//! A file of the release before keeps everything when its rows are converted, also if that is interrupted.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use rusqlite::params;

use crate::state::*;
use crate::tests::samples::{job, one_of_each, watermarked};
use crate::{Counts, Extent, Ledger, Line};
use common::asset::AssetId;
use common::job::{Job, Lane};
use common::outcome::{Outcome, OutcomeEvent};
use jiff::Timestamp;

const ASSETS: usize = 3_500;

fn publish_before(connection: &Connection, job: &Job) {
    let sql =
        "INSERT INTO published (job_id, run_id, asset_id, base, at_ms, lane) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let at = job.created_at.as_millisecond();
    let values = params![job.job_id.0, job.run_id.0, job.asset_id.as_str(), job.base, at, job.lane.name()];
    connection.prepare_cached(sql).unwrap().execute(values).unwrap();
}

/// Notes an outcome as the release before did.
fn note_before(connection: &Connection, event: &OutcomeEvent, text: &str) {
    let sql = "INSERT INTO outcomes (job_id, run_id, asset_id, outcome, base, original, watermarked, bytes_downloaded,
                                     bytes_uploaded, event, at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    let hash = |hash: Option<common::hash::ContentHash>| hash.map(|hash| hash.to_string());
    let values = params![
        event.job_id.0,
        event.run_id.0,
        event.asset_id.as_str(),
        event.outcome.name(),
        event.base,
        hash(event.original),
        hash(event.watermarked),
        event.bytes_downloaded,
        event.bytes_uploaded,
        text,
        event.at.as_millisecond()
    ];
    connection.prepare_cached(sql).unwrap().execute(values).unwrap();
    let ended = "UPDATE published SET open = 0, lost = 0, ended = 1 WHERE job_id = ?1";
    connection.prepare_cached(ended).unwrap().execute([&event.job_id.0]).unwrap();
}

/// A directory with a file of the release before; returns the outcomes in it.
fn release_before() -> (tempfile::TempDir, Vec<OutcomeEvent>) {
    let directory = tempfile::tempdir().unwrap();
    let mut connection = Connection::open(directory.path().join(DATABASE_FILE)).unwrap();
    let kinds = one_of_each();
    let mut events = Vec::new();
    connection.execute_batch("PRAGMA synchronous = OFF").unwrap();
    schema::make_before(&mut connection);
    connection.execute_batch("BEGIN").unwrap();
    for (asset, pass) in (0..ASSETS).flat_map(|asset| [(asset, 0), (asset, 1)]) {
        let job = job(asset, pass);
        publish_before(&connection, &job);
        // A tenth of the last jobs has no outcome.
        if pass == 1 && asset % 10 == 3 {
            continue;
        }
        let outcome = kinds[(asset + pass as usize) % kinds.len()].clone();
        events.push(OutcomeEvent { outcome, ..watermarked(&job) });
        note_before(
            &connection,
            events.last().unwrap(),
            &serde_json::to_string(events.last().unwrap()).unwrap(),
        );
    }
    let given_up = "UPDATE published SET open = 0, lost = 1 WHERE job_id = ?1";
    connection.execute(given_up, [&job(3, 1).job_id.0]).unwrap();
    // A failed job that was replayed, one whose confirm is unknown, and an outcome of a job that was never published.
    connection.execute("UPDATE published SET open = 1 WHERE job_id = ?1", [&job(6, 0).job_id.0]).unwrap();
    connection
        .execute("UPDATE published SET confirmed = 0 WHERE job_id = ?1", [&job(13, 1).job_id.0])
        .unwrap();
    events.push(watermarked(&job(ASSETS, 0)));
    note_before(&connection, events.last().unwrap(), &serde_json::to_string(events.last().unwrap()).unwrap());
    connection.execute_batch("COMMIT").unwrap();
    (directory, events)
}

/// Every line of the record.
async fn report(ledger: &Ledger) -> (Vec<Line>, Counts) {
    let (sender, receiver) = std::sync::mpsc::channel();
    let take = move |line| {
        sender.send(line).unwrap();
        ControlFlow::Continue(())
    };
    let counts = ledger.report(Extent::Since(Timestamp::UNIX_EPOCH), take).await.unwrap();
    (receiver.iter().collect(), counts)
}

/// What is asked about some assets and runs.
async fn assert_whole(ledger: &Ledger, events: &[OutcomeEvent]) {
    let (lines, counts) = report(ledger).await;
    let under_way = ASSETS as u64 / 10 - 1;
    assert_eq!(counts, Counts { outcomes: events.len() as u64, under_way, missing: 1, ..Counts::default() });
    let told: Vec<_> = lines.iter().map(|line| (line.job_id.as_str(), line.outcome.as_str())).collect();
    let noted: Vec<_> = events.iter().map(|event| (event.job_id.0.as_str(), event.outcome.name())).collect();
    assert!(told[..events.len()] == noted, "each outcome once, in the order in which it was noted");
    assert_eq!(lines[0].published, Some(job(0, 0).created_at.round(jiff::Unit::Millisecond).unwrap()));
    assert_eq!(lines[events.len() - 1].published, None);
    for asset in [0, 5, ASSETS - 1, ASSETS] {
        let id = job(asset, 0).asset_id;
        let own: Vec<_> = events.iter().filter(|event| event.asset_id == id).cloned().collect();
        assert_eq!(ledger.outcomes_of(&id).await.unwrap(), own);
    }
    let run = job(0, 1).run_id;
    let of_run = |event: &&OutcomeEvent| event.run_id == run;
    assert_eq!(
        ledger.tally_of(&run).await.unwrap().outcomes.values().sum::<u64>(),
        events.iter().filter(of_run).count() as u64
    );
    assert_eq!(ledger.published_in(&run).await.unwrap(), ASSETS as u64);
    assert_eq!(ledger.open_in(&run).await.unwrap(), ASSETS as u64 / 10 - 1);
    assert_eq!(ledger.open_in_lane(Lane::Backlog).await.unwrap(), ASSETS as u64 / 10);
    assert_eq!(ledger.lost_jobs(None, 9).await.unwrap()[0].job_id, job(3, 1).job_id);
    // It is not confirmed.
    assert_eq!(ledger.known(&job(13, 1).asset_id).await.unwrap().open, None);
    assert_eq!(ledger.known(&job(6, 0).asset_id).await.unwrap().open, Some(Lane::Backlog));
    let mut last = BTreeMap::new();
    last.extend(events.iter().map(|event| (&event.asset_id, &event.outcome)));
    let gone = last.values().filter(|outcome| ***outcome == Outcome::Gone).count() as u64;
    assert_eq!(ledger.record_counts().await.unwrap().gone, gone);
    let failed =
        last.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Failed(_))).map(|(asset, _)| *asset);
    let open: BTreeSet<AssetId> =
        (3..ASSETS).step_by(10).chain([6]).map(|asset| job(asset, 0).asset_id).collect();
    assert_eq!(
        ledger.failed_count().await.unwrap(),
        failed.filter(|asset| !open.contains(asset)).count() as u64
    );
}

#[tokio::test]
async fn a_file_of_the_release_before_is_converted_with_everything_in_it() {
    let (directory, events) = release_before();
    assert_whole(&Ledger::new(State::open(directory.path()).unwrap()), &events).await;
}

#[tokio::test]
async fn a_conversion_that_was_interrupted_continues_and_has_each_row_once() {
    let (directory, events) = release_before();
    let path = directory.path().join(DATABASE_FILE);
    let held = lock(directory.path()).unwrap();
    for batches in [0, 1, 3] {
        let mut connection = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap().0;
        if batches == 0 {
            schema::step(&mut connection, schema::CONVERTING).unwrap();
        }
        for _ in 0..batches {
            assert!(conversion::batch(&mut connection).unwrap());
        }
        // A batch that is not committed when its process dies.
        let transaction = connection.transaction().unwrap();
        transaction.execute("DELETE FROM published_before", []).unwrap();
    }
    let refused = State::open_to_read(directory.path()).unwrap_err();
    assert!(matches!(refused, StateError::Converting { .. }), "{refused}");
    drop(held);
    let looked = Ledger::new(State::open_to_read(directory.path()).unwrap().unwrap());
    assert_whole(&looked, &events).await;
    assert_whole(&Ledger::new(State::open(directory.path()).unwrap()), &events).await;
}

#[tokio::test]
async fn an_outcome_that_this_release_cannot_read_is_kept_as_it_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let mut connection = Connection::open(directory.path().join(DATABASE_FILE)).unwrap();
    schema::make_before(&mut connection);
    let (own, other) = (watermarked(&job(1, 0)), watermarked(&job(2, 0)));
    note_before(&connection, &own, "{\"of\": \"another time\"}");
    note_before(&connection, &other, &serde_json::to_string(&other).unwrap());
    drop(connection);
    let ledger = Ledger::new(State::open(directory.path()).unwrap());
    assert_eq!(ledger.known(&own.asset_id).await.unwrap(), crate::Known::default());
    assert_eq!(ledger.outcomes_of(&other.asset_id).await.unwrap(), [other]);
    let error = ledger.outcomes_of(&own.asset_id).await.unwrap_err();
    assert!(error.to_string().contains("missing field"), "{error}");
    let kept = "SELECT rest ->> '$.unreadable' FROM outcomes WHERE outcome = 0";
    let kept: String = ledger
        .state
        .read(move |connection| Ok(connection.query_row(kept, [], |row| row.get(0))?))
        .await
        .unwrap();
    assert_eq!(kept, "{\"of\": \"another time\"}");
}

/// The rows of a table as SQLite writes them.
fn rows(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let row =
        |row: &rusqlite::Row<'_>| (0..columns).map(|at| Ok(format!("{:?}", row.get_ref(at)?))).collect();
    let rows = statement.query_map([], row).unwrap().collect::<Result<Vec<Vec<_>>, _>>();
    rows.unwrap().iter().map(|cells| cells.join(" ")).collect()
}

#[tokio::test]
async fn a_row_that_this_release_cannot_read_is_set_aside_as_it_was_and_the_others_are_converted() {
    let directory = tempfile::tempdir().unwrap();
    let mut connection = Connection::open(directory.path().join(DATABASE_FILE)).unwrap();
    schema::make_before(&mut connection);
    let events: Vec<_> = (0..6).map(|asset| watermarked(&job(asset, 0))).collect();
    for (asset, event) in events.iter().enumerate() {
        publish_before(&connection, &job(asset, 0));
        let text = if asset == 3 { "{}".to_owned() } else { serde_json::to_string(event).unwrap() };
        note_before(&connection, event, &text);
    }
    let stays = "DROP TRIGGER outcomes_stay";
    connection.execute_batch(stays).unwrap();
    let damage = |table: &str, column: &str, asset: usize, value: &str| {
        let sql = format!("UPDATE {table} SET {column} = {value} WHERE job_id = ?1");
        assert_eq!(connection.execute(&sql, [&job(asset, 0).job_id.0]).unwrap(), 1);
    };
    damage("published", "lane", 0, "'sideways'");
    damage("published", "asset_id", 1, "'no/asset'");
    damage("outcomes", "asset_id", 1, "'no/asset'");
    damage("published", "base", 2, "'many'");
    damage("outcomes", "asset_id", 3, "x'ff00'");
    damage("outcomes", "base", 4, "-1");
    let jobs = rows(&connection, "SELECT * FROM published WHERE rowid <= 3 ORDER BY rowid");
    let outcomes = rows(&connection, "SELECT * FROM outcomes WHERE sequence IN (4, 5) ORDER BY sequence");
    connection
        .execute_batch("CREATE TRIGGER outcomes_stay BEFORE UPDATE ON outcomes BEGIN SELECT 1; END")
        .unwrap();
    drop(connection);

    let ledger = Ledger::new(State::open(directory.path()).unwrap());
    for (asset, event) in events.iter().enumerate() {
        let converted = if matches!(asset, 3 | 4) { vec![] } else { vec![event.clone()] };
        assert_eq!(ledger.outcomes_of(&event.asset_id).await.unwrap(), converted, "{asset}");
        assert!(ledger.was_published(&event.job_id).await.unwrap());
    }
    drop(ledger);
    let connection = Connection::open(directory.path().join(DATABASE_FILE)).unwrap();
    assert_eq!(rows(&connection, "SELECT * FROM published_unreadable"), jobs);
    assert_eq!(rows(&connection, "SELECT * FROM outcomes_unreadable"), outcomes);
}

#[test]
fn a_file_that_proves_damaged_while_it_is_converted_is_not_called_unchanged() {
    let (directory, _) = release_before();
    let path = directory.path().join(DATABASE_FILE);
    let connection = Connection::open(&path).unwrap();
    // Not the last one, which is read first of all.
    let page = "SELECT pageno FROM dbstat WHERE name = 'outcomes' AND pagetype = 'leaf' ORDER BY path DESC LIMIT 1 OFFSET 5";
    let page: u64 = connection.query_row(page, [], |row| row.get(0)).unwrap();
    drop(connection);
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0xff; 4096], (page - 1) * 4096).unwrap();
    // The second start finds it in the middle of the conversion.
    for _ in 0..2 {
        let error = State::open(directory.path()).unwrap_err();
        let said = error.to_string();
        assert!(matches!(error, StateError::HalfConverted { .. }), "{said}");
        assert!(said.contains("copy from before the update") && !said.contains("not changed"), "{said}");
    }
    let connection = Connection::open(&path).unwrap();
    let counts = "SELECT (SELECT count(*) FROM published), (SELECT count(*) FROM outcomes)";
    let converted: (usize, usize) =
        connection.query_row(counts, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert!(converted.0 == 2 * ASSETS && converted.1 > 0, "what could be read is converted: {converted:?}");
}
