//! `connector report`: prints the record, for an auditor or a spreadsheet.

use std::io;
use std::ops::ControlFlow;

use cli::options::GlobalOptions;
use cli::output;
use common::failure::Failure;
use common::job::RunId;
use ledger::state::State;
use ledger::{Counts, Extent, Ledger, Line};

use super::spreadsheet::row;
use crate::arguments::{Format, Report, ReportScope};

pub(crate) async fn run(global: &GlobalOptions, report: &Report) -> Result<(), Failure> {
    let config = wiring::load_for(global, &[])?.config;
    let ledger = open(&config.producer.state_dir)?;
    let extent = extent(&report.about)?;
    let format = if global.json { Format::Json } else { report.format };
    let mut is_first = true;
    let write = move |line| {
        let written = match format {
            Format::Csv => csv(line, std::mem::take(&mut is_first)),
            Format::Json => output::try_json(&line),
        };
        // The report ends when its reader is gone.
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    };
    let counts = ledger.report(extent.clone(), write).await?;
    if let Extent::Run(run) = &extent
        && counts == Counts::default()
    {
        return Err(Failure::Usage(format!(
            "there is no record of a run {run}; `connector status` names the latest runs"
        )));
    }
    if !global.quiet {
        print(counts);
    }
    Ok(())
}

/// Opens this machine's ledger for reading.
pub(super) fn open(directory: &std::path::Path) -> Result<Ledger, Failure> {
    let state = State::open_to_read(directory)?.ok_or_else(|| {
        Failure::Usage(format!(
            "{} holds no state yet; the record is where `sync` or the producer keeps it (producer.state_dir)",
            directory.display()
        ))
    })?;
    Ok(Ledger::new(state))
}

fn extent(about: &ReportScope) -> Result<Extent, Failure> {
    if let Some(asset) = &about.asset {
        let asset = asset.parse().map_err(|error| Failure::Usage(format!("--asset: {error}")))?;
        return Ok(Extent::Asset(asset));
    }
    match (&about.since, &about.run) {
        (Some(since), _) => Ok(Extent::Since(*since)),
        (None, Some(run)) => Ok(Extent::Run(RunId(run.clone()))),
        (None, None) => Err(Failure::Usage("name a run, or say --asset or --since".to_owned())),
    }
}

fn print(counts: Counts) {
    output::talk(&format!("{} outcomes", counts.outcomes));
    if counts.unchecked > 0 {
        output::talk(&format!("{} of them with checks that could not be made (unchecked)", counts.unchecked));
    }
    if counts.restorations > 0 {
        output::talk(&format!("{} originals put back", counts.restorations));
    }
    if counts.under_way > 0 {
        output::talk(&format!("{} jobs have no outcome yet (under_way)", counts.under_way));
    }
    if counts.unsupported > 0 {
        output::talk(&format!(
            "{} assets got no job: the connector's profile does not list the types that their extensions name \
             (limits.content_types)",
            counts.unsupported
        ));
    }
    if counts.missing > 0 {
        output::talk(&format!(
            "{} jobs have no outcome, and are given up (missing): the next run picks up their assets again",
            counts.missing
        ));
    }
}

/// Writes a line, with the column names before the first one.
fn csv(line: Line, is_first: bool) -> io::Result<()> {
    row(line, is_first)?.lines().try_for_each(output::try_data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Line {
        Line {
            asset_id: "A".to_owned(),
            asset_name: name.to_owned(),
            outcome: "watermarked".to_owned(),
            base_version: Some(1),
            protected_version: Some(2),
            reason: Some("@SUM(A1)".to_owned()),
            run_id: "r".to_owned(),
            job_id: "j".to_owned(),
            ..Line::default()
        }
    }

    fn cells(line: Line) -> Vec<String> {
        let text = row(line, false).unwrap();
        assert_eq!(text.lines().count(), 1, "{text:?}");
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        reader.records().next().unwrap().unwrap().iter().map(str::to_owned).collect()
    }

    #[test]
    fn no_name_becomes_a_formula_in_a_spreadsheet() {
        for name in ["=1+1", "+1", "-1", "@SUM(A1)", "＝1", "＋1", "－1", "＠A", " =1", "\"=1"] {
            assert_eq!(cells(named(name))[1], format!("'{name}"));
        }
        for (name, cell) in [
            ("x;=cmd|' /C calc'!A0", "x;'=cmd|' /C calc'!A0"),
            ("x;\"＝1\";@A", "x;'\"＝1\";'@A"),
            ("\t=1", r"\u{9}=1"),
            ("\u{feff}=1;\u{200b} -2", r"\u{feff}=1;\u{200b} -2"),
            ("\u{200d}=1;\u{200c} -2", "'\u{200d}=1;'\u{200c} -2"),
            ("\r=1\n=2", r"\u{d}=1\u{a}=2"),
            ("lake = blue; 2-3", "lake = blue; 2-3"),
        ] {
            assert_eq!(cells(named(name))[1], cell);
        }
    }

    #[test]
    fn every_text_of_a_line_is_guarded() {
        let formula = || "=1;=2".to_owned();
        let long_ago = "-009999-01-03T01:59:59Z";
        let line = Line {
            asset_id: formula(),
            outcome: formula(),
            published: long_ago.parse().ok(),
            ended: long_ago.parse().ok(),
            copy_id: Some(formula()),
            additional_file: Some(formula()),
            imatag_id: Some(formula()),
            request_ids: formula(),
            reason: Some(formula()),
            run_id: formula(),
            job_id: formula(),
            ..named("=1;=2")
        };
        let cells = cells(line);
        assert_eq!(cells.iter().filter(|cell| *cell == "'=1;'=2").count(), 10, "{cells:?}");
        assert_eq!(cells.iter().filter(|cell| **cell == format!("'{long_ago}")).count(), 2, "{cells:?}");
        assert!(!cells.iter().any(|cell| cell.starts_with(['=', '-'])), "{cells:?}");
    }

    #[test]
    fn a_line_is_one_row_of_quoted_cells_whatever_its_name_holds() {
        assert_eq!(cells(named("a, \"b\"\nc"))[1], "a, \"b\"\\u{a}c");
        let text = row(named("a"), true).unwrap();
        let (columns, cells) = text.trim_end().split_once('\n').unwrap();
        assert!(columns.starts_with(r#""asset_id","asset_name","outcome","#), "{columns}");
        assert!(cells.starts_with(r#""A","a","watermarked","1","2","","#), "{cells}");
    }
}
