//! The processor of spans, which is known later than the layer that ends them.

use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchSpanProcessor, Span, SpanData, SpanProcessor};

static PROCESSOR: OnceLock<BatchSpanProcessor> = OnceLock::new();

/// Hands spans to this processor from now on; returns whether it is the first one.
pub(super) fn fill(processor: BatchSpanProcessor) -> bool {
    PROCESSOR.set(processor).is_ok()
}

pub(super) fn filled() -> Option<&'static BatchSpanProcessor> {
    PROCESSOR.get()
}

/// Drops spans until there is a processor. It has a bounded queue, and drops what exceeds it.
#[derive(Debug)]
pub(super) struct Late;

impl SpanProcessor for Late {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if let Some(processor) = filled() {
            processor.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
