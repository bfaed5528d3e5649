//! The spans of a job.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use common::job::Job;
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks, SpanProcessor};
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::gate::TARGET;
use super::{SCOPE, late, sampler};

static NAMES: AtomicBool = AtomicBool::new(false);

/// Whether spans hold the names of assets.
pub(super) fn show_names(shown: bool) {
    NAMES.store(shown, Ordering::Relaxed);
}

/// The span that began the job's trace, as its message names it ([W3C](https://www.w3.org/TR/trace-context/)).
fn root(job: &Job) -> Option<SpanContext> {
    let mut parts = job.traceparent.as_deref()?.split('-').skip(1);
    let (trace, span) = (TraceId::from_hex(parts.next()?).ok()?, SpanId::from_hex(parts.next()?).ok()?);
    let flags = TraceFlags::new(u8::from_str_radix(parts.next()?, 16).ok()?);
    let root = SpanContext::new(trace, span, flags, true, TraceState::default());
    (root.is_valid() && root.is_sampled()).then_some(root)
}

/// Sends the first span of a job's trace: the publish, which began at `since` and has just ended. Its id is in the job's message.
pub fn published(job: &Job, since: SystemTime) {
    let Some(processor) = late::filled() else { return };
    let Some(root) = root(job).filter(|root| sampler::is_kept(root.trace_id())) else { return };
    let mut attributes = vec![
        KeyValue::new("run_id", job.run_id.to_string()),
        KeyValue::new("job_id", job.job_id.to_string()),
        KeyValue::new("asset_id", job.asset_id.to_string()),
        KeyValue::new("lane", job.lane.name()),
    ];
    if NAMES.load(Ordering::Relaxed) {
        attributes.push(KeyValue::new("asset_name", job.asset_name.clone()));
    }
    processor.on_end(SpanData {
        span_context: root,
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Producer,
        name: "publish".into(),
        start_time: since,
        end_time: SystemTime::now(),
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder(SCOPE).build(),
    });
}

/// The span of a job's next step, below the publish. Record `result` at its end.
pub fn of_step(job: &Job) -> Span {
    let Some(root) = root(job) else { return Span::none() };
    let span = tracing::info_span!(
        target: TARGET, "job_step", otel.name = job.step.name(), otel.kind = "consumer", run_id = %job.run_id,
        job_id = %job.job_id, asset_id = %job.asset_id, lane = job.lane.name(), attempt = job.attempt,
        suspect = job.suspect, asset_name = Empty, result = Empty, otel.status_code = Empty
    );
    if span.is_disabled() {
        return span;
    }
    // Fails for a span that has begun.
    let _ = span.set_parent(Context::new().with_remote_span_context(root));
    if NAMES.load(Ordering::Relaxed) {
        span.record("asset_name", job.asset_name.as_str());
    }
    span
}

#[cfg(test)]
mod tests {
    use common::job::{Lane, RunId};
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn the_trace_of_a_job_is_the_one_in_its_message_and_in_the_log() {
        let (run, asset) = (RunId("r".to_owned()), "A".parse().unwrap());
        let job = Job::new(run, asset, "", Lane::Fresh, 1, None, Timestamp::UNIX_EPOCH);
        let root_of = |traceparent: Option<&str>| {
            root(&Job { traceparent: traceparent.map(str::to_owned), ..job.clone() })
        };
        let known = root(&job).unwrap();
        assert_eq!(Some(known.trace_id().to_string().as_str()), job.trace_id());
        assert_eq!(known.trace_id().to_string(), job.job_id.to_string());
        let unsampled = job.traceparent.as_ref().unwrap().replace("-01", "-00");
        for other in [None, Some(""), Some("00"), Some("00-x-y-01"), Some(unsampled.as_str())] {
            assert_eq!(root_of(other), None, "{other:?}");
        }
    }
}
