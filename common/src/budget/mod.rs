//! The request budget: Bynder allows 4500 requests in any five minutes per source address, and after a 429 it
//! refuses everything until five minutes pass without a single request.
//!
//! So every portal call of the process passes one token bucket, and a 429 stops them all for longer than the
//! block; then one call tries alone.

#[cfg(test)]
mod tests;

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::bynder::{Gate, Paused};

/// Bynder's window.
const WINDOW: Duration = Duration::from_mins(5);
/// How long everything is silent after a 429: the block of five minutes and some seconds for clocks and answers
/// that were under way.
pub const PAUSE: Duration = Duration::from_secs(330);
/// The share of the window's budget that may be spent at once: 15 seconds' worth.
const BURST_SHARE: u32 = 20;
/// How long the one call after a pause may take before another one tries.
const CANARY_PATIENCE: Duration = Duration::from_mins(2);

/// The process's request budget; clones share it.
#[derive(Debug, Clone)]
pub struct Budget<C: Clock = DefaultClock> {
    shared: Arc<Shared<C>>,
}

#[derive(Debug)]
struct Shared<C: Clock> {
    bucket: RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<C::Instant>>,
    clock: C,
    pause: Duration,
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    used: u64,
    silence: Silence,
}

#[derive(Debug, Default, Clone, Copy)]
enum Silence {
    #[default]
    None,
    Until(Instant),
    /// The pause is over; one call is under way to see whether the block is.
    Canary {
        since: Instant,
    },
}

enum Gateway {
    Open,
    Canary,
    Closed(Duration),
}

impl Budget {
    /// A budget of so many requests in five minutes.
    pub fn new(requests_per_5_minutes: NonZeroU32) -> Self {
        Self::with_clock(requests_per_5_minutes, PAUSE, DefaultClock::default())
    }
}

impl<C: Clock + Clone> Budget<C> {
    /// As [`Budget::new`], with a clock and a pause of the caller's.
    pub fn with_clock(requests_per_5_minutes: NonZeroU32, pause: Duration, clock: C) -> Self {
        let burst = (requests_per_5_minutes.get() / BURST_SHARE).max(1);
        let quota = Quota::with_period(WINDOW / requests_per_5_minutes.get())
            .unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN));
        let quota = quota.allow_burst(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN));
        Self {
            shared: Arc::new(Shared {
                bucket: RateLimiter::direct_with_clock(quota, clock.clone()),
                clock,
                pause,
                state: Mutex::default(),
                changed: watch::Sender::new(()),
            }),
        }
    }

    /// Portal calls admitted so far.
    pub fn used(&self) -> u64 {
        self.lock().used
    }

    /// How long nothing may be sent, if that is so.
    pub fn paused(&self) -> Option<Duration> {
        match self.lock().silence {
            Silence::Until(until) => {
                Some(until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
            }
            Silence::None | Silence::Canary { .. } => None,
        }
    }

    /// Waits until calls may be sent again. Cancel-safe.
    pub async fn resumed(&self) {
        while let Some(remaining) = self.paused() {
            tokio::time::sleep(remaining).await;
        }
    }

    /// Decides under one lock whether a call may go, so that none slips past a 429.
    fn gateway(&self) -> Gateway {
        let mut state = self.lock();
        let now = Instant::now();
        match state.silence {
            Silence::None => Gateway::Open,
            Silence::Until(until) if until > now => Gateway::Closed(until - now),
            Silence::Until(_) => {
                state.silence = Silence::Canary { since: now };
                Gateway::Canary
            }
            Silence::Canary { since } if now - since > CANARY_PATIENCE => {
                state.silence = Silence::Canary { since: now };
                Gateway::Canary
            }
            Silence::Canary { .. } => Gateway::Closed(Duration::from_secs(1)),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl<C> Gate for Budget<C>
where
    C: Clock + Clone + Send + Sync + std::fmt::Debug + 'static,
    C::Instant: Send + Sync + std::fmt::Debug,
{
    async fn admit(&self) -> Result<(), Paused> {
        let mut changed = self.shared.changed.subscribe();
        if let Gateway::Closed(remaining) = self.gateway() {
            return Err(Paused { remaining });
        }
        while let Err(not_until) = self.shared.bucket.check() {
            let wait = not_until.wait_time_from(self.shared.clock.now());
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = changed.changed() => {}
            }
            // A 429 may have come while this call waited for its token.
            if let Some(remaining) = self.paused() {
                return Err(Paused { remaining });
            }
        }
        self.lock().used += 1;
        Ok(())
    }

    fn refused(&self) {
        self.lock().silence = Silence::Until(Instant::now() + self.shared.pause);
        tracing::error!(
            seconds = self.shared.pause.as_secs(),
            "Bynder's request limit was reached; nothing is sent for a while. Lower bynder.requests_per_5_minutes if \
             other software shares this machine's address"
        );
        self.shared.changed.send_replace(());
    }

    fn answered(&self) {
        let mut state = self.lock();
        if matches!(state.silence, Silence::Canary { .. }) {
            state.silence = Silence::None;
        }
    }
}
