mod changes;
mod conversion;

use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::{Extent, Ledger};
use common::job::Lane;
use common::outcome::Outcome;

#[test]
fn a_second_process_is_refused_and_told_who_holds_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let _held = State::open(directory.path()).unwrap();
    let refused = State::open(directory.path()).unwrap_err();
    assert!(matches!(refused, StateError::InUse { holder, .. } if holder == std::process::id().to_string()));
}

#[test]
fn of_a_lock_no_more_is_read_and_shown_than_the_number_of_a_process() {
    let directory = tempfile::tempdir().unwrap();
    let _held = lock(directory.path()).unwrap();
    for (text, wanted) in
        [("not a number".to_owned(), "(unknown)"), ("7".repeat(1 << 20), &"7".repeat(20)[..])]
    {
        std::fs::write(directory.path().join(LOCK_FILE), text).unwrap();
        let refused = State::open(directory.path()).unwrap_err();
        assert!(matches!(&refused, StateError::InUse { holder, .. } if holder == wanted), "{refused}");
    }
}

#[test]
fn a_damaged_file_is_named_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(DATABASE_FILE);
    std::fs::write(&path, "this is no database, but it may be somebody's").unwrap();
    assert!(
        matches!(State::open(directory.path()).unwrap_err(), StateError::Damaged { path: named, .. } if named == path)
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "this is no database, but it may be somebody's");
}

#[test]
fn a_file_of_a_later_release_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(State::open(directory.path()).unwrap());
    let connection = Connection::open(directory.path().join(DATABASE_FILE)).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    assert!(matches!(State::open(directory.path()).unwrap_err(), StateError::Newer { found: 99, .. }));
}

#[tokio::test]
async fn opening_waits_for_a_process_that_is_about_to_leave() {
    let directory = tempfile::tempdir().unwrap();
    let leaving = State::open(directory.path()).unwrap();
    let leave = async { drop(leaving) };
    // The first future is polled until it waits, and then the second.
    let (opened, ()) = tokio::join!(biased; State::open_when_free(directory.path()), leave);
    opened.unwrap();
}

/// Where others can create files, they could create one that SQLite takes for its log.
#[test]
fn a_folder_that_others_may_fill_is_no_place_for_a_record() {
    let outer = tempfile::tempdir().unwrap();
    let directory = outer.path().join("state");
    drop(State::open(&directory).unwrap());
    for mode in [0o777, 0o1777] {
        std::fs::write(directory.join("of somebody"), "").unwrap();
        std::fs::set_permissions(&directory, PermissionsExt::from_mode(mode)).unwrap();
        for opened in [State::open(&directory).map(drop), State::open_to_read(&directory).map(drop)] {
            let error = opened.unwrap_err().to_string();
            assert!(error.contains(&format!("has mode {mode:o}, by which")), "{error}");
        }
    }
}

#[test]
fn a_look_waits_for_a_file_that_is_just_being_made() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(DATABASE_FILE);
    std::fs::write(&path, "").unwrap();
    let making = lock(directory.path()).unwrap();
    std::thread::scope(|threads| {
        let look = threads.spawn(|| State::open_to_read(directory.path()).map(|state| state.is_some()));
        // Migrate only once the reader is waiting, which no signal shows. If this is earlier, there is nothing to wait
        // for.
        std::thread::sleep(LOCK_POLL * 3);
        drop(open(&path).unwrap());
        assert!(look.join().unwrap().unwrap());
    });
    drop(making);
}

#[tokio::test]
async fn a_failed_change_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let state = State::open(directory.path()).unwrap();
    let failed = state
        .write(|transaction| {
            transaction.execute("INSERT INTO facts VALUES ('a', 'b')", [])?;
            transaction.execute("INSERT INTO nowhere VALUES (1)", [])?;
            Ok(())
        })
        .await;
    assert!(failed.is_err());
    let count = state.read(|connection| {
        Ok(connection.query_row("SELECT count(*) FROM facts", [], |row| row.get::<_, u32>(0))?)
    });
    assert_eq!(count.await.unwrap(), 0);
}

#[test]
fn only_the_owner_may_look_into_the_directory() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("state");
    drop(State::open(&directory).unwrap());
    assert_eq!(std::fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
}

/// A directory with the state file of the first release.
fn first_release() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let connection = Connection::open(directory.path().join(DATABASE_FILE)).unwrap();
    connection.execute_batch(include_str!("fixtures/first-release.sql")).unwrap();
    directory
}

#[tokio::test]
async fn a_file_of_the_first_release_opens_with_everything_in_it() {
    let directory = first_release();
    let state = State::open(directory.path()).unwrap();
    let ledger = Ledger::new(state);
    let asset = |digit: char| format!("{digit}F0A9C2E-77B1-4D3C-9E5512AB34CD56EF").parse().unwrap();
    assert_eq!(ledger.cursor().await.unwrap(), Some("2026-01-02T03:00:00Z".parse().unwrap()));
    let outcomes = ledger.outcomes_of_file("22".repeat(32).parse().unwrap()).await.unwrap();
    assert_eq!((outcomes.len(), &outcomes[0].outcome), (1, &Outcome::Watermarked { version: 4 }));
    assert_eq!(ledger.known(&asset('2')).await.unwrap().failed_version, Some(1));
    assert_eq!(ledger.known(&asset('3')).await.unwrap().open, Some(Lane::Backlog));
    let modified = "2026-01-01T00:00:00Z".parse().unwrap();
    assert_eq!(ledger.remembered_version(&asset('3'), modified).await.unwrap(), Some(1));
    let runs = ledger.latest_runs(5).await.unwrap();
    assert_eq!((runs[0].published, runs[0].open, runs[0].failed), (3, 1, 1));
}

#[tokio::test]
async fn outcomes_of_an_earlier_release_are_found_by_the_time_they_ended() {
    let directory = first_release();
    let ledger = Ledger::new(State::open(directory.path()).unwrap());
    for (since, found) in [("05.6", 2), ("05.7", 1), ("06", 1), ("06.001", 0)] {
        let since = Extent::Since(format!("2026-01-02T03:04:{since}Z").parse().unwrap());
        let counts = ledger.report(since.clone(), |_| ControlFlow::Continue(())).await.unwrap();
        assert_eq!(counts.outcomes, found, "{since:?}");
    }
}

#[tokio::test]
async fn a_look_brings_an_idle_file_up_to_date_and_refuses_one_that_an_earlier_release_works_on() {
    let directory = first_release();
    let held = lock(directory.path()).unwrap();
    assert!(matches!(State::open_to_read(directory.path()).unwrap_err(), StateError::InUse { .. }));
    drop(held);
    let state = State::open_to_read(directory.path()).unwrap().unwrap();
    let written = state.write(|transaction| Ok(transaction.execute("DELETE FROM facts", [])?)).await;
    assert!(matches!(written, Err(DatabaseError::Unavailable(_))), "{written:?}");
}

#[tokio::test]
async fn what_is_on_record_cannot_be_changed_or_deleted() {
    let directory = first_release();
    let state = State::open(directory.path()).unwrap();
    for sql in [
        "UPDATE outcomes SET outcome = 'gone'",
        "DELETE FROM outcomes",
        "DELETE FROM outcomes WHERE sequence = 1",
    ] {
        let refused = state.write(move |transaction| Ok(transaction.execute(sql, [])?)).await.unwrap_err();
        assert!(refused.to_string().contains("the ledger is append-only"), "{sql}: {refused}");
    }
}

#[tokio::test]
async fn jobs_that_an_earlier_release_gave_up_are_taken_up_again() {
    let directory = first_release();
    let connection = Connection::open(directory.path().join(DATABASE_FILE)).unwrap();
    let given_up = "INSERT INTO published VALUES (?1, 'run-1', ?2, 1, 1767323000000, 0)";
    // Nothing is known about the first asset; those of the others ended, or have another job.
    let assets = ["9", "2", "3"].map(|digit| format!("{digit}F0A9C2E-77B1-4D3C-9E5512AB34CD56EF"));
    for asset in &assets {
        connection.execute(given_up, [&format!("lost of {asset}"), asset]).unwrap();
    }
    drop(connection);
    let ledger = Ledger::new(State::open(directory.path()).unwrap());
    let lost = ledger.lost_jobs(None, 9).await.unwrap();
    assert_eq!(lost.iter().map(|job| job.asset_id.as_str()).collect::<Vec<_>>(), [&assets[0]]);
}

#[tokio::test]
async fn no_connection_needs_a_folder_for_temporary_files() {
    let directory = first_release();
    for state in [State::in_memory().unwrap(), State::open(directory.path()).unwrap()] {
        assert_eq!(state.read(temp_store).await.unwrap(), 2);
        assert_eq!(state.write(|transaction| temp_store(transaction)).await.unwrap(), 2);
    }
    for state in [State::open_to_read(directory.path()), State::open_to_append(directory.path())] {
        assert_eq!(state.unwrap().unwrap().read(temp_store).await.unwrap(), 2);
    }
}

/// The `temp_store` setting; 2 means memory.
fn temp_store(connection: &Connection) -> Result<u32, DatabaseError> {
    Ok(connection.query_row("PRAGMA temp_store", [], |row| row.get(0))?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_does_not_wait_for_a_query_and_is_not_seen_by_it() {
    let directory = tempfile::tempdir().unwrap();
    let state = State::open(directory.path()).unwrap();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let (changed, has_changed) = std::sync::mpsc::channel();
    let count = "SELECT count(*) FROM facts";
    let query = state.read(move |connection| {
        let before: u32 = connection.query_row(count, [], |row| row.get(0))?;
        begun.send(()).unwrap();
        has_changed.recv().unwrap();
        let after: u32 = connection.query_row(count, [], |row| row.get(0))?;
        Ok((before, after))
    });
    let change = async {
        has_begun.await.unwrap();
        state
            .write(|transaction| Ok(transaction.execute("INSERT INTO facts VALUES ('a', 'b')", [])?))
            .await
            .unwrap();
        changed.send(()).unwrap();
    };
    let (seen, ()) = tokio::join!(query, change);
    assert_eq!(seen.unwrap(), (0, 0));
    let seen: u32 =
        state.read(move |connection| Ok(connection.query_row(count, [], |row| row.get(0))?)).await.unwrap();
    assert_eq!(seen, 1, "what was changed before a query began is seen");
}

#[tokio::test]
async fn what_is_left_of_a_closed_state_is_one_whole_file() {
    let directory = tempfile::tempdir().unwrap();
    let state = State::open(directory.path()).unwrap();
    let insert = "INSERT INTO facts VALUES ('a', 'b')";
    state.write(move |transaction| Ok(transaction.execute(insert, [])?)).await.unwrap();
    // Dropped before it ends, like the future of a cancelled caller.
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let reading = state.clone();
    let query = tokio::task::LocalSet::new();
    let cancelled = query.spawn_local(async move {
        let wait = move |_: &Connection| {
            begun.send(()).unwrap();
            gone.recv().unwrap();
            Ok(())
        };
        reading.read(wait).await
    });
    query.run_until(async move { has_begun.await.unwrap() }).await;
    cancelled.abort();
    drop(query);
    drop(state);
    assert!(matches!(State::open(directory.path()), Err(StateError::InUse { .. })), "the query still reads");
    go.send(()).unwrap();
    let state = State::open_when_free(directory.path()).await.unwrap();
    let count = "SELECT count(*) FROM facts";
    let read = state.read(move |connection| Ok(connection.query_row(count, [], |row| row.get::<_, u32>(0))?));
    assert_eq!(read.await.unwrap(), 1);
    state.write(|transaction| Ok(transaction.execute("DELETE FROM facts", [])?)).await.unwrap();
    drop(state);
    let left = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut left: Vec<_> = left.map(|name| name.into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, [DATABASE_FILE, LOCK_FILE]);
}

#[tokio::test]
async fn a_file_of_the_release_before_gets_the_record_of_acts() {
    let directory = tempfile::tempdir().unwrap();
    let mut connection = Connection::open(directory.path().join(DATABASE_FILE)).unwrap();
    schema::make_before(&mut connection);
    drop(connection);
    let ledger = Ledger::new(State::open(directory.path()).unwrap());
    assert_eq!(ledger.acts(None, 9).await.unwrap(), []);
}
