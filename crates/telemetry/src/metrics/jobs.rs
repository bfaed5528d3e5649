//! Jobs and their steps.

use std::time::Duration;

use jiff::Timestamp;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, Result};
use strum::{IntoStaticStr, VariantArray};

use super::Metrics;
use super::register::Register;
use common::check::Obstacle;
use common::job::{Job, Lane, Step};
use common::outcome::{FailureClass, Outcome, OutcomeEvent};

/// Seconds: from a poll of a pending import to the transfer of a long film.
const STEP_SECONDS: [f64; 12] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 30.0, 60.0, 180.0, 600.0];
/// Seconds: from an idle fleet to a backlog of days.
const JOB_SECONDS: [f64; 12] =
    [1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 14_400.0, 43_200.0, 86_400.0, 259_200.0];

/// Seconds: an objective of five minutes is a bound.
const EXPOSURE_SECONDS: [f64; 12] =
    [15.0, 30.0, 45.0, 60.0, 90.0, 120.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0, 604_800.0];

/// How a step of a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum StepResult {
    /// The job continues with another step.
    Forward,
    /// The job is due later.
    Wait,
    /// The job ended.
    Finish,
    /// The job failed.
    Fail,
    /// The process stopped before the step ended.
    Abandoned,
}

impl StepResult {
    /// The result's name in metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

#[derive(Debug)]
pub(super) struct JobSeries {
    ended: IntCounterVec,
    failures: IntCounterVec,
    unchecked: IntCounterVec,
    published: IntCounterVec,
    paid: IntCounter,
    slots: IntGauge,
    queue_wait: Histogram,
    end_to_end: Histogram,
    exposure: HistogramVec,
    steps: IntCounterVec,
    step_durations: HistogramVec,
    attempts: IntCounterVec,
}

impl JobSeries {
    pub(super) fn new(register: &Register) -> Result<Self> {
        let series = Self {
            ended: register.counters("connector_jobs_total", "Jobs that ended, by outcome.", &["outcome"])?,
            failures: register.counters(
                "connector_jobs_failed_total",
                "Jobs that failed, by class.",
                &["class"],
            )?,
            unchecked: register.counters(
                "connector_unchecked_results_total",
                "Results of which a check could not be made, by each reason.",
                &["reason"],
            )?,
            published: register.counters(
                "connector_jobs_published_total",
                "Jobs published, by lane.",
                &["lane"],
            )?,
            paid: register.counter(
                "connector_watermarks_paid_total",
                "Files that Imatag accepted for a watermark, each of which is paid for.",
            )?,
            slots: register.gauge("connector_worker_slots", "Jobs that this process may work on at once.")?,
            queue_wait: register.histogram(
                "connector_job_queue_wait_seconds",
                "From the publishing of a job until a worker took it for the first time.",
                &JOB_SECONDS,
            )?,
            end_to_end: register.histogram(
                "connector_job_end_to_end_seconds",
                "From the publishing of a job to its outcome.",
                &JOB_SECONDS,
            )?,
            exposure: register.histograms(
                "connector_exposure_seconds",
                "From the adding of a version in the portal to its protection.",
                &["lane"],
                &EXPOSURE_SECONDS,
            )?,
            steps: register.counters(
                "connector_steps_total",
                "Steps done, by result.",
                &["step", "result"],
            )?,
            step_durations: register.histograms(
                "connector_step_duration_seconds",
                "How long steps took.",
                &["step"],
                &STEP_SECONDS,
            )?,
            attempts: register.counters(
                "connector_step_retries_total",
                "Steps that failed and used up an attempt of their job.",
                &["step"],
            )?,
        };
        series.start_at_zero();
        Ok(series)
    }

    /// Accesses every series, which makes the client create it.
    fn start_at_zero(&self) {
        for outcome in Outcome::NAMES {
            self.ended.with_label_values(&[outcome]);
        }
        for class in FailureClass::ALL {
            self.failures.with_label_values(&[class.name()]);
        }
        for obstacle in Obstacle::ALL {
            self.unchecked.with_label_values(&[obstacle.name()]);
        }
        for lane in [Lane::Fresh, Lane::Backlog] {
            self.published.with_label_values(&[lane.name()]);
            self.exposure.with_label_values(&[lane.name()]);
        }
        for step in Step::LATEST_FIRST {
            self.step_durations.with_label_values(&[step.name()]);
            self.attempts.with_label_values(&[step.name()]);
            for result in StepResult::VARIANTS {
                self.steps.with_label_values(&[step.name(), result.name()]);
            }
        }
    }
}

impl Metrics {
    /// Sets the number of jobs that this process runs concurrently.
    pub fn set_slots(&self, slots: usize) {
        self.series.jobs.slots.set(slots as i64);
    }

    pub fn job_published(&self, lane: Lane) {
        self.series.jobs.published.with_label_values(&[lane.name()]).inc();
    }

    /// Counts a file that Imatag accepted for a watermark.
    pub fn watermark_paid(&self) {
        self.series.jobs.paid.inc();
    }

    /// Notes for how long a version was unprotected.
    pub fn version_protected(&self, lane: Lane, exposed: Duration) {
        self.series.jobs.exposure.with_label_values(&[lane.name()]).observe(exposed.as_secs_f64());
    }

    pub(super) fn taken(&self, job: &Job) {
        if is_untouched(job) {
            self.series.jobs.queue_wait.observe(age(job.created_at).as_secs_f64());
        }
    }

    pub(super) fn step_took(&self, step: Step, result: StepResult, took: Duration) {
        let series = &self.series.jobs;
        series.steps.with_label_values(&[step.name(), result.name()]).inc();
        series.step_durations.with_label_values(&[step.name()]).observe(took.as_secs_f64());
    }

    /// Counts a failed step that used up an attempt.
    pub fn attempt_used(&self, step: Step) {
        self.series.jobs.attempts.with_label_values(&[step.name()]).inc();
    }

    /// Counts a job's outcome, and the time since its publication.
    pub fn job_ended(&self, event: &OutcomeEvent, published: Timestamp) {
        let series = &self.series.jobs;
        series.ended.with_label_values(&[event.outcome.name()]).inc();
        series.end_to_end.observe(age(published).as_secs_f64());
        if let Outcome::Failed(failure) = &event.outcome {
            series.failures.with_label_values(&[failure.class.name()]).inc();
        }
        for obstacle in event.unchecked.obstacles() {
            series.unchecked.with_label_values(&[obstacle.name()]).inc();
        }
    }
}

/// Whether no worker has had the job before; waits and lost deliveries would have left traces in it.
fn is_untouched(job: &Job) -> bool {
    job.step == Step::Submit
        && !job.suspect
        && job.attempt == 0
        && job.waited_ms == 0
        && job.restarts == 0
        && job.history.is_empty()
}

/// The time since then; zero if it is in the future, because the clocks of machines differ.
fn age(since: Timestamp) -> Duration {
    Duration::try_from(Timestamp::now().duration_since(since)).unwrap_or_default()
}
