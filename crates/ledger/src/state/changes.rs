//! Group commit: changes that wait for the writing connection share a transaction, and with it a sync of the disk.

use std::collections::VecDeque;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use common::fault;

use super::{DatabaseError, Inner};

/// The most changes in one transaction: the first of them waits for the last.
const MOST_IN_GROUP: usize = 64;

/// The changes that wait for the writing connection.
#[derive(Default)]
pub(super) struct Changes(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    changes: VecDeque<Box<dyn Change>>,
    /// Whether a thread is committing changes until none waits.
    is_served: bool,
}

/// A change without the types of its values, in the order of its calls.
trait Change: Send {
    fn make(&mut self, transaction: &Transaction<'_>) -> Result<(), DatabaseError>;
    /// Called before any other group is begun.
    fn end(&mut self, committed: Result<(), DatabaseError>);
    fn answer(self: Box<Self>);
}

/// How far a change is.
enum Progress<T, U, F> {
    Waiting(F),
    Made(T),
    Ended(Result<U, DatabaseError>),
    /// It is being made, or failed.
    Unknown,
}

struct Caller<T, U, F, C> {
    progress: Progress<T, U, F>,
    committed: Option<C>,
    answer: oneshot::Sender<Result<U, DatabaseError>>,
}

/// A change that panics fails alone.
fn caught<T>(work: impl FnOnce() -> Result<T, DatabaseError>) -> Result<T, DatabaseError> {
    let worked = catch_unwind(AssertUnwindSafe(work));
    worked.unwrap_or_else(|_| Err(DatabaseError::Damaged("a change of it panicked".to_owned())))
}

impl<T, U, F, C> Change for Caller<T, U, F, C>
where
    T: Send,
    U: Send,
    F: FnOnce(&Transaction<'_>) -> Result<T, DatabaseError> + Send,
    C: FnOnce(T) -> U + Send,
{
    fn make(&mut self, transaction: &Transaction<'_>) -> Result<(), DatabaseError> {
        if let Progress::Waiting(change) = mem::replace(&mut self.progress, Progress::Unknown) {
            self.progress = Progress::Made(caught(|| change(transaction))?);
        }
        Ok(())
    }

    fn end(&mut self, committed: Result<(), DatabaseError>) {
        let ended = match (mem::replace(&mut self.progress, Progress::Unknown), committed) {
            (Progress::Made(value), Ok(())) => {
                self.committed.take().map(|committed| caught(|| Ok(committed(value))))
            }
            (_, Err(error)) => Some(Err(error)),
            (Progress::Waiting(_) | Progress::Ended(_) | Progress::Unknown, Ok(())) => None,
        };
        self.progress = ended.map_or(Progress::Unknown, Progress::Ended);
    }

    fn answer(self: Box<Self>) {
        if let Progress::Ended(ended) = self.progress {
            // A caller that was cancelled needs no answer.
            let _ = self.answer.send(ended);
        }
    }
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Changes").field("waiting", &self.waiting().changes.len()).finish()
    }
}

impl Changes {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next group; once none waits, the caller serves no more.
    fn next(&self) -> Vec<Box<dyn Change>> {
        let mut waiting = self.waiting();
        let count = waiting.changes.len().min(MOST_IN_GROUP);
        waiting.is_served = count > 0;
        waiting.changes.drain(..count).collect()
    }
}

/// Makes a change with those that wait at the same time. It is made even if the caller is cancelled.
pub(super) async fn make<T, U, F, C>(inner: &Arc<Inner>, change: F, committed: C) -> Result<U, DatabaseError>
where
    T: Send + 'static,
    U: Send + 'static,
    F: FnOnce(&Transaction<'_>) -> Result<T, DatabaseError> + Send + 'static,
    C: FnOnce(T) -> U + Send + 'static,
{
    let (answer, answered) = oneshot::channel();
    let change = Caller { progress: Progress::Waiting(change), committed: Some(committed), answer };
    let was_served = {
        let mut waiting = inner.changes.waiting();
        waiting.changes.push_back(Box::new(change));
        mem::replace(&mut waiting.is_served, true)
    };
    if !was_served {
        let inner = Arc::clone(inner);
        drop(spawn_blocking(move || serve(inner)));
    }
    answered.await.map_err(|_| DatabaseError::Damaged("a change of it was given up".to_owned()))?
}

/// Commits group after group until no change waits.
fn serve(inner: Arc<Inner>) {
    let mut group = inner.changes.next();
    while !group.is_empty() {
        let mut connection = inner.connection.lock().unwrap_or_else(PoisonError::into_inner);
        commit(&mut connection, &mut group);
        drop(connection);
        let next = inner.changes.next();
        if next.is_empty() {
            break;
        }
        mem::replace(&mut group, next).into_iter().for_each(Change::answer);
    }
    // Before the last answers: their callers may be the last to hold the state, and free it for another process.
    drop(inner);
    group.into_iter().for_each(Change::answer);
}

/// Makes the changes of a group and ends each, those that fail by their own error.
fn commit(connection: &mut Connection, group: &mut [Box<dyn Change>]) {
    let mut rest = group;
    while !rest.is_empty() {
        let tried = try_commit(connection, rest);
        rest = &mut rest[tried..];
    }
}

/// Commits as many of the changes as SQLite takes in one transaction; returns how many have ended.
fn try_commit(connection: &mut Connection, changes: &mut [Box<dyn Change>]) -> usize {
    let transaction = match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
        Ok(transaction) => transaction,
        Err(error) => {
            let error = DatabaseError::from(error);
            for change in &mut *changes {
                change.end(Err(error.clone()));
            }
            return changes.len();
        }
    };
    let mut made = Vec::new();
    let mut tried = 0;
    let mut given_up = None;
    for (number, change) in changes.iter_mut().enumerate() {
        fault::crash_point("database.before");
        tried = number + 1;
        match within_savepoint(&transaction, change.as_mut()) {
            Ok(()) => made.push(number),
            Err(Unmade { error, is_undone }) => {
                change.end(Err(error.clone()));
                if !is_undone {
                    given_up = Some(error);
                    break;
                }
            }
        }
    }
    let committed = match given_up {
        // Dropping the transaction rolls it back.
        Some(error) => Err(error),
        None => transaction.commit().map_err(DatabaseError::from),
    };
    for number in made {
        if committed.is_ok() {
            fault::crash_point("database.after");
        }
        changes[number].end(committed.clone());
    }
    tried
}

/// A change that failed.
struct Unmade {
    error: DatabaseError,
    /// Whether the transaction can continue without it. After some errors, such as a full disk, SQLite has rolled back all of it.
    is_undone: bool,
}

/// Makes a change that leaves nothing behind in the transaction if it fails and can be undone.
fn within_savepoint(transaction: &Transaction<'_>, change: &mut dyn Change) -> Result<(), Unmade> {
    let run = |sql| transaction.prepare_cached(sql)?.execute([]).map(drop);
    let unknown = |error: rusqlite::Error| Unmade { error: error.into(), is_undone: false };
    run("SAVEPOINT change").map_err(unknown)?;
    if let Err(error) = change.make(transaction) {
        let is_undone = !transaction.is_autocommit()
            && run("ROLLBACK TO change").and_then(|()| run("RELEASE change")).is_ok();
        return Err(Unmade { error, is_undone });
    }
    run("RELEASE change").map_err(unknown)
}
