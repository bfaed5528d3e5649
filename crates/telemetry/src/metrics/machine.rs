//! The build, the process and its spool.

use prometheus::process_collector::ProcessCollector;
use prometheus::{IntGauge, IntGaugeVec, Result};

use super::Metrics;
use super::register::Register;
use files::spool::Spool;

#[derive(Debug)]
pub(super) struct MachineSeries {
    build: IntGaugeVec,
    spool_used: IntGauge,
    spool_capacity: IntGauge,
    spool_free: IntGauge,
    state: IntGauge,
    state_free: IntGauge,
}

impl MachineSeries {
    pub(super) fn new(register: &Register) -> Result<Self> {
        register.add_measuring(ProcessCollector::for_self())?;
        Ok(Self {
            build: register.gauges_by(
                "connector_build_info",
                "1, with the release, the machine and the deployment.",
                &["version", "hostname", "deployment"],
            )?,
            spool_used: register.gauge("connector_spool_used_bytes", "Space taken by files in transit.")?,
            spool_capacity: register
                .gauge("connector_spool_capacity_bytes", "Space that files in transit may take.")?,
            spool_free: register
                .gauge("connector_spool_free_bytes", "Free space of the disk for files in transit.")?,
            state: register.gauge("connector_state_bytes", "Space taken by the state directory.")?,
            state_free: register
                .gauge("connector_state_free_bytes", "Free space of the state directory's disk.")?,
        })
    }
}

impl Metrics {
    /// Names the deployment that this process belongs to.
    pub fn deployment_is(&self, deployment: &str) {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let labels = [env!("CARGO_PKG_VERSION"), host.trim(), deployment];
        self.series.machine.build.with_label_values(&labels).set(1);
    }

    /// Sets the space that the state directory takes, and what its disk has left.
    pub fn state_measured(&self, used: u64, free: u64) {
        self.series.machine.state.set(bytes(used));
        self.series.machine.state_free.set(bytes(free));
    }

    /// Sets the use of the spool.
    pub fn spool_measured(&self, spool: &Spool) {
        let series = &self.series.machine;
        series.spool_used.set(bytes(spool.used()));
        series.spool_capacity.set(bytes(spool.capacity()));
        if let Ok(free) = spool.free() {
            series.spool_free.set(bytes(free));
        }
    }
}

fn bytes(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
