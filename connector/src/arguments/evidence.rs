//! The command lines of the commands that list assets.

use clap::{Args, ValueEnum};
use config::read_moment;
use jiff::Timestamp;
use producer::arguments::RunArguments;

/// `connector report`
#[derive(Debug, Clone, Args)]
pub(crate) struct Report {
    #[command(flatten)]
    pub(crate) about: ReportScope,
    /// How lines look; --json means json
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    pub(crate) format: Format,
}

/// What a report is about.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ReportScope {
    /// The run with this id; `connector status` names the latest
    pub(crate) run: Option<String>,
    /// Everything about this asset
    #[arg(long)]
    pub(crate) asset: Option<String>,
    /// What ended since this time, such as 2026-01-31 or 2026-01-31T08:00:00Z
    #[arg(long, value_parser = read_moment)]
    pub(crate) since: Option<Timestamp>,
}

/// How a report's lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For spreadsheets
    Csv,
    /// One JSON object a line
    Json,
}

/// `connector plan`
#[derive(Debug, Clone, Args)]
pub(crate) struct Plan {
    #[command(flatten)]
    pub(crate) scope: RunArguments,
    /// Also print the assets that the run would protect, as text, csv (the summary then goes to
    /// standard error) or json (an object a line, the summary last); --json means json
    #[arg(long, value_name = "FORMAT", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "text", hide_possible_values = true)]
    pub(crate) list: Option<ListFormat>,
}

/// How the assets of a plan look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    /// For people
    Text,
    /// For spreadsheets
    Csv,
    /// One JSON object a line
    Json,
}

/// `connector lookup`
#[derive(Debug, Clone, Args)]
pub(crate) struct Lookup {
    /// A SHA-256 in hex, or a file
    pub(crate) file: String,
}

/// `connector verify`
#[derive(Debug, Clone, Args)]
pub(crate) struct Verify {
    /// The part of the protected files that is downloaded and hashed, from 0 to 1
    #[arg(long, value_name = "P", default_value = "0", value_parser = part)]
    pub(crate) sample: f64,
    /// A filter with the configuration's name, such as types=image,video or metaproperties.Country=France
    #[arg(long = "filter", value_name = "KEY=VALUE")]
    pub(crate) filters: Vec<String>,
}

fn part(text: &str) -> Result<f64, String> {
    let part = text.parse().ok().filter(|part| (0.0..=1.0).contains(part));
    part.ok_or_else(|| "write a part from 0 to 1, such as 0.01".to_owned())
}
