//! The line between the client and both services' storage.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A line that transfers share, with the same speed each way.
pub(crate) struct Line {
    /// Bytes per second; `None` for no limit.
    rate: Option<u64>,
    down: Mutex<Instant>,
    up: Mutex<Instant>,
}

impl Line {
    pub(super) fn new(rate: Option<u64>) -> Self {
        let now = Instant::now();
        Self { rate, down: Mutex::new(now), up: Mutex::new(now) }
    }

    /// Waits until bytes for the client have crossed the line.
    pub(crate) async fn carry_down(&self, bytes: usize) {
        self.carry(&self.down, bytes).await;
    }

    /// Waits until bytes of the client have crossed the line.
    pub(crate) async fn carry_up(&self, bytes: usize) {
        self.carry(&self.up, bytes).await;
    }

    async fn carry(&self, free_at: &Mutex<Instant>, bytes: usize) {
        let Some(rate) = self.rate else { return };
        let crossed = {
            let mut free_at = free_at.lock().unwrap_or_else(PoisonError::into_inner);
            let start = (*free_at).max(Instant::now());
            *free_at = start + Duration::from_secs_f64(bytes as f64 / rate as f64);
            *free_at
        };
        tokio::time::sleep_until(crossed.into()).await;
    }
}
