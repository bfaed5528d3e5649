//! Creates series, so that all series of a kind are created in the same way.

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{
    Counter, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, Result,
};

/// The series of one process.
#[derive(Debug, Default)]
pub(super) struct Register(Registry);

impl Register {
    pub(super) fn gather(&self) -> Vec<MetricFamily> {
        self.0.gather()
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> Result<IntCounter> {
        self.add(IntCounter::new(name, help)?)
    }

    pub(super) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    /// A counter of seconds, with fractions.
    pub(super) fn seconds(&self, name: &str, help: &str) -> Result<Counter> {
        self.add(Counter::new(name, help)?)
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> Result<IntGauge> {
        self.add(IntGauge::new(name, help)?)
    }

    pub(super) fn gauges(&self, name: &str, help: &str, label: &str) -> Result<IntGaugeVec> {
        self.gauges_by(name, help, &[label])
    }

    pub(super) fn gauges_by(&self, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec> {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn fraction(&self, name: &str, help: &str) -> Result<Gauge> {
        self.add(Gauge::new(name, help)?)
    }

    pub(super) fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram> {
        self.add(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?)
    }

    pub(super) fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramVec> {
        self.add(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)?)
    }

    pub(super) fn add<T: Collector + Clone + 'static>(&self, collector: T) -> Result<T> {
        self.0.register(Box::new(collector.clone()))?;
        Ok(collector)
    }

    pub(super) fn remove(&self, collector: &(impl Collector + Clone + 'static)) -> Result<()> {
        self.0.unregister(Box::new(collector.clone()))
    }

    /// Adds a collector that measures when it is collected.
    pub(super) fn add_measuring(&self, collector: impl Collector + 'static) -> Result<()> {
        self.0.register(Box::new(collector))
    }
}
