//! Lets spans of one target through, once traces are sent. Closed, it costs what a disabled log line costs.

use std::sync::atomic::{AtomicBool, Ordering};

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Level, Metadata};
use tracing_subscriber::layer::{Context, Filter};

/// The target of all spans that are sent. No crate has this name, so that a log filter for crates does not enable them.
pub const TARGET: &str = "otel";

static OPEN: AtomicBool = AtomicBool::new(false);

/// Lets spans through from now on.
pub(super) fn open() {
    OPEN.store(true, Ordering::Relaxed);
    tracing::callsite::rebuild_interest_cache();
}

pub(super) struct Gate;

fn passes(metadata: &Metadata<'_>) -> bool {
    OPEN.load(Ordering::Relaxed)
        && metadata.is_span()
        && metadata.target() == TARGET
        && *metadata.level() <= Level::INFO
}

impl<S> Filter<S> for Gate {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        passes(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if passes(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let is_open = OPEN.load(Ordering::Relaxed);
        Some(if is_open { LevelFilter::INFO } else { LevelFilter::OFF })
    }
}
