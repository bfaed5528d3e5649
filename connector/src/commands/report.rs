//! `connector report`: what is on record, for an auditor or a spreadsheet.

use std::io::{self, Stdout, Write};
use std::ops::ControlFlow;

use common::failure::Failure;
use common::job::RunId;
use common::ledger::{Counts, Extent, Ledger, Line};
use common::output;
use common::state::State;
use csv::Writer;
use producer::arguments::{self, Common};

use crate::arguments::{About, Format, Report};

/// What makes a spreadsheet take a cell for a formula.
const FORMULA_STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

pub(crate) async fn run(common: &Common, report: &Report) -> Result<(), Failure> {
    let config = arguments::load(common, None)?.config;
    let ledger = open(&config.producer.state_dir)?;
    let extent = extent(&report.about)?;
    let mut lines = Lines::new(if common.json { Format::Json } else { report.format });
    let counts = ledger.report(extent.clone(), move |line| lines.write(line)).await?;
    if let Extent::Run(run) = &extent
        && counts == Counts::default()
    {
        return Err(Failure::Usage(format!(
            "nothing of a run {run} is on record; `connector status` names the latest runs"
        )));
    }
    if !common.quiet {
        tell(counts);
    }
    Ok(())
}

/// The record of this machine, to look at.
pub(super) fn open(directory: &std::path::Path) -> Result<Ledger, Failure> {
    let state = State::open_to_read(directory)?.ok_or_else(|| {
        Failure::Usage(format!(
            "{} holds no state yet; the record is where `sync` or the producer keeps it (producer.state_dir)",
            directory.display()
        ))
    })?;
    Ok(Ledger::new(state))
}

fn extent(about: &About) -> Result<Extent, Failure> {
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

fn tell(counts: Counts) {
    output::talk(&format!("{} outcomes", counts.outcomes));
    if counts.restorations > 0 {
        output::talk(&format!("{} originals put back", counts.restorations));
    }
    if counts.under_way > 0 {
        output::talk(&format!("{} jobs have no outcome yet (under_way)", counts.under_way));
    }
    if counts.missing > 0 {
        output::talk(&format!(
            "{} jobs have no outcome, and nobody waits for them any more (missing): the next run takes their assets up again",
            counts.missing
        ));
    }
}

/// Standard output, in the wanted form. A reader that goes away ends the report.
enum Lines {
    Csv(Box<Writer<Stdout>>),
    Json(Stdout),
}

impl Lines {
    fn new(format: Format) -> Self {
        match format {
            Format::Csv => Self::Csv(Box::new(Writer::from_writer(io::stdout()))),
            Format::Json => Self::Json(io::stdout()),
        }
    }

    fn write(&mut self, line: Line) -> ControlFlow<()> {
        let written = match self {
            Self::Csv(writer) => writer.serialize(harmless(line)).is_ok(),
            Self::Json(out) => writeln!(out, "{}", serde_json::to_string(&line).unwrap_or_default()).is_ok(),
        };
        if written { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

/// The line with every text that somebody else may have chosen made harmless to a spreadsheet.
fn harmless(mut line: Line) -> Line {
    let texts = [&mut line.asset_name, &mut line.request_ids, &mut line.run_id, &mut line.job_id];
    let texts = texts.into_iter().chain(&mut line.imatag_id).chain(&mut line.reason);
    let texts = texts.chain(&mut line.copy_id).chain(&mut line.additional_file);
    for text in texts.filter(|text| text.starts_with(FORMULA_STARTS)) {
        text.insert(0, '\'');
    }
    line
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
            restored_version: None,
            crossing_version: None,
            copy_id: None,
            additional_file: None,
            original_sha256: None,
            watermarked_sha256: None,
            imatag_id: None,
            request_ids: String::new(),
            class: None,
            reason: Some("@SUM(A1)".to_owned()),
            published: None,
            ended: None,
            run_id: "r".to_owned(),
            job_id: "j".to_owned(),
        }
    }

    #[test]
    fn no_name_becomes_a_formula_in_a_spreadsheet() {
        for name in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            let line = harmless(named(name));
            assert_eq!(line.asset_name, format!("'{name}"));
            assert_eq!(line.reason.as_deref(), Some("'@SUM(A1)"));
        }
        assert_eq!(harmless(named("lake = blue")).asset_name, "lake = blue");
    }

    #[test]
    fn a_csv_line_keeps_commas_quotes_and_line_breaks_in_their_cell() {
        let mut writer = Writer::from_writer(Vec::new());
        writer.serialize(named("a, \"b\"\nc")).unwrap();
        let text = writer.into_inner().unwrap();
        let mut reader = csv::Reader::from_reader(text.as_slice());
        let record = reader.records().next().unwrap().unwrap();
        assert_eq!(&record[1], "a, \"b\"\nc");
    }
}
