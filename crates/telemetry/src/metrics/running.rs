//! Running steps, and how long they have run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::{IntGauge, IntGaugeVec, Result};
use tokio::time::Instant;

use super::register::Register;
use super::{Metrics, StepResult};
use common::job::{Job, Step};

/// Time allowed after the deadline: taking back the marker and settling take a few requests.
const ENDING: Duration = Duration::from_mins(5);

#[derive(Debug)]
pub(super) struct RunningSeries {
    in_flight: IntGauge,
    oldest: IntGaugeVec,
    deadline: IntGauge,
    steps: Arc<Mutex<Steps>>,
}

#[derive(Debug, Default)]
struct Steps {
    next: u64,
    running: BTreeMap<u64, Started>,
}

#[derive(Debug)]
struct Started {
    at: Instant,
    step: Step,
    job: String,
}

/// A running step; it is counted as running until this is dropped.
#[derive(Debug)]
pub struct RunningStep {
    metrics: Metrics,
    key: u64,
    at: Instant,
    step: Step,
}

impl RunningSeries {
    pub(super) fn new(register: &Register) -> Result<Self> {
        let oldest = register.gauges(
            "connector_oldest_step_seconds",
            "How long the oldest step under way has run; 0 for none.",
            "step",
        )?;
        let deadline = register.gauge(
            "connector_step_deadline_seconds",
            "After how long a step is ended (worker.step_deadline); 0 in a process that does no jobs.",
        )?;
        let in_flight = register.gauge("connector_jobs_in_flight", "Jobs that this process works on.")?;
        for step in Step::LATEST_FIRST {
            oldest.with_label_values(&[step.name()]);
        }
        Ok(Self { in_flight, oldest, deadline, steps: Arc::default() })
    }

    /// Measures the age of the oldest step of each kind.
    pub(super) fn measure(&self) {
        let steps = self.lock();
        for step in Step::LATEST_FIRST {
            // Keys ascend with time.
            let oldest = steps.running.values().find(|started| started.step == step);
            let seconds = oldest.map_or(0, |started| started.at.elapsed().as_secs());
            self.oldest.with_label_values(&[step.name()]).set(i64::try_from(seconds).unwrap_or(i64::MAX));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Steps> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Metrics {
    /// Sets the deadline of a step.
    pub fn step_deadline_is(&self, deadline: Duration) {
        let seconds = i64::try_from(deadline.as_secs()).unwrap_or(i64::MAX);
        self.series.running.deadline.set(seconds);
    }

    /// Counts a step that starts.
    pub fn step_started(&self, job: &Job) -> RunningStep {
        self.taken(job);
        let series = &self.series.running;
        series.in_flight.inc();
        let (at, step) = (Instant::now(), job.step);
        let mut steps = series.lock();
        let key = steps.next;
        steps.next += 1;
        let job = format!("job {} of asset {}", job.job_id, job.asset_id);
        steps.running.insert(key, Started { at, step, job });
        RunningStep { metrics: self.clone(), key, at, step }
    }

    /// The steps that still run after their deadline, one line per step: something that cannot be cancelled blocks them.
    pub fn stuck_steps(&self) -> Vec<String> {
        let series = &self.series.running;
        let Ok(deadline @ 1..) = u64::try_from(series.deadline.get()) else { return Vec::new() };
        let deadline = Duration::from_secs(deadline);
        let stuck = |started: &&Started| started.at.elapsed() > deadline.saturating_add(ENDING);
        let line = |Started { at, step, job }: &Started| {
            let (step, ran, deadline) = (step.name(), at.elapsed().as_secs(), deadline.as_secs());
            format!("the step {step} of {job} has run for {ran} s; worker.step_deadline is {deadline} s")
        };
        series.lock().running.values().filter(stuck).map(line).collect()
    }
}

impl RunningStep {
    /// Records how the step ended.
    pub fn ended(self, result: StepResult) {
        self.metrics.step_took(self.step, result, self.at.elapsed());
    }
}

impl Drop for RunningStep {
    fn drop(&mut self) {
        let series = &self.metrics.series.running;
        series.in_flight.dec();
        series.lock().running.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use common::job::{Lane, RunId};

    fn job() -> Job {
        Job::new(RunId("r".to_owned()), "A".parse().unwrap(), "", Lane::Fresh, 1, None, Timestamp::now())
    }

    fn has(metrics: &Metrics, line: &str) -> bool {
        metrics.render().lines().any(|written| written == line)
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_step_under_way_is_measured_whenever_metrics_are_read() {
        let metrics = Metrics::new();
        let first = metrics.step_started(&job());
        tokio::time::advance(Duration::from_secs(7)).await;
        let second = metrics.step_started(&job());
        tokio::time::advance(Duration::from_secs(3)).await;
        assert!(has(&metrics, "connector_oldest_step_seconds{step=\"submit\"} 10"));
        assert!(has(&metrics, "connector_oldest_step_seconds{step=\"save\"} 0"));
        first.ended(StepResult::Forward);
        assert!(has(&metrics, "connector_oldest_step_seconds{step=\"submit\"} 3"));
        assert!(has(&metrics, "connector_jobs_in_flight 1"));
        drop(second);
        assert!(has(&metrics, "connector_oldest_step_seconds{step=\"submit\"} 0"));
        assert!(has(&metrics, "connector_jobs_in_flight 0"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_outlives_its_deadline_is_stuck_once_it_had_the_time_to_be_ended() {
        let metrics = Metrics::new();
        let step = metrics.step_started(&job());
        tokio::time::advance(Duration::from_hours(48)).await;
        assert!(metrics.stuck_steps().is_empty(), "this process knows no deadline");
        metrics.step_deadline_is(Duration::from_hours(48));
        tokio::time::advance(ENDING).await;
        assert!(metrics.stuck_steps().is_empty());
        tokio::time::advance(Duration::from_secs(1)).await;
        let lines = metrics.stuck_steps();
        assert!(
            lines[0].contains("the step submit of job ") && lines[0].contains("of asset A has run for"),
            "{lines:?}"
        );
        drop(step);
        assert!(metrics.stuck_steps().is_empty());
    }
}
