//! Distinguishes a slow transfer from a stalled one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::time::Instant;

/// When a body last moved, and whether it is complete; clones share it.
#[derive(Debug, Clone)]
pub struct BodyProgress(Arc<Mutex<Movement>>);

#[derive(Debug, Clone, Copy)]
struct Movement {
    moved: Instant,
    whole: bool,
    bytes: u64,
}

impl BodyProgress {
    /// Starts counting now.
    pub fn start() -> Self {
        Self(Arc::new(Mutex::new(Movement { moved: Instant::now(), whole: false, bytes: 0 })))
    }

    /// Wraps a body so that each piece taken from it counts as movement.
    pub fn watch<S, E>(&self, body: S) -> impl Stream<Item = Result<Bytes, E>> + use<S, E>
    where
        S: Stream<Item = Result<Bytes, E>>,
    {
        let (moving, ending) = (self.clone(), self.clone());
        let length = |piece: &Result<Bytes, E>| piece.as_ref().map_or(0, Bytes::len) as u64;
        body.inspect(move |piece| moving.note(length(piece), false)).chain(
            futures::stream::once(async move {
                ending.note(0, true);
                None
            })
            .filter_map(futures::future::ready),
        )
    }

    fn note(&self, bytes: u64, whole: bool) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state = Movement { moved: Instant::now(), whole, bytes: state.bytes + bytes };
    }

    /// How many bytes of the body have been read.
    pub(super) fn bytes(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }

    /// Resolves when nothing moved for `standstill`, or for `patience` once the body is complete.
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
