//! What is counted and measured, for Prometheus. The only place that knows its client library.
//!
//! Every label takes its values from a closed set and every series starts at 0: a first failure is then a step from
//! 0 to 1, which an alert can see, and not a series that was never there.

use std::sync::Arc;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Counter, Gauge, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

use crate::budget::Figures;
use crate::job::{Lane, Step};
use crate::outcome::{FailureClass, Outcome};
use crate::queue::Depth;
use crate::service::Service;

/// Seconds, from a look at an import that is not there yet to the transfer of a long film.
const STEP_SECONDS: [f64; 12] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 30.0, 60.0, 180.0, 600.0];

/// What became of a job at the end of one of its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepResult {
    /// It goes on to another step.
    Forward,
    /// It comes back later.
    Wait,
    /// It is over.
    Finish,
    /// It failed for good.
    Fail,
    /// The process stopped before the step's end.
    Abandoned,
}

impl StepResult {
    /// Every result, so that metrics can start at zero.
    pub const ALL: [Self; 5] = [Self::Forward, Self::Wait, Self::Finish, Self::Fail, Self::Abandoned];

    /// The result's name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Wait => "wait",
            Self::Finish => "finish",
            Self::Fail => "fail",
            Self::Abandoned => "abandoned",
        }
    }
}

/// The metrics of this process; clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    series: Arc<Series>,
}

#[derive(Debug)]
struct Series {
    registry: Registry,
    jobs: IntCounterVec,
    failures: IntCounterVec,
    steps: IntCounterVec,
    step_durations: HistogramVec,
    in_flight: IntGauge,
    published: IntCounterVec,
    queues: IntGaugeVec,
    broker_connected: IntGauge,
    broker_reconnects: IntCounter,
    broker_unknown_outcomes: IntCounter,
    breakers: IntGaugeVec,
    budget_share: Gauge,
    budget_used: IntGauge,
    budget_members: IntGauge,
    budget_waiting: Counter,
    portal_calls: IntCounter,
    paused: IntGaugeVec,
}

impl Metrics {
    /// Every series at 0, and the build's version.
    pub fn new() -> Self {
        match Series::new() {
            Ok(series) => Self { series: Arc::new(series) },
            Err(error) => unreachable!("names and labels are constants: {error}"),
        }
    }

    /// A job came to its end.
    pub fn job_ended(&self, outcome: &Outcome) {
        self.series.jobs.with_label_values(&[outcome.name()]).inc();
        if let Outcome::Failed(failure) = outcome {
            self.series.failures.with_label_values(&[failure.class.name()]).inc();
        }
    }

    /// A job was taken to do its next step; [`Metrics::step_ended`] has to follow.
    pub fn step_started(&self) {
        self.series.in_flight.inc();
    }

    /// The step of a job that was taken came to an end.
    pub fn step_ended(&self, step: Step, result: StepResult, took: Duration) {
        self.series.in_flight.dec();
        self.series.steps.with_label_values(&[step.name(), result.name()]).inc();
        self.series.step_durations.with_label_values(&[step.name()]).observe(took.as_secs_f64());
    }

    /// A job was published.
    pub fn job_published(&self, lane: Lane) {
        self.series.published.with_label_values(&[lane.name()]).inc();
    }

    /// The queue was asked how many jobs are where.
    pub fn queue_measured(&self, depth: &Depth) {
        for (queue, jobs) in queues(depth) {
            self.series.queues.with_label_values(&[queue]).set(jobs as i64);
        }
    }

    /// The connection to the broker stands, or does not any more.
    pub fn broker_connected(&self, connected: bool) {
        self.series.broker_connected.set(connected.into());
    }

    /// The connection to the broker was lost and stands again.
    pub fn broker_reconnected(&self) {
        self.series.broker_reconnects.inc();
    }

    /// The connection was lost before the broker said whether it took a message.
    pub fn broker_outcome_unknown(&self) {
        self.series.broker_unknown_outcomes.inc();
    }

    /// The service's breaker opened or closed.
    pub fn breaker_open(&self, service: Service, open: bool) {
        self.series.breakers.with_label_values(&[service.label()]).set(open.into());
    }

    /// How the request budget stands.
    pub fn budget_measured(&self, figures: &Figures) {
        let series = &self.series;
        series.budget_share.set(figures.share.round());
        series.budget_used.set(figures.lately as i64);
        series.budget_members.set(figures.members as i64);
        series.budget_waiting.inc_by((figures.waited.as_secs_f64() - series.budget_waiting.get()).max(0.0));
        series.portal_calls.inc_by(figures.calls.saturating_sub(series.portal_calls.get()));
        series.paused.with_label_values(&["bynder"]).set(figures.silence.is_some().into());
        series.paused.with_label_values(&["operator"]).set(figures.operator_pause.into());
    }

    /// Everything in Prometheus' text format.
    pub fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.series.registry.gather()).unwrap_or_else(|error| {
            tracing::error!(%error, "the metrics cannot be written");
            String::new()
        })
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Series {
    fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let counters = |name, help, labels: &[&str]| {
            registered(&registry, IntCounterVec::new(Opts::new(name, help), labels)?)
        };
        let counter = |name, help| registered(&registry, IntCounter::new(name, help)?);
        let gauges =
            |name, help, label| registered(&registry, IntGaugeVec::new(Opts::new(name, help), &[label])?);
        let gauge = |name, help| registered(&registry, IntGauge::new(name, help)?);
        let durations = HistogramOpts::new("connector_step_duration_seconds", "How long steps took.")
            .buckets(STEP_SECONDS.into());
        let build = gauges("connector_build_info", "1, with the build's version.", "version")?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        let series = Self {
            jobs: counters("connector_jobs_total", "Jobs that ended, by outcome.", &["outcome"])?,
            failures: counters("connector_jobs_failed_total", "Jobs that failed, by class.", &["class"])?,
            steps: counters("connector_steps_total", "Steps done, by result.", &["step", "result"])?,
            step_durations: registered(&registry, HistogramVec::new(durations, &["step"])?)?,
            in_flight: gauge("connector_jobs_in_flight", "Jobs that this process works on.")?,
            published: counters("connector_jobs_published_total", "Jobs published, by lane.", &["lane"])?,
            queues: gauges("connector_queue_jobs", "Jobs in each queue when last looked at.", "queue")?,
            broker_connected: gauge("connector_broker_connected", "Whether the broker is connected.")?,
            broker_reconnects: counter("connector_broker_reconnects_total", "Connections made again.")?,
            broker_unknown_outcomes: counter(
                "connector_broker_unknown_outcomes_total",
                "Messages of which the broker did not say whether it took them.",
            )?,
            breakers: gauges("connector_breaker_open", "Whether a service counts as out.", "service")?,
            budget_share: registered(
                &registry,
                Gauge::new(
                    "connector_budget_share_requests",
                    "Portal calls in five minutes that this process may make now.",
                )?,
            )?,
            budget_used: gauge(
                "connector_budget_used_requests",
                "Portal calls that this process made in the last five minutes.",
            )?,
            budget_members: gauge("connector_budget_members", "Known processes that share the address.")?,
            budget_waiting: registered(
                &registry,
                Counter::new(
                    "connector_budget_waiting_seconds_total",
                    "How long portal calls waited for the budget.",
                )?,
            )?,
            portal_calls: counter("connector_portal_requests_total", "Portal calls made.")?,
            paused: gauges("connector_paused", "Whether nothing is done, and who wants it so.", "by")?,
            registry: registry.clone(),
        };
        series.start_at_zero();
        Ok(series)
    }

    /// Naming a series is what makes it appear.
    fn start_at_zero(&self) {
        for outcome in Outcome::NAMES {
            self.jobs.with_label_values(&[outcome]);
        }
        for class in FailureClass::ALL {
            self.failures.with_label_values(&[class.name()]);
        }
        for step in Step::LATEST_FIRST {
            self.step_durations.with_label_values(&[step.name()]);
            for result in StepResult::ALL {
                self.steps.with_label_values(&[step.name(), result.name()]);
            }
        }
        for lane in [Lane::Fresh, Lane::Backlog] {
            self.published.with_label_values(&[lane.name()]);
        }
        for (queue, _) in queues(&Depth::default()) {
            self.queues.with_label_values(&[queue]);
        }
        for service in Service::ALL {
            self.breakers.with_label_values(&[service.label()]);
        }
        for by in ["bynder", "operator"] {
            self.paused.with_label_values(&[by]);
        }
    }
}

fn registered<T: Collector + Clone + 'static>(registry: &Registry, metric: T) -> prometheus::Result<T> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

/// Jobs in flight are no queue: each process tells its own.
fn queues(depth: &Depth) -> [(&'static str, u64); 6] {
    [
        ("submit_fresh", depth.submit_fresh),
        ("submit_backlog", depth.submit_backlog),
        ("transfer", depth.transfer),
        ("save", depth.save),
        ("waiting", depth.waiting),
        ("failed", depth.failed),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::outcome::Failure;

    /// The series without the buckets of histograms: these are many, and follow from the count.
    fn lines(metrics: &Metrics) -> BTreeSet<String> {
        let text = metrics.render();
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.contains("_bucket{"));
        lines.map(str::to_owned).collect()
    }

    fn at_zero(name: &str, label: &str, values: &[&str]) -> Vec<String> {
        values.iter().map(|value| format!("{name}{{{label}=\"{value}\"}} 0")).collect()
    }

    fn outcomes() -> [Outcome; 6] {
        let failure = Failure { class: FailureClass::Refused, reason: String::new(), request_id: None };
        [
            Outcome::Watermarked { version: 2 },
            Outcome::AlreadyProtected,
            Outcome::Superseded { ours: None, theirs: 2 },
            Outcome::AwaitingApproval,
            Outcome::Gone,
            Outcome::Failed(failure),
        ]
    }

    #[test]
    fn every_series_is_there_from_the_start_and_no_other() {
        let steps = ["submit", "transfer", "save"];
        let mut expected: Vec<String> = [
            "connector_broker_connected 0",
            "connector_broker_reconnects_total 0",
            "connector_broker_unknown_outcomes_total 0",
            "connector_jobs_in_flight 0",
            "connector_budget_share_requests 0",
            "connector_budget_used_requests 0",
            "connector_budget_members 0",
            "connector_budget_waiting_seconds_total 0",
            "connector_portal_requests_total 0",
        ]
        .map(str::to_owned)
        .into();
        expected.push(format!("connector_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")));
        let outcomes =
            ["watermarked", "already_protected", "superseded", "awaiting_approval", "gone", "failed"];
        expected.extend(at_zero("connector_jobs_total", "outcome", &outcomes));
        let classes = FailureClass::ALL.map(FailureClass::name);
        expected.extend(at_zero("connector_jobs_failed_total", "class", &classes));
        expected.extend(at_zero("connector_step_duration_seconds_sum", "step", &steps));
        expected.extend(at_zero("connector_step_duration_seconds_count", "step", &steps));
        for result in ["forward", "wait", "finish", "fail", "abandoned"] {
            let name = format!("connector_steps_total{{result=\"{result}\",step=");
            expected.extend(steps.map(|step| format!("{name}\"{step}\"}} 0")));
        }
        expected.extend(at_zero("connector_jobs_published_total", "lane", &["fresh", "backlog"]));
        let queues = ["submit_fresh", "submit_backlog", "transfer", "save", "waiting", "failed"];
        expected.extend(at_zero("connector_queue_jobs", "queue", &queues));
        expected.extend(at_zero("connector_breaker_open", "service", &["bynder", "imatag"]));
        expected.extend(at_zero("connector_paused", "by", &["bynder", "operator"]));
        assert_eq!(lines(&Metrics::new()), expected.into_iter().collect());
    }

    #[test]
    fn every_event_moves_its_own_series_and_makes_no_new_one() {
        let metrics = Metrics::new();
        let before = lines(&metrics);
        for outcome in outcomes() {
            metrics.job_ended(&outcome);
        }
        metrics.step_started();
        metrics.step_started();
        metrics.step_ended(Step::Save, StepResult::Finish, Duration::from_secs(2));
        metrics.job_published(Lane::Backlog);
        metrics.queue_measured(&Depth { waiting: 7, in_flight: 3, ..Depth::default() });
        metrics.broker_connected(true);
        metrics.broker_reconnected();
        metrics.broker_outcome_unknown();
        metrics.breaker_open(Service::Imatag, true);
        metrics.budget_measured(&Figures {
            share: 800.4,
            lately: 5,
            calls: 7,
            waited: Duration::from_secs(9),
            silence: Some(Duration::from_secs(3)),
            operator_pause: false,
            members: 4,
        });
        let after = lines(&metrics);
        assert_eq!(after.len(), before.len());
        let moved: Vec<_> = after.difference(&before).map(String::as_str).collect();
        let expected = [
            "connector_breaker_open{service=\"imatag\"} 1",
            "connector_broker_connected 1",
            "connector_broker_reconnects_total 1",
            "connector_broker_unknown_outcomes_total 1",
            "connector_budget_members 4",
            "connector_budget_share_requests 800",
            "connector_budget_used_requests 5",
            "connector_budget_waiting_seconds_total 9",
            "connector_jobs_failed_total{class=\"refused\"} 1",
            "connector_jobs_in_flight 1",
            "connector_jobs_published_total{lane=\"backlog\"} 1",
            "connector_jobs_total{outcome=\"already_protected\"} 1",
            "connector_jobs_total{outcome=\"awaiting_approval\"} 1",
            "connector_jobs_total{outcome=\"failed\"} 1",
            "connector_jobs_total{outcome=\"gone\"} 1",
            "connector_jobs_total{outcome=\"superseded\"} 1",
            "connector_jobs_total{outcome=\"watermarked\"} 1",
            "connector_paused{by=\"bynder\"} 1",
            "connector_portal_requests_total 7",
            "connector_queue_jobs{queue=\"waiting\"} 7",
            "connector_step_duration_seconds_count{step=\"save\"} 1",
            "connector_step_duration_seconds_sum{step=\"save\"} 2",
            "connector_steps_total{result=\"finish\",step=\"save\"} 1",
        ];
        assert_eq!(moved, expected);
    }
}
