//! How much of the library is protected, from the producer's state directory.

use prometheus::{IntGauge, IntGaugeVec, Result};

use super::Metrics;
use super::register::Register;
use ledger::{Library, LibraryCounts};

#[derive(Debug)]
pub(super) struct LibrarySeries {
    /// Without series until a walk has counted: a 0 would say that nothing is protected.
    assets: IntGaugeVec,
    at: IntGauge,
}

impl LibrarySeries {
    pub(super) fn new(register: &Register) -> Result<Self> {
        Ok(Self {
            assets: register.gauges(
                "connector_library_assets",
                "Assets of the library by state, as the last walk over all of it counted.",
                "state",
            )?,
            at: register.gauge(
                "connector_library_timestamp_seconds",
                "When a walk last counted the whole library; 0 if none has.",
            )?,
        })
    }
}

impl Metrics {
    /// Sets how many assets of the library are in which state.
    pub fn library_counted(&self, library: &Library) {
        let LibrarySeries { assets, at } = &self.series.library;
        let LibraryCounts { protected, unprotected, opted_out, failed, unsupported, filtered_out } =
            library.counts;
        for (state, count) in [
            ("protected", protected),
            ("unprotected", unprotected),
            ("opted_out", opted_out),
            ("failed", failed),
            ("unsupported", unsupported),
            ("filtered_out", filtered_out),
        ] {
            assets.with_label_values(&[state]).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        at.set(library.at.as_second());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::job::RunId;

    #[test]
    fn a_library_that_was_never_counted_shows_no_count() {
        let metrics = Metrics::new();
        assert!(!metrics.render().contains("connector_library_assets"));
        assert!(metrics.render().contains("\nconnector_library_timestamp_seconds 0\n"));
        let counts = LibraryCounts { protected: 7, filtered_out: 2, ..LibraryCounts::default() };
        let at = "2026-01-02T03:04:05Z".parse().unwrap();
        metrics.library_counted(&Library { run: RunId("r".to_owned()), at, counts });
        let text = metrics.render();
        for line in [
            "connector_library_assets{state=\"protected\"} 7",
            "connector_library_assets{state=\"unprotected\"} 0",
            "connector_library_assets{state=\"filtered_out\"} 2",
            "connector_library_timestamp_seconds 1767323045",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }
}
