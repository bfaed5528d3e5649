//! A token bucket whose rate can change, since a member's share does.
//!
//! Crates for this keep one rate for life; making a new limiter at each change would hand out a full burst each time.

use std::time::Duration;

/// What may be spent at once, in seconds of the rate.
const BURST_SECONDS: f64 = 2.0;

/// Tokens that come in evenly; a call takes one.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    tokens: f64,
    /// Tokens a second.
    rate: f64,
    filled: Duration,
}

impl Bucket {
    /// A bucket with one token.
    pub(super) fn new(rate: f64, now: Duration) -> Self {
        Self { tokens: 1.0, rate, filled: now }
    }

    /// The rate from now on; tokens that were saved up at a higher one are lost.
    pub(super) fn set_rate(&mut self, rate: f64, now: Duration) {
        self.fill(now);
        self.rate = rate;
        self.tokens = self.tokens.min(self.most());
    }

    /// Takes a token, or says how soon there is one.
    ///
    /// # Errors
    /// How long until the next token.
    pub(super) fn take(&mut self, now: Duration) -> Result<(), Duration> {
        self.fill(now);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        let seconds = (1.0 - self.tokens) / self.rate.max(1e-9);
        Err(Duration::from_secs_f64(seconds.clamp(0.001, 60.0)))
    }

    fn fill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.filled).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate).min(self.most());
        self.filled = self.filled.max(now);
    }

    fn most(&self) -> f64 {
        (self.rate * BURST_SECONDS).max(1.0)
    }
}
