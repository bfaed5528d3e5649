//! The figures of a measurement as a Markdown table.

use std::fmt;
use std::time::Duration;

use cli::output;

#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) figure: String,
}

/// The figures of one measurement.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) title: &'static str,
    /// How they were measured, as text above the table.
    pub(crate) how: String,
    pub(crate) rows: Vec<Row>,
    pub(crate) goals: Vec<Goal>,
}

/// A goal, and whether it was met.
#[derive(Debug)]
pub(crate) struct Goal {
    pub(crate) wanted: String,
    pub(crate) figure: String,
    pub(crate) is_met: bool,
}

impl Table {
    pub(crate) fn new(title: &'static str, how: impl Into<String>) -> Self {
        Self { title, how: how.into(), rows: Vec::new(), goals: Vec::new() }
    }

    pub(crate) fn add(&mut self, what: impl Into<String>, figure: impl Into<String>) {
        let row = Row { what: what.into(), figure: figure.into() };
        // Print each figure at once, because measurements take long.
        output::talk(&format!("{}: {} = {}", self.title, row.what, row.figure));
        self.rows.push(row);
    }

    pub(crate) fn promise(&mut self, goal: impl Into<String>, figure: impl Into<String>, is_met: bool) {
        self.goals.push(Goal { wanted: goal.into(), figure: figure.into(), is_met });
    }
}

/// The goals of all measurements as a Markdown table; empty if there are none.
pub(crate) fn goals(tables: &[Table]) -> String {
    let goals: Vec<_> = tables.iter().flat_map(|table| &table.goals).collect();
    if goals.is_empty() {
        return String::new();
    }
    let row = |goal: &&Goal| {
        let met = if goal.is_met { "met" } else { "missed" };
        format!("| {} | {} | {met} |\n", goal.wanted, goal.figure)
    };
    let rows: String = goals.iter().map(row).collect();
    format!("### Goals\n\n| goal | figure | |\n|---|---|---|\n{rows}")
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "### {}\n\n{}\n\n| what | figure |\n|---|---|", self.title, self.how)?;
        self.rows.iter().try_for_each(|row| writeln!(formatter, "| {} | {} |", row.what, row.figure))
    }
}

/// "1 worker", "2 workers"
pub(crate) fn counted(count: usize, thing: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {thing}{plural}")
}

pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

/// Units per second.
pub(crate) fn rate(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64().max(0.001)
}

/// Milliseconds of CPU time per unit.
pub(crate) fn milliseconds_each(cpu: Duration, count: u64) -> f64 {
    cpu.as_secs_f64() * 1000.0 / count.max(1) as f64
}
