use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;

type Written = JoinHandle<Result<usize, DatabaseError>>;

/// Runs statements as changes that all wait at the same time; returns each one's result and the number of commits.
async fn at_once(state: &State, statements: &[&'static str]) -> (Vec<Result<usize, DatabaseError>>, u32) {
    let commits = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&commits);
    let count = move |connection: &mut Connection| {
        let hook = move || {
            counted.fetch_add(1, Ordering::Relaxed);
            false
        };
        Ok(connection.commit_hook(Some(hook))?)
    };
    state.blocking(count).await.unwrap();
    let (begun, has_begun) = oneshot::channel();
    let (go, gone) = mpsc::channel::<()>();
    let first = state.clone();
    let first = tasks::brief(async move {
        let wait = move |_: &Transaction<'_>| {
            begun.send(()).unwrap();
            gone.recv().unwrap();
            Ok(0)
        };
        first.write(wait).await
    });
    has_begun.await.unwrap();
    let write = |sql: &'static str| -> Written {
        let state = state.clone();
        tasks::brief(async move { state.write(move |change| Ok(change.execute(sql, [])?)).await })
    };
    let rest: Vec<_> = statements.iter().map(|sql| write(sql)).collect();
    // Each of them waits once its task has run.
    while state.inner.changes.count() < statements.len() {
        tokio::task::yield_now().await;
    }
    go.send(()).unwrap();
    first.await.unwrap().unwrap();
    let mut results = Vec::new();
    for written in rest {
        results.push(written.await.unwrap());
    }
    (results, commits.load(Ordering::Relaxed))
}

async fn names(state: &State) -> Vec<String> {
    let names = |connection: &Connection| {
        let mut statement = connection.prepare("SELECT name FROM facts ORDER BY name")?;
        Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
    };
    state.read(names).await.unwrap()
}

fn refusal(result: &Result<usize, DatabaseError>) -> String {
    result.as_ref().unwrap_err().to_string()
}

const A: &str = "INSERT INTO facts VALUES ('a', '')";
const B: &str = "INSERT INTO facts VALUES ('b', '')";
const C: &str = "INSERT INTO facts VALUES ('c', '')";

#[tokio::test]
async fn changes_that_wait_at_the_same_time_share_a_commit() {
    let directory = tempfile::tempdir().unwrap();
    let state = State::open(directory.path()).unwrap();
    let (results, commits) = at_once(&state, &[A, B, C]).await;
    assert!(results.iter().all(|result| matches!(result, Ok(1))), "{results:?}");
    // The first was begun before the others waited; it changed nothing, but ended a transaction.
    assert_eq!(commits, 2);
    drop(state);
    let state = State::open(directory.path()).expect("an answered change holds the state no longer");
    assert_eq!(names(&state).await, ["a", "b", "c"]);
}

#[tokio::test]
async fn a_change_that_fails_takes_no_other_change_with_it() {
    let state = State::in_memory().unwrap();
    let twice = "INSERT INTO facts VALUES ('c', ''), ('d', ''), ('a', '')";
    let (results, _) = at_once(&state, &[A, twice, B]).await;
    assert!(matches!(results[..], [Ok(1), Err(_), Ok(1)]), "{results:?}");
    assert_eq!(names(&state).await, ["a", "b"]);
}

#[tokio::test]
async fn what_sqlite_rolled_back_with_a_failed_change_is_reported_as_failed() {
    let state = State::in_memory().unwrap();
    let ends_all = "INSERT OR ROLLBACK INTO facts VALUES ('a', '')";
    let (results, _) = at_once(&state, &[A, ends_all, B]).await;
    assert!(refusal(&results[0]).contains("UNIQUE"), "{results:?}");
    assert!(refusal(&results[1]).contains("UNIQUE"), "{results:?}");
    assert!(results[2].is_ok(), "{results:?}");
    assert_eq!(names(&state).await, ["b"]);
}

#[tokio::test]
async fn a_change_that_panics_fails_alone() {
    let state = State::in_memory().unwrap();
    let panicked = state.write(|_| -> Result<(), DatabaseError> { panic!("planted") }).await;
    assert!(matches!(panicked, Err(DatabaseError::Damaged(_))), "{panicked:?}");
    assert_eq!(state.write(|change| Ok(change.execute(A, [])?)).await.unwrap(), 1);
}
