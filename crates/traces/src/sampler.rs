//! Decides which spans are sent: those of a job, and of all jobs a part, the same in each process.

use std::sync::OnceLock;

use opentelemetry::trace::{Link, SpanKind, TraceContextExt, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};

static SHARE: OnceLock<f64> = OnceLock::new();

/// Sends the traces of this part of all jobs.
pub(super) fn keep(share: f64) {
    let _ = SHARE.set(share);
}

/// Whether the spans of this trace are sent. It depends on the trace alone.
pub(super) fn is_kept(trace: TraceId) -> bool {
    let share = SHARE.get().copied().unwrap_or(1.0);
    let sampled =
        Sampler::TraceIdRatioBased(share).should_sample(None, trace, "", &SpanKind::Internal, &[], &[]);
    sampled.decision == SamplingDecision::RecordAndSample
}

/// A request that serves many jobs, or none, is in no trace.
#[derive(Debug, Clone)]
pub(super) struct WithinJobs;

impl ShouldSample for WithinJobs {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace: TraceId,
        _: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let is_of_job = parent.is_some_and(|parent| {
            let span = parent.span();
            span.span_context().is_valid() && span.span_context().is_sampled()
        });
        let decision = if is_of_job && is_kept(trace) {
            SamplingDecision::RecordAndSample
        } else {
            SamplingDecision::Drop
        };
        SamplingResult { decision, attributes: Vec::new(), trace_state: TraceState::default() }
    }
}
