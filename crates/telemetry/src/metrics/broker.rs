//! The broker and its queues.

use std::time::Duration;

use prometheus::{IntCounter, IntGauge, IntGaugeVec, Result};

use super::Metrics;
use super::register::Register;
use queue::Depth;

#[derive(Debug)]
pub(super) struct BrokerSeries {
    queues: IntGaugeVec,
    oldest: IntGauge,
    connected: IntGauge,
    reconnects: IntCounter,
    unknown_outcomes: IntCounter,
    rejected: IntCounter,
    newer: IntCounter,
}

impl BrokerSeries {
    pub(super) fn new(register: &Register) -> Result<Self> {
        let series = Self {
            queues: register.gauges(
                "connector_queue_jobs",
                "Jobs in each queue when last looked at.",
                "queue",
            )?,
            oldest: register.gauge(
                "connector_queue_oldest_job_age_seconds",
                "Since when the oldest job without an outcome has been published; 0 for none.",
            )?,
            connected: register.gauge("connector_broker_connected", "Whether the broker is connected.")?,
            reconnects: register.counter(
                "connector_broker_reconnects_total",
                "Connections made to the broker, the first one included.",
            )?,
            unknown_outcomes: register.counter(
                "connector_broker_unknown_outcomes_total",
                "Messages of which the broker did not say whether it took them.",
            )?,
            rejected: register.counter(
                "connector_messages_rejected_total",
                "Messages that nothing could be made of, and announcements that are not signed.",
            )?,
            newer: register.counter(
                "connector_messages_of_newer_release_total",
                "Times that a message of a newer release was sent to wait for a process that can read it.",
            )?,
        };
        for (queue, _) in queues(&Depth::default()) {
            series.queues.with_label_values(&[queue]);
        }
        Ok(series)
    }
}

impl Metrics {
    /// Sets the depth of the queue.
    pub fn queue_measured(&self, depth: &Depth) {
        for (queue, jobs) in queues(depth) {
            self.series.broker.queues.with_label_values(&[queue]).set(jobs as i64);
        }
    }

    /// Sets the age of the oldest job without an outcome.
    pub fn oldest_job_is(&self, age: Duration) {
        self.series.broker.oldest.set(i64::try_from(age.as_secs()).unwrap_or(i64::MAX));
    }

    /// Leaves out whether the broker is connected, in a process that has none: an alert watches it.
    pub fn leave_out_broker(&self) {
        // It fails only where the series is left out already.
        let _ = self.series.register.remove(&self.series.broker.connected);
    }

    /// Sets the total of messages set aside, and of delays of messages from a newer release.
    pub fn messages_not_taken(&self, rejected: u64, newer: u64) {
        let BrokerSeries { rejected: set_aside, newer: put_off, .. } = &self.series.broker;
        for (series, count) in [(set_aside, rejected), (put_off, newer)] {
            series.inc_by(count.saturating_sub(series.get()));
        }
    }

    /// Sets whether the broker is connected, and the total of publications with an unknown outcome.
    pub fn broker_measured(&self, connected: bool, unknown_outcomes: u64) {
        let series = &self.series.broker;
        if connected && series.connected.get() == 0 {
            series.reconnects.inc();
        }
        series.connected.set(connected.into());
        let counted = series.unknown_outcomes.get();
        series.unknown_outcomes.inc_by(unknown_outcomes.saturating_sub(counted));
    }
}

/// The queues, without jobs in flight: each process reports its own.
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
