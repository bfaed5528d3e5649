//! A report, page by page. Between pages no snapshot of the file is held, so that a stalled reader, such as a pager,
//! does not keep SQLite from reusing its log.

#[cfg(test)]
mod tests;

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
    /// Jobs without an outcome, after the one with this number.
    WithoutOutcome(i64),
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
        let (mut position, bounds, unsupported) = self
            .state
            .read(move |connection| {
                let bounds = Bounds::of(connection, &of)?;
                Ok((Position::Outcomes(bounds.first - 1), bounds, unsupported(connection, &of)?))
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
                    page.read(connection, &of, &at, bounds)?;
                    Ok(page)
                })
                .await?;
            known = page.archived.last().map_or(known, Archive::number);
            let (of, folder) = (extent.clone(), self.archive_folder());
            let taking = move || {
                let mut counts = page.counts;
                let mut flow = ControlFlow::Continue(());
                if let Position::Outcomes(after) = position {
                    flow = moved(&folder, &page.archived, &of, (after, bounds.last), &mut counts, &mut take)?;
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
    let mut take_meant = |Recorded { sequence, published, event }: Recorded| {
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
        if archive::read(folder, archive, text.as_deref(), &mut take_meant)?.is_break() {
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

/// The sequence numbers between which the outcomes of a report are.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    first: i64,
    last: i64,
    /// That of the latest recorded outcome.
    latest: i64,
}

impl Bounds {
    fn of(connection: &Connection, extent: &Extent) -> Result<Self, DatabaseError> {
        let latest: i64 =
            connection.query_row("SELECT coalesce(max(sequence), 0) FROM outcomes", [], |row| row.get(0))?;
        let (first, last): (Option<i64>, _) = match extent {
            Extent::Asset(_) => (Some(1), None),
            Extent::Run(run) => {
                let of_run = "SELECT first_outcome, last_outcome FROM run_jobs WHERE run_id = ?1";
                let of_run = connection
                    .query_row(of_run, [&run.0], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()?;
                of_run.unwrap_or_default()
            }
            Extent::Since(since) => {
                let first = "SELECT min(first) FROM outcome_hours
                             WHERE hour BETWEEN ?1 / 3600000000000 AND max(?1 / 3600000000000, unixepoch() / 3600) + 24";
                (connection.query_row(first, [nanoseconds(*since)], |row| row.get(0))?, None)
            }
        };
        Ok(Self { first: first.unwrap_or(latest + 1), last: last.unwrap_or(latest), latest })
    }
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
        bounds: Bounds,
    ) -> Result<(), DatabaseError> {
        match position {
            Position::Outcomes(after) => self.outcomes(connection, extent, *after, bounds.last),
            Position::Restorations(after) => self.restorations(connection, extent, *after),
            Position::WithoutOutcome(after) => {
                self.without_outcome(connection, extent, *after, bounds.latest)
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

    /// A `begun` or `saved` row is reported only while it is the asset's latest.
    fn restorations(
        &mut self,
        connection: &Connection,
        extent: &Extent,
        after: i64,
    ) -> Result<(), DatabaseError> {
        let (condition, value) = extent.condition("run_id", "asset_id", "at_ms");
        let mut statement = connection.prepare_cached(&format!(
            "SELECT sequence, event FROM restorations
             WHERE {condition} AND sequence > ?2 AND (json_extract(event, '$.state') NOT IN ('begun', 'saved') OR sequence =
                (SELECT max(sequence) FROM restorations AS all_of WHERE all_of.asset_id = restorations.asset_id))
             ORDER BY sequence LIMIT {PAGE}"
        ))?;
        let mut rows = statement.query(params![value, after])?;
        self.next = Position::WithoutOutcome(0);
        while let Some(row) = rows.next()? {
            self.counts.restorations += 1;
            let line = event::<Restoration>(&row.get::<_, String>(1)?)?.into();
            self.add(line, Position::Restorations(row.get(0)?));
        }
        Ok(())
    }

    /// Includes jobs that ended after the report began, whose outcomes come after `latest`: they were under way then.
    fn without_outcome(
        &mut self,
        connection: &Connection,
        extent: &Extent,
        after: i64,
        latest: i64,
    ) -> Result<(), DatabaseError> {
        let (condition, mut value) = extent.condition("run_id", "asset_id", "published.at_ms");
        if let Extent::Asset(asset) = extent {
            value = Packed(Form::Asset, asset.as_str()).value();
        }
        // Other runs may have many jobs under way.
        let place = match extent {
            Extent::Run(_) => "job BETWEEN (SELECT first_job FROM run_jobs WHERE run_id = ?1)
                 AND (SELECT last_job FROM run_jobs WHERE run_id = ?1)"
                .to_owned(),
            Extent::Asset(_) => format!("job IN ({OF_ASSET} SELECT job FROM jobs_of)"),
            Extent::Since(_) => "true".to_owned(),
        };
        let columns = "published.job_id, run_id, asset_id, published.base, published.at_ms, job";
        let named = "CROSS JOIN run_jobs USING (run) CROSS JOIN assets USING (asset)";
        let mut statement = connection.prepare_cached(&format!(
            "SELECT * FROM (SELECT {columns}, published.open FROM published INDEXED BY published_unended {named}
                WHERE last < 0 AND published.job > ?2 AND {place} AND {condition} ORDER BY job LIMIT {PAGE})
             UNION ALL
             SELECT * FROM (SELECT {columns}, 1 FROM outcomes CROSS JOIN published USING (job) {named}
                WHERE sequence > ?3 AND previous IS NULL AND at_ms IS NOT NULL AND published.job > ?2 AND {place} AND {condition} ORDER BY job LIMIT {PAGE})
             ORDER BY 6 LIMIT {PAGE}"
        ))?;
        let mut rows = statement.query(params![value, after, latest])?;
        self.next = Position::End;
        while let Some(row) = rows.next()? {
            let open: bool = row.get(6)?;
            *(if open { &mut self.counts.under_way } else { &mut self.counts.missing }) += 1;
            let line = Line {
                outcome: if open { UNDER_WAY } else { MISSING }.to_owned(),
                base_version: Some(row.get(3)?),
                published: Timestamp::from_millisecond(row.get(4)?).ok(),
                asset_id: unpacked(row, 2, Form::Asset)?,
                run_id: row.get(1)?,
                job_id: unpacked(row, 0, Form::Job)?,
                ..Line::default()
            };
            self.add(line, Position::WithoutOutcome(row.get(5)?));
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
