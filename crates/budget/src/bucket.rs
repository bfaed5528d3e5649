//! A token bucket whose rate can change: after a silence the rate is lower for a while.
//!
//! The crates for this fix the rate at construction; a new limiter at each change would start with a full burst.

use std::time::Duration;

/// Capacity, in seconds of the rate.
const BURST_SECONDS: f64 = 2.0;

/// Minimum capacity, and so the most tokens that one call of [`Bucket::take`] may ask for.
const MOST_TOGETHER: f64 = 2.0;

/// Tokens that accrue evenly; each portal call takes one.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    tokens: f64,
    /// Tokens per second.
    rate: f64,
    filled: Duration,
}

impl Bucket {
    /// A bucket that holds one token.
    pub(super) fn new(rate: f64, now: Duration) -> Self {
        Self { tokens: 1.0, rate, filled: now }
    }

    /// Changes the rate; tokens above the capacity at the new rate are lost.
    pub(super) fn set_rate(&mut self, rate: f64, now: Duration) {
        self.fill(now);
        self.rate = rate;
        self.tokens = self.tokens.min(self.most());
    }

    /// Takes up to [`MOST_TOGETHER`] tokens.
    ///
    /// # Errors
    /// The time until the bucket holds enough, between 1 ms and 60 s; nothing is taken then.
    pub(super) fn take(&mut self, tokens: u32, now: Duration) -> Result<(), Duration> {
        self.fill(now);
        let wanted = f64::from(tokens);
        if self.tokens >= wanted {
            self.tokens -= wanted;
            return Ok(());
        }
        let seconds = (wanted - self.tokens) / self.rate.max(1e-9);
        Err(Duration::from_secs_f64(seconds.clamp(0.001, 60.0)))
    }

    fn fill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.filled).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate).min(self.most());
        self.filled = self.filled.max(now);
    }

    fn most(&self) -> f64 {
        (self.rate * BURST_SECONDS).max(MOST_TOGETHER)
    }
}
