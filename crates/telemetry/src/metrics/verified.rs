//! The result of the latest verification, from the producer's state directory.

use prometheus::{IntGauge, IntGaugeVec, Result};

use super::Metrics;
use super::register::Register;
use ledger::Verification;

#[derive(Debug)]
pub(super) struct VerifiedSeries {
    /// Without series until there was a verification: a 0 would say that it found nothing broken.
    assets: IntGaugeVec,
    at: IntGauge,
}

impl VerifiedSeries {
    pub(super) fn new(register: &Register) -> Result<Self> {
        Ok(Self {
            assets: register.gauges(
                "connector_verified_assets",
                "Protected assets, by whether the last verification found what the marker says.",
                "result",
            )?,
            at: register.gauge(
                "connector_verified_timestamp_seconds",
                "When the last verification ended; 0 if there was none.",
            )?,
        })
    }
}

impl Metrics {
    /// Sets the result of comparing the library with its markers.
    pub fn verified(&self, verification: &Verification) {
        let VerifiedSeries { assets, at } = &self.series.verified;
        assets.with_label_values(&["held"]).set(verification.held as i64);
        assets.with_label_values(&["broken"]).set(verification.broken as i64);
        assets.with_label_values(&["unchecked"]).set(verification.unchecked as i64);
        at.set(verification.at.as_second());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verification_shows_what_held_what_broke_and_when() {
        let verification = Verification {
            at: "2026-01-02T03:04:05Z".parse().unwrap(),
            listed: 9,
            protected: 7,
            held: 4,
            hashed: 1,
            broken: 2,
            unchecked: 1,
            other_version: 0,
            opted_out: 0,
            unprotected: 2,
            sample: 0.1,
            portal_requests: 3,
            bytes_downloaded: 5,
        };
        let metrics = Metrics::new();
        assert!(!metrics.render().contains("connector_verified_assets"), "nothing was verified");
        metrics.verified(&verification);
        let text = metrics.render();
        for line in [
            "connector_verified_assets{result=\"held\"} 4",
            "connector_verified_assets{result=\"broken\"} 2",
            "connector_verified_assets{result=\"unchecked\"} 1",
            "connector_verified_timestamp_seconds 1767323045",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }
}
