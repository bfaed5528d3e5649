//! Requests to the services, and their traffic.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec, Result};
use strum::VariantArray;

use super::Metrics;
use super::register::Register;
use http_client::{Direction, Operation, Peer, RequestObserver, StatusClass};

/// Seconds until the head of the response; includes sending a file, which can take long.
const REQUEST_SECONDS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

#[derive(Debug)]
pub(super) struct RequestSeries {
    ended: IntCounterVec,
    durations: HistogramVec,
    bytes: IntCounterVec,
}

impl RequestSeries {
    pub(super) fn new(register: &Register) -> Result<Self> {
        let series = Self {
            ended: register.counters(
                "connector_requests_total",
                "Requests to the services, by what they were for and how they were answered.",
                &["service", "operation", "status"],
            )?,
            durations: register.histograms(
                "connector_request_duration_seconds",
                "From the start of a request to the head of its answer.",
                &["service", "operation"],
                &REQUEST_SECONDS,
            )?,
            bytes: register.counters(
                "connector_transferred_bytes_total",
                "Bytes of files moved to and from the services, repetitions included.",
                &["service", "direction"],
            )?,
        };
        for operation in Operation::VARIANTS {
            let labels = [operation.peer().name(), operation.name()];
            series.durations.with_label_values(&labels);
            for class in StatusClass::VARIANTS {
                series.ended.with_label_values(&[labels[0], labels[1], class.name()]);
            }
        }
        for peer in [Peer::Storage, Peer::Imatag] {
            for direction in Direction::VARIANTS {
                series.bytes.with_label_values(&[peer.name(), direction.name()]);
            }
        }
        Ok(series)
    }
}

impl RequestObserver for Metrics {
    fn request_ended(&self, operation: Operation, class: StatusClass, took: Duration) {
        let labels = [operation.peer().name(), operation.name()];
        let series = &self.series.requests;
        series.ended.with_label_values(&[labels[0], labels[1], class.name()]).inc();
        series.durations.with_label_values(&labels).observe(took.as_secs_f64());
    }

    fn bytes_moved(&self, peer: Peer, direction: Direction, bytes: u64) {
        self.series.requests.bytes.with_label_values(&[peer.name(), direction.name()]).inc_by(bytes);
    }
}
