//! Tells a slow transfer from a stalled one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::time::Instant;

/// When a body last moved, and whether it is through; clones share it.
#[derive(Debug, Clone)]
pub struct Progress(Arc<Mutex<State>>);

#[derive(Debug, Clone, Copy)]
struct State {
    moved: Instant,
    whole: bool,
}

impl Progress {
    /// Starts counting now.
    pub fn start() -> Self {
        Self(Arc::new(Mutex::new(State { moved: Instant::now(), whole: false })))
    }

    /// Wraps a body so that each piece taken from it counts as movement.
    pub fn watch<S, E>(&self, body: S) -> impl Stream<Item = Result<Bytes, E>> + use<S, E>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        let (moving, ending) = (self.clone(), self.clone());
        body.inspect(move |_| moving.note(false)).chain(
            futures::stream::once(async move {
                ending.note(true);
                None
            })
            .filter_map(futures::future::ready),
        )
    }

    fn note(&self, whole: bool) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State { moved: Instant::now(), whole };
    }

    /// Resolves when nothing moved for `standstill`, or, once the body is through, for `patience`.
    pub(super) async fn stalled(&self, standstill: Duration, patience: Duration) {
        loop {
            let state = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let deadline = state.moved + if state.whole { patience } else { standstill };
            if deadline <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(deadline).await;
        }
    }
}
