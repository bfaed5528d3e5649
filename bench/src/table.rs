//! What was measured, as a table in Markdown.

use std::fmt;
use std::time::Duration;

/// One figure.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) figure: String,
}

/// The figures of one measurement.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) title: &'static str,
    /// How it was measured, in a sentence.
    pub(crate) how: String,
    pub(crate) rows: Vec<Row>,
}

impl Table {
    pub(crate) fn new(title: &'static str, how: impl Into<String>) -> Self {
        Self { title, how: how.into(), rows: Vec::new() }
    }

    pub(crate) fn add(&mut self, what: impl Into<String>, figure: impl Into<String>) {
        let row = Row { what: what.into(), figure: figure.into() };
        // Long measurements show what they have so far.
        eprintln!("{}: {} = {}", self.title, row.what, row.figure);
        self.rows.push(row);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "### {}\n\n{}\n\n| what | figure |\n|---|---|", self.title, self.how)?;
        self.rows.iter().try_for_each(|row| writeln!(formatter, "| {} | {} |", row.what, row.figure))
    }
}

pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

/// Units a second.
pub(crate) fn rate(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64().max(0.001)
}

/// Milliseconds of processor time for each.
pub(crate) fn milliseconds_each(cpu: Duration, count: u64) -> f64 {
    cpu.as_secs_f64() * 1000.0 / count.max(1) as f64
}
