//! A report, page by page. Between pages no snapshot of the file is held, so that a stalled reader, such as a pager,
//! does not keep SQLite from reusing its log.

use std::ops::ControlFlow;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params};

use super::archive::{self, Archive};
use super::evidence::{CHAINED, OF_ASSET, event};
use super::{Counts, Extent, Ledger, Line, Restoration};
use crate::state::DatabaseError;
use crate::state::record::{COLUMNS, Form, JOINED, Packed, Recorded, nanoseconds, unpacked};

/// A job whose outcome may still come.
const UNDER_WAY: &str = "under_way";
/// A job that was given up without an outcome.
const MISSING: &str = "missing";
/// Rows per page.
const PAGE: usize = 500;

/// How many outcomes a page looks through for those of the report, so that a page does not take long where they are far between.
const WINDOW: i64 = 50_000;

/// The position of a report.
#[derive(Debug, Clone)]
enum Position {
    /// Outcomes after this sequence number.
    Outcomes(i64),
    /// Restorations after this sequence number.
    Restorations(i64),
    /// Jobs without an outcome, after the one with this publishing time and number.
    WithoutOutcome {
        at_ms: i64,
        job: i64,
    },
    End,
}

/// Some lines of a report, and the position of the next ones.
struct Page {
    /// Files to which outcomes were moved since the page before. Their lines come first.
    archived: Vec<Archive>,
    lines: Vec<Line>,
    counts: Counts,
    next: Position,
}

impl Extent {
    /// A condition on jobs or restorations, and the value to compare with. Time selects rows but does not order them.
    fn condition(&self, run: &str, asset: &str, at_ms: &str) -> (String, Value) {
        match self {
            Self::Run(run_id) => (format!("{run} = ?1"), run_id.0.clone().into()),
            Self::Asset(asset_id) => (format!("{asset} = ?1"), asset_id.to_string().into()),
            Self::Since(since) => (format!("+{at_ms} >= ?1"), since.as_millisecond().into()),
        }
    }
}

impl Ledger {
    /// Passes every line of a report to `take`, archived ones first, oldest first and jobs without an outcome last, until `take` breaks.
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
        let mut known = 0;
        while !matches!(position, Position::End) {
            let (of, at) = (extent.clone(), position.clone());
            let page = self
                .state
                .read(move |connection| {
                    let archived = archive::after(connection, known)?;
                    let mut page = Page { archived, lines: Vec::new(), counts, next: Position::End };
                    page.read(connection, &of, &at, last)?;
                    Ok(page)
                })
                .await?;
            known = page.archived.last().map_or(known, Archive::number);
            let (of, folder) = (extent.clone(), self.archive_folder());
            let taking = move || {
                let mut counts = page.counts;
                let mut flow = ControlFlow::Continue(());
                if let Position::Outcomes(after) = position {
                    flow = moved(&folder, &page.archived, &of, (after, last), &mut counts, &mut take)?;
                }
                if flow.is_continue() {
                    flow = page.lines.into_iter().try_for_each(&mut take);
                }
                Ok::<_, DatabaseError>((
                    if flow.is_break() { Position::End } else { page.next },
                    counts,
                    take,
                ))
            };
            (position, counts, take) = tokio::task::spawn_blocking(taking)
                .await
                .map_err(|error| DatabaseError::Damaged(error.to_string()))??;
        }
        Ok(counts)
    }
}

/// Passes the lines of a report to `take` that were moved to these files and are not reported yet: those after a sequence number. The
/// files were registered in the snapshot of the page, so each outcome is either in one of them or in a page.
fn moved(
    folder: &Path,
    archives: &[Archive],
    extent: &Extent,
    (after, last): (i64, i64),
    counts: &mut Counts,
    take: &mut impl FnMut(Line) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, DatabaseError> {
    let text = match extent {
        Extent::Run(run) => Some(run.to_string()),
        Extent::Asset(asset) => Some(asset.to_string()),
        Extent::Since(_) => None,
    };
    let mut tell = |Recorded { sequence, published, event }: Recorded| {
        let is_meant = match extent {
            Extent::Run(run) => event.run_id == *run,
            Extent::Asset(asset) => event.asset_id == *asset,
            Extent::Since(since) => event.at >= *since,
        };
        if !is_meant || sequence <= after || sequence > last {
            return ControlFlow::Continue(());
        }
        take(counts.counted(Line::of(event, published)))
    };
    for archive in archives.iter().filter(|archive| archive.may_have(extent)) {
        if archive::read(folder, archive, text.as_deref(), &mut tell)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

impl Counts {
    /// Counts an outcome's line.
    fn counted(&mut self, line: Line) -> Line {
        self.outcomes += 1;
        self.unchecked += u64::from(!line.unchecked.is_empty());
        line
    }
}

/// The sequence numbers of the first outcome that the report may contain, and of the last one recorded.
fn bounds(connection: &Connection, extent: &Extent) -> Result<(i64, i64), DatabaseError> {
    let last: i64 =
        connection.query_row("SELECT coalesce(max(sequence), 0) FROM outcomes", [], |row| row.get(0))?;
    let first: Option<i64> = match extent {
        Extent::Asset(_) => Some(1),
        Extent::Run(run) => {
            let first = "SELECT first_outcome FROM run_jobs WHERE run_id = ?1";
            connection.query_row(first, [&run.0], |row| row.get(0)).optional()?.flatten()
        }
        Extent::Since(since) => {
            let first = "SELECT min(first) FROM outcome_hours
                         WHERE hour BETWEEN ?1 / 3600000000000 AND max(?1 / 3600000000000, unixepoch() / 3600) + 24";
            connection.query_row(first, [nanoseconds(*since)], |row| row.get(0))?
        }
    };
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
            Position::WithoutOutcome { at_ms, job } => {
                self.without_outcome(connection, extent, (*at_ms, *job), last)
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
        let until =
            if matches!(extent, Extent::Asset(_)) { last } else { last.min(after.saturating_add(WINDOW)) };
        let (selected, value) = match extent {
            Extent::Asset(asset) => (
                format!("{OF_ASSET} SELECT {COLUMNS} FROM {CHAINED} WHERE true"),
                Packed(Form::Asset, asset.as_str()).value(),
            ),
            Extent::Run(run) => (
                format!(
                    "SELECT {COLUMNS} FROM {JOINED} WHERE run = (SELECT run FROM run_jobs WHERE run_id = ?1)"
                ),
                run.0.clone().into(),
            ),
            Extent::Since(since) => (
                format!("SELECT {COLUMNS} FROM {JOINED} WHERE outcomes.at >= ?1"),
                nanoseconds(*since).into(),
            ),
        };
        let mut statement = connection.prepare_cached(&format!(
            "{selected} AND outcomes.sequence > ?2 AND outcomes.sequence <= ?3 ORDER BY outcomes.sequence LIMIT {PAGE}"
        ))?;
        let mut rows = statement.query(params![value, after, until])?;
        self.next = if until < last { Position::Outcomes(until) } else { Position::Restorations(0) };
        while let Some(row) = rows.next()? {
            let Recorded { sequence, published, event } = Recorded::read(row)?;
            let line = self.counts.counted(Line::of(event, published));
            self.add(line, Position::Outcomes(sequence));
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
        let (condition, value) = extent.condition("run_id", "asset_id", "at_ms");
        let mut statement = connection.prepare_cached(&format!(
            "SELECT sequence, event FROM restorations
             WHERE {condition} AND sequence > ?2 AND (json_extract(event, '$.state') <> 'begun' OR sequence =
                (SELECT max(sequence) FROM restorations AS all_of WHERE all_of.asset_id = restorations.asset_id))
             ORDER BY sequence LIMIT {PAGE}"
        ))?;
        let mut rows = statement.query(params![value, after])?;
        self.next = Position::WithoutOutcome { at_ms: i64::MIN, job: 0 };
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
        (at_ms, job): (i64, i64),
        last: i64,
    ) -> Result<(), DatabaseError> {
        let (condition, mut value) = extent.condition("run_id", "asset_id", "published.at_ms");
        if let Extent::Asset(asset) = extent {
            value = Packed(Form::Asset, asset.as_str()).value();
        }
        let (place, order) = ("(published.at_ms, job) > (?2, ?3)", "ORDER BY 5, 6");
        let columns = "published.job_id, run_id, asset_id, published.base, published.at_ms, job";
        let named = "CROSS JOIN run_jobs USING (run) CROSS JOIN assets USING (asset)";
        let mut statement = connection.prepare_cached(&format!(
            "SELECT * FROM (SELECT {columns}, published.open FROM published {named}
                WHERE last < 0 AND {condition} AND {place} {order} LIMIT {PAGE})
             UNION ALL
             SELECT * FROM (SELECT {columns}, 1 FROM outcomes CROSS JOIN published USING (job) {named}
                WHERE sequence > ?4 AND previous IS NULL AND {condition} AND {place} {order} LIMIT {PAGE})
             {order} LIMIT {PAGE}"
        ))?;
        let mut rows = statement.query(params![value, at_ms, job, last])?;
        self.next = Position::End;
        while let Some(row) = rows.next()? {
            let open: bool = row.get(6)?;
            *(if open { &mut self.counts.under_way } else { &mut self.counts.missing }) += 1;
            let (at_ms, job): (i64, i64) = (row.get(4)?, row.get(5)?);
            let line = Line {
                outcome: if open { UNDER_WAY } else { MISSING }.to_owned(),
                base_version: Some(row.get(3)?),
                published: Timestamp::from_millisecond(at_ms).ok(),
                asset_id: unpacked(row, 2, Form::Asset)?,
                run_id: row.get(1)?,
                job_id: unpacked(row, 0, Form::Job)?,
                ..Line::default()
            };
            self.add(line, Position::WithoutOutcome { at_ms, job });
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
