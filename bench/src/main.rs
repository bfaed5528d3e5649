//! Measures the connector's performance and prints Markdown tables. `scripts/bench` starts the broker that it needs.

mod bare;
mod broker;
mod budget;
mod compare;
mod conversion;
mod enumeration;
mod exposure;
mod history;
mod hostile;
mod idle;
mod known;
mod lab;
mod large;
mod latency;
mod leases;
mod library;
mod messages;
mod publishing;
mod readers;
mod record;
mod scale;
mod soak;
mod table;
mod throughput;
mod usage;
mod ways;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};

use compare::Earlier;
use table::Table;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure
    Run {
        /// What; everything but the soak if nothing is said
        #[arg(value_enum)]
        what: Vec<Measurement>,
        #[command(flatten)]
        size: Size,
        /// Show what has changed since this earlier output
        #[arg(long, value_name = "FILE")]
        compare: Option<PathBuf>,
    },
    /// Be the sandbox of a measurement
    #[command(hide = true)]
    Sandbox(library::Arguments),
    /// Be the bare loop
    #[command(hide = true)]
    Bare(bare::Arguments),
}

#[derive(Debug, Clone, Copy, Args)]
struct Size {
    /// Only so much that everything is run through: the figures mean nothing
    #[arg(long)]
    short: bool,
    /// How long the soak takes
    #[arg(long, default_value_t = 60)]
    minutes: u64,
    /// How many assets the ledger has, and the largest library that is gone over
    #[arg(long, default_value_t = 1_000_000)]
    assets: u64,
    /// Let every tenth file of the soak harm whoever reads it
    #[arg(long)]
    hostile: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measurement {
    Throughput,
    Photographs,
    Scale,
    InFlight,
    Budget,
    Enumeration,
    Publishing,
    Broker,
    Leases,
    Latency,
    Exposure,
    Bulk,
    Idle,
    Large,
    Largest,
    Line,
    Readers,
    Hostile,
    Ledger,
    Known,
    Conversion,
    Soak,
}

const ALL_BUT_SOAK: [Measurement; 21] = [
    Measurement::Throughput,
    Measurement::Photographs,
    Measurement::Scale,
    Measurement::InFlight,
    Measurement::Enumeration,
    Measurement::Publishing,
    Measurement::Broker,
    Measurement::Leases,
    Measurement::Latency,
    Measurement::Exposure,
    Measurement::Bulk,
    Measurement::Idle,
    Measurement::Large,
    Measurement::Largest,
    Measurement::Line,
    Measurement::Readers,
    Measurement::Hostile,
    Measurement::Ledger,
    Measurement::Known,
    Measurement::Conversion,
    Measurement::Budget,
];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Sandbox(arguments) => library::run(arguments).await,
        Command::Bare(arguments) => bare::run(arguments).await,
        Command::Run { what, size, compare } => {
            let read = |file: &PathBuf| {
                std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
            };
            // Before anything is measured.
            let earlier = compare.as_ref().map(read).transpose()?.map(|text| Earlier::read(&text));
            let what = if what.is_empty() { ALL_BUT_SOAK.to_vec() } else { what };
            print(&machine())?;
            let mut tables = Vec::new();
            for measurement in what {
                let table = measure(measurement, size).await?;
                print(&table.to_string())?;
                tables.push(table);
            }
            // The figures of a short form cannot be compared with the goals.
            if !size.short {
                print(&table::goals(&tables))?;
            }
            if let Some(earlier) = earlier {
                print(&earlier.compared_to(&tables))?;
            }
            Ok(())
        }
    }
}

async fn measure(measurement: Measurement, size: Size) -> anyhow::Result<Table> {
    let Size { short: is_short, minutes, assets, hostile: is_hostile } = size;
    match measurement {
        Measurement::Throughput => throughput::measure(is_short).await,
        Measurement::Photographs => throughput::measure_photographs(is_short).await,
        Measurement::Scale => scale::measure(is_short).await,
        Measurement::InFlight => scale::measure_in_flight(is_short).await,
        Measurement::Budget => budget::measure(is_short).await,
        Measurement::Enumeration => enumeration::measure(is_short, assets).await,
        Measurement::Publishing => publishing::measure(is_short).await,
        Measurement::Broker => broker::measure(is_short).await,
        Measurement::Leases => leases::measure(is_short).await,
        Measurement::Latency => latency::measure(is_short).await,
        Measurement::Exposure => exposure::measure(is_short).await,
        Measurement::Bulk => exposure::measure_bulk(is_short).await,
        Measurement::Idle => idle::measure(is_short).await,
        Measurement::Large => large::measure(is_short).await,
        Measurement::Largest => large::measure_largest(is_short).await,
        Measurement::Line => large::measure_line(is_short).await,
        Measurement::Readers => readers::measure(is_short).await,
        Measurement::Hostile => hostile::measure(is_short).await,
        Measurement::Ledger => history::measure(is_short, assets).await,
        Measurement::Known => known::measure(is_short, assets).await,
        Measurement::Conversion => conversion::measure(is_short, assets),
        Measurement::Soak => soak::measure(is_short, minutes, is_hostile).await,
    }
}

fn print(text: &str) -> std::io::Result<()> {
    text.lines().try_for_each(cli::output::try_data)
}

/// The date, the version, and the machine.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let model = model.map_or("an unnamed processor", |(_, name)| name.trim());
    let cores = processors.lines().filter(|line| line.starts_with("processor")).count();
    let date = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    let version = env!("CARGO_PKG_VERSION");
    let build = if cfg!(debug_assertions) { "debug" } else { "release" };
    format!("{date}, connector {version} ({build} build), {cores} cores of {model}\n")
}
