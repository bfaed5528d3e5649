//! The build, the process and its spool.

use prometheus::process_collector::ProcessCollector;
use prometheus::{IntGauge, Result};

use super::Metrics;
use super::register::Register;
use files::spool::Spool;

#[derive(Debug)]
pub(super) struct MachineSeries {
    spool_used: IntGauge,
    spool_capacity: IntGauge,
}

impl MachineSeries {
    pub(super) fn new(register: &Register) -> Result<Self> {
        let build = register.gauges("connector_build_info", "1, with the build's version.", "version")?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        register.add_measuring(ProcessCollector::for_self())?;
        Ok(Self {
            spool_used: register.gauge("connector_spool_used_bytes", "Space taken by files in transit.")?,
            spool_capacity: register
                .gauge("connector_spool_capacity_bytes", "Space that files in transit may take.")?,
        })
    }
}

impl Metrics {
    /// Sets the use of the spool.
    pub fn spool_measured(&self, spool: &Spool) {
        self.series.machine.spool_used.set(spool.used() as i64);
        self.series.machine.spool_capacity.set(spool.capacity() as i64);
    }
}
