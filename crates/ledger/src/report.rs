//! A report, page by page. Between pages no snapshot of the file is held, so that a stalled reader, such as a pager,
//! does not keep SQLite from reusing its log.

use std::ops::ControlFlow;

use rusqlite::{Connection, OptionalExtension, ToSql, params_from_iter};

use super::evidence::{event, time};
use super::{Counts, Extent, Ledger, Line, Restoration};
use crate::state::DatabaseError;
use common::outcome::OutcomeEvent;

/// A job whose outcome may still come.
const UNDER_WAY: &str = "under_way";
/// A job that was given up without an outcome.
const MISSING: &str = "missing";
/// Rows per page.
const PAGE: usize = 500;

/// The position of a report.
#[derive(Debug, Clone)]
enum Position {
    /// Outcomes after this sequence number.
    Outcomes(i64),
    /// Restorations after this sequence number.
    Restorations(i64),
    /// Jobs without an outcome, after the one with this publishing time and id.
    WithoutOutcome {
        at_ms: i64,
        job_id: String,
    },
    End,
}

/// Some lines of a report, and the position of the next ones.
struct Page {
    lines: Vec<Line>,
    counts: Counts,
    next: Position,
}

impl Extent {
    /// The condition on a table's rows, and the value to compare with. Time selects rows but does not order them, so
    /// the `+` keeps SQLite from using the time's index for a page.
    fn condition(&self, table: &str) -> (String, Box<dyn ToSql>) {
        match self {
            Self::Run(run) => (format!("{table}.run_id = ?1"), Box::new(run.0.clone())),
            Self::Asset(asset) => (format!("{table}.asset_id = ?1"), Box::new(asset.to_string())),
            Self::Since(since) => (format!("+{table}.at_ms >= ?1"), Box::new(since.as_millisecond())),
        }
    }
}

impl Ledger {
    /// Passes every line of a report to `take`, oldest first and jobs without an outcome last, until `take` breaks.
    /// Outcomes that arrive meanwhile are not included. `take` may block.
    pub async fn report<F>(&self, extent: Extent, mut take: F) -> Result<Counts, DatabaseError>
    where
        F: FnMut(Line) -> ControlFlow<()> + Send + 'static,
    {
        let of = extent.clone();
        let (mut position, last, unsupported) = self
            .state
            .read(move |connection| {
                let (first, last) = bounds(connection, &of)?;
                Ok((Position::Outcomes(first - 1), last, unsupported(connection, &of)?))
            })
            .await?;
        let mut counts = Counts { unsupported, ..Counts::default() };
        while !matches!(position, Position::End) {
            let extent = extent.clone();
            let page = self
                .state
                .read(move |connection| {
                    let mut page = Page { lines: Vec::new(), counts, next: Position::End };
                    page.read(connection, &extent, &position, last)?;
                    Ok(page)
                })
                .await?;
            counts = page.counts;
            let lines = page.lines;
            let taking = move || (lines.into_iter().try_for_each(&mut take), take);
            let flow;
            (flow, take) = tokio::task::spawn_blocking(taking)
                .await
                .map_err(|error| DatabaseError::Damaged(error.to_string()))?;
            position = if flow.is_break() { Position::End } else { page.next };
        }
        Ok(counts)
    }
}

/// The sequence numbers of the first outcome that the report may contain, and of the last one recorded.
fn bounds(connection: &Connection, extent: &Extent) -> Result<(i64, i64), DatabaseError> {
    let last = "SELECT coalesce(max(sequence), 0) FROM outcomes";
    let last = connection.query_row(last, [], |row| row.get(0))?;
    let Extent::Since(since) = extent else { return Ok((1, last)) };
    let first = "SELECT min(sequence) FROM outcomes WHERE at_ms >= ?1";
    let first: Option<i64> = connection.query_row(first, [since.as_millisecond()], |row| row.get(0))?;
    Ok((first.unwrap_or(last + 1), last))
}

fn unsupported(connection: &Connection, extent: &Extent) -> Result<u64, DatabaseError> {
    let Extent::Run(run) = extent else { return Ok(0) };
    let sql = "SELECT unsupported FROM runs WHERE run_id = ?1";
    Ok(connection.query_row(sql, [&run.0], |row| row.get(0)).optional()?.unwrap_or_default())
}

impl Page {
    fn read(
        &mut self,
        connection: &Connection,
        extent: &Extent,
        position: &Position,
        last: i64,
    ) -> Result<(), DatabaseError> {
        match position {
            Position::Outcomes(after) => self.outcomes(connection, extent, *after, last),
            Position::Restorations(after) => self.restorations(connection, extent, *after),
            Position::WithoutOutcome { at_ms, job_id } => {
                self.without_outcome(connection, extent, (*at_ms, job_id), last)
            }
            Position::End => Ok(()),
        }
    }

    fn outcomes(
        &mut self,
        connection: &Connection,
        extent: &Extent,
        after: i64,
        last: i64,
    ) -> Result<(), DatabaseError> {
        let (condition, value) = extent.condition("outcomes");
        let mut statement = connection.prepare_cached(&format!(
            "SELECT sequence, event, published.at_ms FROM outcomes LEFT JOIN published USING (job_id)
             WHERE {condition} AND sequence > ?2 AND sequence <= ?3 ORDER BY sequence LIMIT {PAGE}"
        ))?;
        let mut rows = statement.query(params_from_iter([value, Box::new(after), Box::new(last)]))?;
        self.next = Position::Restorations(0);
        while let Some(row) = rows.next()? {
            let line = Line::of(event::<OutcomeEvent>(&row.get::<_, String>(1)?)?, time(row.get(2)?));
            self.counts.outcomes += 1;
            self.counts.unchecked += u64::from(!line.unchecked.is_empty());
            self.add(line, Position::Outcomes(row.get(0)?));
        }
        Ok(())
    }

    /// A `begun` row is reported only while it is the asset's latest.
    fn restorations(
        &mut self,
        connection: &Connection,
        extent: &Extent,
        after: i64,
    ) -> Result<(), DatabaseError> {
        let (condition, value) = extent.condition("restorations");
        let mut statement = connection.prepare_cached(&format!(
            "SELECT sequence, event FROM restorations
             WHERE {condition} AND sequence > ?2 AND (json_extract(event, '$.state') <> 'begun' OR sequence =
                (SELECT max(sequence) FROM restorations AS all_of WHERE all_of.asset_id = restorations.asset_id))
             ORDER BY sequence LIMIT {PAGE}"
        ))?;
        let mut rows = statement.query(params_from_iter([value, Box::new(after)]))?;
        self.next = Position::WithoutOutcome { at_ms: i64::MIN, job_id: String::new() };
        while let Some(row) = rows.next()? {
            self.counts.restorations += 1;
            let line = event::<Restoration>(&row.get::<_, String>(1)?)?.into();
            self.add(line, Position::Restorations(row.get(0)?));
        }
        Ok(())
    }

    /// Includes jobs that ended after the report began: they were under way then.
    fn without_outcome(
        &mut self,
        connection: &Connection,
        extent: &Extent,
        (at_ms, job_id): (i64, &str),
        last: i64,
    ) -> Result<(), DatabaseError> {
        let (condition, value) = extent.condition("published");
        let (place, order) = ("(published.at_ms, published.job_id) > (?2, ?3)", "ORDER BY 5, 1");
        let columns =
            "published.job_id, published.run_id, published.asset_id, published.base, published.at_ms";
        let mut statement = connection.prepare_cached(&format!(
            "SELECT * FROM (SELECT {columns}, open FROM published
                WHERE ended = 0 AND {condition} AND {place} {order} LIMIT {PAGE})
             UNION ALL
             SELECT * FROM (SELECT DISTINCT {columns}, 1 FROM outcomes JOIN published USING (job_id)
                WHERE sequence > ?4 AND {condition} AND {place} AND NOT EXISTS (SELECT 1 FROM outcomes AS earlier
                    WHERE earlier.job_id = published.job_id AND earlier.sequence <= ?4) {order} LIMIT {PAGE})
             {order} LIMIT {PAGE}"
        ))?;
        let values: [Box<dyn ToSql>; 4] =
            [value, Box::new(at_ms), Box::new(job_id.to_owned()), Box::new(last)];
        let mut rows = statement.query(params_from_iter(values))?;
        self.next = Position::End;
        while let Some(row) = rows.next()? {
            let open: bool = row.get(5)?;
            *(if open { &mut self.counts.under_way } else { &mut self.counts.missing }) += 1;
            let (at_ms, job_id): (i64, String) = (row.get(4)?, row.get(0)?);
            let line = Line {
                outcome: if open { UNDER_WAY } else { MISSING }.to_owned(),
                base_version: Some(row.get(3)?),
                published: time(Some(at_ms)),
                asset_id: row.get(2)?,
                run_id: row.get(1)?,
                job_id: job_id.clone(),
                ..Line::default()
            };
            self.add(line, Position::WithoutOutcome { at_ms, job_id });
        }
        Ok(())
    }

    /// Adds a line. A page that is not full is the last of its kind.
    fn add(&mut self, line: Line, position: Position) {
        self.lines.push(line);
        if self.lines.len() == PAGE {
            self.next = position;
        }
    }
}

#[cfg(test)]
mod tests {
    use common::job::{Job, Lane, RunId};
    use common::outcome::Outcome;
    use jiff::Timestamp;

    use super::*;
    use crate::state::State;
    use crate::{note_outcome, note_published};

    fn job(number: usize) -> Job {
        let asset = format!("{number:04}").parse().unwrap();
        let at = Timestamp::from_millisecond(number as i64).unwrap();
        Job::new(RunId("r".to_owned()), asset, "", Lane::Backlog, 1, None, at)
    }

    #[tokio::test]
    async fn a_report_of_many_pages_has_each_job_once_and_holds_nothing_of_the_file_while_a_line_is_written()
    {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::new(State::open(directory.path()).unwrap());
        let (ended, open) = (2 * PAGE + 10, PAGE + 5);
        ledger
            .state
            .write(move |transaction| {
                for number in 0..ended + open {
                    note_published(transaction, &job(number))?;
                    if number < ended {
                        note_outcome(transaction, &job(number).ended(Outcome::Gone, Timestamp::now()))?;
                    }
                }
                Ok(())
            })
            .await
            .unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let beside = rusqlite::Connection::open(ledger.state.path()).unwrap();
        let mut taken = 0;
        let take = move |line: Line| {
            taken += 1;
            // In the middle of a page a job ends and the log is checkpointed, which a held snapshot would prevent.
            if taken == PAGE + 7 {
                let last = job(ended + open - 1);
                let transaction = beside.unchecked_transaction().unwrap();
                note_outcome(&transaction, &last.ended(Outcome::Gone, Timestamp::now())).unwrap();
                transaction.commit().unwrap();
                let busy: u32 =
                    beside.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
                assert_eq!(busy, 0, "a snapshot is held");
            }
            sender.send((line.asset_id, line.outcome)).unwrap();
            ControlFlow::Continue(())
        };
        let counts = ledger.report(Extent::Run(RunId("r".to_owned())), take).await.unwrap();
        let expected: Vec<_> = (0..ended + open)
            .map(|number| {
                (format!("{number:04}"), if number < ended { "gone" } else { UNDER_WAY }.to_owned())
            })
            .collect();
        assert!(receiver.iter().collect::<Vec<_>>() == expected);
        assert_eq!(counts, Counts { outcomes: ended as u64, under_way: open as u64, ..Counts::default() });
    }

    #[tokio::test]
    async fn a_report_ends_where_its_reader_breaks_off() {
        let directory = tempfile::tempdir().unwrap();
        let ledger = Ledger::new(State::open(directory.path()).unwrap());
        let note = |transaction: &rusqlite::Transaction<'_>| {
            (0..PAGE * 2).try_for_each(|number| note_published(transaction, &job(number)).map(drop))
        };
        ledger.state.write(note).await.unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let take = move |_| {
            sender.send(()).unwrap();
            ControlFlow::Break(())
        };
        ledger.report(Extent::Since(Timestamp::UNIX_EPOCH), take).await.unwrap();
        assert_eq!(receiver.iter().count(), 1);
    }
}
