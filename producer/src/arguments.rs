//! The command-line arguments of a run.

use std::path::{Path, PathBuf};

use clap::Args;
use cli::options::GlobalOptions;
use cli::output;
use common::failure::Failure;
use common::outcome::FailureClass;
use common::parse_error::harmless;
use config::{Loaded, Override, read_moment, read_text};
use files::written::{self, Chosen};
use jiff::Timestamp;
use toml::Value;

/// What a run goes over.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArguments {
    /// Go over the whole library
    #[arg(long, conflicts_with_all = ["delta", "since"])]
    pub full: bool,
    /// Go over what changed since the last finished run
    #[arg(long, conflicts_with = "since")]
    pub delta: bool,
    /// Go over what changed since this time, such as 2026-01-31 or 2026-01-31T08:00:00Z
    #[arg(long, value_parser = read_moment)]
    pub since: Option<Timestamp>,
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Stop after N assets, with exit code 8 if there are more
    #[arg(long)]
    pub max_assets: Option<u64>,
    /// Go over this part of the library only, the same each time: 0.1 is a tenth
    #[arg(long, value_name = "P")]
    pub sample: Option<f64>,
    /// Go over the assets whose ids are in this file, one per line
    #[arg(long)]
    pub ids_from: Option<PathBuf>,
    /// A filter with the configuration's name, such as types=image,video or metaproperties.Country=France
    #[arg(long = "filter", value_name = "KEY=VALUE")]
    pub filters: Vec<String>,
    /// Also retry assets that failed before, all or of one class such as permission, even if their job cannot be replayed
    #[arg(long, value_name = "CLASS", num_args = 0..=1, require_equals = true, value_parser = read_class)]
    pub retry_failed: Option<Option<FailureClass>>,
    /// How long the filters of the command line hold.
    #[arg(skip)]
    pub hold: Hold,
    /// Who asks for it.
    #[arg(skip)]
    pub asker: Asker,
}

fn read_class(name: &str) -> Result<FailureClass, String> {
    let known = FailureClass::ALL.map(FailureClass::name).join(", ");
    let unknown = || format!("{:?} is not a failure class; the classes are {known}", harmless(name));
    FailureClass::named(name).ok_or_else(unknown)
}

/// Who requests what a run covers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Asker {
    /// The person who wrote the command line.
    #[default]
    Person,
    /// A schedule, on behalf of the person who made the request earlier.
    Schedule,
}

/// The longest file of ids, in bytes: 1.8 million of them.
const LONGEST_IDS: u64 = 64 << 20;

/// How long filters of the command line apply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Hold {
    /// To this run.
    #[default]
    Once,
    /// To every run from now on: those of a scheduled producer.
    Always,
}

impl RunArguments {
    /// Whether the command line narrows this run, and no other.
    pub fn is_part(&self) -> bool {
        let narrows = self.sample.is_some() || self.ids_from.is_some() || !self.filters.is_empty();
        narrows && self.hold == Hold::Once
    }

    /// Whether it covers assets that are named by id, whenever they changed. A scheduled producer covers them once,
    /// and then only changes.
    pub fn goes_by_name(&self) -> bool {
        self.is_part() && self.ids_from.is_some() && !self.delta && self.since.is_none()
    }
}

/// Reads the configuration with the overrides of the command line for a run, and prints its warnings.
pub fn load(global: &GlobalOptions, run: &RunArguments) -> Result<Loaded, Failure> {
    let mut loaded = wiring::load_for(global, &overrides(run)?)?;
    if let Some(path) = &run.ids_from {
        loaded.config.filters.ids = ids_from(path)?;
        if let Ok(Some(doubt)) = written::check(path, Chosen::Named)
            && !global.quiet
        {
            output::warning(&format!("--ids-from: {}: {doubt}", path.display()));
        }
    }
    Ok(loaded)
}

fn overrides(run: &RunArguments) -> Result<Vec<Override>, Failure> {
    let mut overrides = Vec::new();
    for filter in &run.filters {
        let Some((key, value)) = filter.split_once('=') else {
            return Err(Failure::Usage(format!(
                "--filter {}: write KEY=VALUE, such as types=image",
                harmless(filter)
            )));
        };
        overrides.push(Override {
            key: format!("filters.{}", key.trim()),
            value: filter_value(key.trim(), value),
        });
    }
    if let Some(part) = run.sample {
        overrides.push(Override { key: "filters.sample".to_owned(), value: Value::Float(part) });
    }
    Ok(overrides)
}

/// The ids in the file, one a line.
fn ids_from(path: &Path) -> Result<Vec<String>, Failure> {
    let text = read_text(path, Chosen::Named, LONGEST_IDS)
        .map_err(|reason| Failure::Usage(format!("--ids-from: cannot read {}: {reason}", path.display())))?;
    // Some editors start the file with a byte order mark.
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let ids: Vec<_> =
        lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect();
    if ids.is_empty() {
        // An empty filter by ids would match everything.
        let reason = format!("--ids-from: {} names no asset; write one id a line", path.display());
        return Err(Failure::Usage(reason));
    }
    Ok(ids)
}

/// A filter's value in the form of the configuration: most take a list, some a single value.
fn filter_value(key: &str, value: &str) -> Value {
    let text = |text: &str| Value::String(text.trim().to_owned());
    match key {
        "keyword" | "created" | "modified" | "min_size" | "max_size" => text(value),
        "public" | "archived" | "limited" => {
            value.trim().parse().map_or_else(|_| text(value), Value::Boolean)
        }
        _ => Value::Array(value.split(',').map(text).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_assets_are_gone_over_whenever_they_changed_but_by_no_schedule_and_no_other_wish() {
        let named = || RunArguments { ids_from: Some("ids.txt".into()), ..RunArguments::default() };
        let table = [
            (named(), true),
            (RunArguments { hold: Hold::Always, ..named() }, false),
            (RunArguments { delta: true, ..named() }, false),
            (RunArguments { since: Some(Timestamp::UNIX_EPOCH), ..named() }, false),
            (RunArguments { filters: vec!["names=a*".to_owned()], ..RunArguments::default() }, false),
        ];
        for (scope, by_name) in table {
            assert_eq!(scope.goes_by_name(), by_name, "{scope:?}");
        }
    }
}
