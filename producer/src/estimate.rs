//! Estimates the cost of a run from what it found.

use bytesize::ByteSize;
use config::Config;
use standing::calls_an_asset;

use crate::found::Portion;
use crate::run::Report;

/// Bynder's window, which the configured budget refers to.
const WINDOW_SECONDS: f64 = 300.0;

pub(crate) fn least_seconds(report: &Report, config: &Config) -> f64 {
    calls(report, config) * WINDOW_SECONDS / f64::from(config.bynder.requests_per_5_minutes.get())
}

pub(crate) fn calls(report: &Report, config: &Config) -> f64 {
    report.found.selected as f64 * calls_an_asset(config.output.mode) + report.found.further_parts as f64
}

/// Prints what a run would do, a line at a time.
pub(crate) fn print(report: &Report, config: &Config, line: impl Fn(&str)) {
    let found = &report.found;
    let size = |bytes: u64| ByteSize::b(bytes).to_string();
    line(&format!("{} run: {} assets looked at", report.mode.name(), found.listed));
    line(&format!("  to protect   {:>10}   {}", found.selected, size(found.bytes)));
    let part = |name: &str, portion: &Portion| {
        line(&format!("    {name:<10} {:>10}   {}", portion.assets, size(portion.bytes)));
    };
    found.by_type.iter().for_each(|(name, portion)| part(name, portion));
    found.by_extension.iter().for_each(|(name, portion)| part(name, portion));
    for (reason, count) in &found.skipped {
        line(&format!("  skipped      {count:>10}   {}", reason.name().replace('_', " ")));
    }
    if !found.unsupported.is_empty() {
        line(
            "  unsupported, since the connector's profile does not list their types (limits.content_types):",
        );
        found.unsupported.iter().for_each(|(name, portion)| part(name, portion));
    }
    line(&format!(
        "  about {:.0} Bynder calls, at least {} at the configured budget",
        calls(report, config),
        human_duration(least_seconds(report, config))
    ));
    line(&format!("  {} paid watermarks, {} of added storage", found.selected, size(found.bytes)));
    if !config.quiet_hours.is_empty() {
        line("  quiet hours make that longer");
    }
    if let Some(limit) = found.limit {
        line(&format!("  {limit}"));
    }
}

/// Rounds to a whole number of calls.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and none is negative"
)]
pub(crate) fn rounded(calls: f64) -> u64 {
    calls.ceil() as u64
}

fn human_duration(seconds: f64) -> String {
    match seconds {
        ..90.0 => format!("{seconds:.0} seconds"),
        ..5400.0 => format!("{:.0} minutes", seconds / 60.0),
        ..129_600.0 => format!("{:.1} hours", seconds / 3600.0),
        _ => format!("{:.1} days", seconds / 86_400.0),
    }
}
