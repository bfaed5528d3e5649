//! A token bucket whose rate can change, since a member's share does.
//!
//! Crates for this keep one rate for life; making a new limiter at each change would hand out a full burst each time.

use std::time::Duration;

/// What may be spent at once, in seconds of the rate.
const BURST_SECONDS: f64 = 2.0;

/// Tokens that are taken at once at most, and that even the slowest bucket holds.
const MOST_TOGETHER: f64 = 2.0;

/// Tokens that come in evenly; each call takes one.
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

    /// Takes tokens, two at most, or says how soon there are as many.
    ///
    /// # Errors
    /// How long until then.
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
