//! Runs of the producer.

use std::time::Duration;

use jiff::Timestamp;
use prometheus::{HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Result};
use strum::{IntoStaticStr, VariantArray};

use super::Metrics;
use super::register::Register;
use ledger::RunMode;

/// Seconds, from a run that finds nothing to a walk over millions of assets.
const RUN_SECONDS: [f64; 9] = [1.0, 5.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0];

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum RunResult {
    /// All assets were considered.
    Done,
    /// As `Done`, by a delta run that found nothing to do.
    Empty,
    /// A limit ended it.
    Limited,
    /// It was asked to stop.
    Stopped,
    /// It failed; the next run resumes it.
    Failed,
}

impl RunResult {
    /// The result's name in metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Why an asset got no job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum SkippedBy {
    /// It is protected.
    Unchanged,
    /// A filter excludes it.
    Filter,
    /// A person opted it out.
    OptedOut,
    /// A job for it is under way.
    JobOpen,
    /// The listing has not caught up with what a job saved.
    ListingBehind,
    /// What was saved waits for a person's approval.
    AwaitingApproval,
    /// It failed at this version before.
    FailedBefore,
    /// Bynder does not show its version.
    VersionUnknown,
    /// It is a copy of another asset, and a person changed its file.
    Copy,
    /// Bynder's data on it cannot be parsed.
    Unreadable,
    /// It has not been requested.
    NotAskedFor,
    /// Its extension names a type that the wire profile does not list.
    Unsupported,
    /// Newer changes go first.
    Postponed,
}

impl SkippedBy {
    /// The reason's name in metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

#[derive(Debug)]
pub(super) struct RunSeries {
    ended: IntCounterVec,
    durations: HistogramVec,
    succeeded_at: IntGaugeVec,
    cursor: IntGauge,
    held: IntGauge,
    interval: IntGauge,
    /// Without series for a limit that is not configured.
    limits: IntGaugeVec,
    listed: IntCounter,
    selected: IntCounter,
    skipped: IntCounterVec,
}

impl RunSeries {
    pub(super) fn new(register: &Register) -> Result<Self> {
        let series = Self {
            ended: register.counters(
                "connector_runs_total",
                "Runs over the library, by result.",
                &["mode", "result"],
            )?,
            durations: register.histograms(
                "connector_run_duration_seconds",
                "How long runs took to list and publish.",
                &["mode"],
                &RUN_SECONDS,
            )?,
            succeeded_at: register.gauges(
                "connector_run_last_success_timestamp_seconds",
                "When a run last looked at everything; 0 if none did since the process started.",
                "mode",
            )?,
            cursor: register.gauge(
                "connector_cursor_timestamp_seconds",
                "Up to when changes of the library are known; 0 before the first finished run.",
            )?,
            held: register.gauge(
                "connector_held_assets",
                "Assets that match the filters since these were widened, and wait until they are asked for.",
            )?,
            interval: register.gauge(
                "connector_run_interval_seconds",
                "The longest time between two runs by the schedule; 0 without one.",
            )?,
            limits: register.gauges(
                "connector_limit_remaining_assets",
                "Jobs that may still be published under a limit.",
                "limit",
            )?,
            listed: register.counter("connector_assets_listed_total", "Rows of the listing looked at.")?,
            selected: register
                .counter("connector_assets_selected_total", "Assets that were found to need protection.")?,
            skipped: register.counters(
                "connector_assets_skipped_total",
                "Assets that got no job, by reason.",
                &["reason"],
            )?,
        };
        for mode in RunMode::VARIANTS {
            series.durations.with_label_values(&[mode.name()]);
            series.succeeded_at.with_label_values(&[mode.name()]);
            for result in RunResult::VARIANTS {
                series.ended.with_label_values(&[mode.name(), result.name()]);
            }
        }
        for reason in SkippedBy::VARIANTS {
            series.skipped.with_label_values(&[reason.name()]);
        }
        Ok(series)
    }
}

impl Metrics {
    /// Counts a run, and records its duration.
    pub fn run_ended(&self, mode: RunMode, result: RunResult, took: Duration) {
        let series = &self.series.runs;
        series.ended.with_label_values(&[mode.name(), result.name()]).inc();
        series.durations.with_label_values(&[mode.name()]).observe(took.as_secs_f64());
        if matches!(result, RunResult::Done | RunResult::Empty) {
            series.succeeded_at.with_label_values(&[mode.name()]).set(Timestamp::now().as_second());
        }
    }

    /// Sets the cursor: all changes before it have been considered.
    pub fn set_cursor(&self, cursor: Option<Timestamp>) {
        self.series.runs.cursor.set(cursor.map_or(0, Timestamp::as_second));
    }

    /// Sets the longest time between two scheduled runs.
    pub fn run_interval_is(&self, interval: Duration) {
        self.series.runs.interval.set(i64::try_from(interval.as_secs()).unwrap_or(i64::MAX));
    }

    /// Sets how many jobs the limit of this name leaves room for.
    pub fn limit_leaves(&self, limit: &'static str, jobs: u64) {
        self.series.runs.limits.with_label_values(&[limit]).set(i64::try_from(jobs).unwrap_or(i64::MAX));
    }

    /// Sets the number of assets that are held until they are requested.
    pub fn held_is(&self, assets: u64) {
        self.series.runs.held.set(i64::try_from(assets).unwrap_or(i64::MAX));
    }

    /// Counts rows of the listing.
    pub fn assets_listed(&self, rows: u64) {
        self.series.runs.listed.inc_by(rows);
    }

    /// Counts an asset that needs protection.
    pub fn asset_selected(&self) {
        self.series.runs.selected.inc();
    }

    /// Counts an asset that gets no job.
    pub fn asset_skipped(&self, by: SkippedBy) {
        self.series.runs.skipped.with_label_values(&[by.name()]).inc();
    }
}
