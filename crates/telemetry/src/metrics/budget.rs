//! The request budget, and what stops the work.

use prometheus::{Counter, Gauge, IntCounter, IntGauge, IntGaugeVec, Result};

use super::Metrics;
use super::register::Register;
use ::budget::Figures;
use common::job::Step;
use common::service::Service;

#[derive(Debug)]
pub(super) struct BudgetSeries {
    configured: IntGauge,
    share: Gauge,
    used: IntGauge,
    members: IntGauge,
    waiting: Counter,
    portal_calls: IntCounter,
    paused: IntGaugeVec,
    quiet_hours: IntGauge,
    breakers: IntGaugeVec,
    slowed: IntGaugeVec,
}

impl BudgetSeries {
    pub(super) fn new(register: &Register) -> Result<Self> {
        let series = Self {
            configured: register.gauge(
                "connector_budget_configured_requests",
                "Portal calls in five minutes that all processes of the address may make together.",
            )?,
            share: register.fraction(
                "connector_budget_share_requests",
                "Portal calls in five minutes that are an equal part for this process now.",
            )?,
            used: register.gauge(
                "connector_budget_used_requests",
                "Portal calls that this process made in the last five minutes.",
            )?,
            members: register.gauge("connector_budget_members", "Known processes that share the address.")?,
            waiting: register.seconds(
                "connector_budget_waiting_seconds_total",
                "How long portal calls waited for the budget.",
            )?,
            portal_calls: register.counter("connector_portal_requests_total", "Portal calls made.")?,
            paused: register.gauges(
                "connector_paused",
                "Whether nothing is done, and who wants it so.",
                "by",
            )?,
            quiet_hours: register
                .gauge("connector_quiet_period", "Whether less is done at this time of day.")?,
            breakers: register.gauges(
                "connector_breaker_open",
                "Whether a service counts as out.",
                "service",
            )?,
            slowed: register.gauges(
                "connector_step_slowed",
                "Whether a step fails job after job and is taken one job at a time.",
                "step",
            )?,
        };
        for by in ["bynder", "imatag", "operator"] {
            series.paused.with_label_values(&[by]);
        }
        for service in Service::ALL {
            series.breakers.with_label_values(&[service.label()]);
        }
        for step in Step::LATEST_FIRST {
            series.slowed.with_label_values(&[step.name()]);
        }
        Ok(series)
    }
}

impl Metrics {
    /// Sets the configured budget, in portal calls per five minutes.
    pub fn set_budget(&self, requests: u32) {
        self.series.budget.configured.set(requests.into());
    }

    /// Sets the state of the request budget.
    pub fn budget_measured(&self, figures: &Figures) {
        let series = &self.series.budget;
        series.share.set(figures.share.round());
        series.used.set(figures.lately as i64);
        series.members.set(figures.members as i64);
        series.waiting.inc_by((figures.waited.as_secs_f64() - series.waiting.get()).max(0.0));
        series.portal_calls.inc_by(figures.calls.saturating_sub(series.portal_calls.get()));
        series.paused.with_label_values(&["bynder"]).set(figures.silence.is_some().into());
        series.paused.with_label_values(&["operator"]).set(figures.operator_pause.into());
    }

    /// Sets whether Imatag has asked this process to wait.
    pub fn imatag_paused(&self, paused: bool) {
        self.series.budget.paused.with_label_values(&["imatag"]).set(paused.into());
    }

    /// Sets whether quiet hours apply.
    pub fn quiet_hours(&self, quiet: bool) {
        self.series.budget.quiet_hours.set(quiet.into());
    }

    /// Sets whether a step runs only one job at a time.
    pub fn step_slowed(&self, step: Step, slowed: bool) {
        self.series.budget.slowed.with_label_values(&[step.name()]).set(slowed.into());
    }

    /// Sets whether a service's breaker is open.
    pub fn breaker_open(&self, service: Service, open: bool) {
        self.series.budget.breakers.with_label_values(&[service.label()]).set(open.into());
    }
}
