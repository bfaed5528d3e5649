//! Sends the traces of jobs to a collector, by OTLP over HTTP: off unless an endpoint is configured.
//!
//! A trace is a job's. Its id is in the job's message, so each process adds its spans to the same trace: the producer that of the
//! publish ([`published`]), workers one for each step ([`of_step`]), and the HTTP client one below for each request. Only spans of the
//! target [`TARGET`] are sent, and none that is outside a job. The log does not change.
//!
//! [`layer`] is installed with the log, before the configuration is known; [`start`] switches it on. What cannot be sent is dropped: no
//! work waits for a collector.

mod gate;
mod late;
mod sampler;
mod sender;
mod spans;

use std::collections::HashMap;
use std::time::Duration;

use common::failure::Failure;
use config::Config;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfig, BatchSpanProcessor, SdkTracerProvider, SpanProcessor};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::registry::LookupSpan;

use late::Late;
use sampler::WithinJobs;
use sender::Sender;

pub use gate::TARGET;
pub use spans::{of_step, published};

/// The scope of all spans.
const SCOPE: &str = "bynder-imatag-connector";
/// How long the end of a process waits for its last spans to be sent.
const FLUSH: Duration = Duration::from_secs(3);

/// The layer that collects spans once [`start`] was called.
pub fn layer<S>() -> impl Layer<S> + Send + Sync + 'static
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    let provider = SdkTracerProvider::builder().with_span_processor(Late).with_sampler(WithinJobs).build();
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(SCOPE))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(gate::Gate)
}

/// Sends traces from now on, if the configuration or the environment names a collector.
///
/// # Errors
/// What they say cannot be used.
pub fn start(config: &Config, program: &'static str) -> Result<(), Failure> {
    let Some(export) = config.trace_export(|name| std::env::var(name).ok())? else { return Ok(()) };
    let client = Sender::new(&export)?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(export.endpoint.as_str())
        .with_protocol(Protocol::HttpBinary)
        .with_headers(HashMap::new())
        .with_http_client(client)
        .build()
        .map_err(|error| Failure::Configuration(format!("traces cannot be sent: {error}")))?;
    let mut processor = BatchSpanProcessor::new(exporter, BatchConfig::default());
    processor.set_resource(&resource(config, program));
    sampler::keep(export.sample);
    spans::show_names(export.names);
    if late::fill(processor) {
        gate::open();
        tracing::info!(to = export.endpoint.origin().ascii_serialization(), "traces are sent");
    }
    Ok(())
}

/// Sends what is left, for a few seconds at most; spans after it are lost.
pub async fn flush() {
    let Some(processor) = late::filled() else { return };
    let flushed = tokio::task::spawn_blocking(|| processor.shutdown_with_timeout(FLUSH));
    let _ = tokio::time::timeout(FLUSH, flushed).await;
}

/// What all spans of the process have in common; `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` count as well.
fn resource(config: &Config, program: &'static str) -> Resource {
    let name = std::env::var("OTEL_SERVICE_NAME").ok().filter(|name| !name.is_empty());
    Resource::builder()
        .with_service_name(name.unwrap_or_else(|| program.to_owned()))
        .with_attributes([
            KeyValue::new("service.namespace", SCOPE),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", uuid::Uuid::now_v7().to_string()),
            KeyValue::new("connector.deployment", config.queue.prefix.clone()),
        ])
        .build()
}
