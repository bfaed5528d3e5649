//! Counts what SQLite is asked, for tests that hold operations to a budget.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::StatementStatus;
use rusqlite::trace::{StmtRef, TraceEvent, TraceEventCodes};

use super::{DatabaseError, State};

/// What begins and ends a transaction; rusqlite prepares these anew each time.
const TRANSACTION: [&str; 3] = ["BEGIN", "COMMIT", "ROLLBACK"];
/// What surrounds each change of a group.
const SAVEPOINT: [&str; 2] = ["SAVEPOINT change", "RELEASE change"];

/// What SQLite was asked. Statements that only begin or end a transaction or a savepoint are not in `statements`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StatementCounts {
    pub statements: usize,
    /// Statements that were prepared to run once: not found in the cache of statements, or planned again.
    pub prepared: usize,
    pub commits: usize,
}

/// Counts the statements of a connection; clones share the counts.
#[derive(Debug, Clone, Default)]
pub struct StatementCounter(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    counts: StatementCounts,
    texts: Vec<String>,
    /// How often each statement was planned again.
    planned_again: HashMap<String, i32>,
}

impl Seen {
    fn note(&mut self, statement: &StmtRef<'_>) {
        let sql = statement.sql().into_owned();
        let begins_with = |words: &[&str]| words.iter().any(|word| sql.starts_with(word));
        if begins_with(&TRANSACTION) {
            self.counts.commits += usize::from(sql == "COMMIT");
            return;
        }
        let again = statement.get_status(StatementStatus::RePrepare);
        let before = self.planned_again.insert(sql.clone(), again).unwrap_or_default();
        let is_prepared = statement.get_status(StatementStatus::Run) == 0 || again > before;
        self.counts.prepared += usize::from(is_prepared);
        self.counts.statements += usize::from(!begins_with(&SAVEPOINT));
        self.texts.push(sql);
    }
}

impl StatementCounter {
    /// The counts since the last call, and the statements for a message.
    pub fn take(&self) -> (StatementCounts, String) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (mem::take(&mut seen.counts), mem::take(&mut seen.texts).join("\n"))
    }
}

impl State {
    /// Counts from now on what the connection that writes is asked; in memory it is the only one.
    ///
    /// # Errors
    /// SQLite cannot be used.
    pub async fn count_statements(&self) -> Result<StatementCounter, DatabaseError> {
        let counter = StatementCounter::default();
        let seen = Arc::clone(&counter.0);
        self.blocking(move |connection| {
            let note = move |event: TraceEvent<'_>| match event {
                // The text of a trigger's own statement is a comment.
                TraceEvent::Stmt(statement, text) if !text.starts_with("--") => {
                    seen.lock().unwrap_or_else(PoisonError::into_inner).note(&statement);
                }
                _ => {}
            };
            Ok(connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(note))?)
        })
        .await?;
        Ok(counter)
    }
}
