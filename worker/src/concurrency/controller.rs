//! How many steps run at once. Pure: observations and times come in, the number of permits comes out.
//!
//! Additive increase, multiplicative decrease, once per window of requests. Permits rise while jobs wait for them and
//! the services answer as fast as without load. They fall when a service takes longer the more is asked of it, or
//! answers with errors. Now and then half of the permits are withheld for a window, to measure the services without
//! load: without that, a service that was always busy would seem always slow, and one that became slower for other
//! reasons would seem busy.

use std::fmt;
use std::time::Duration;

use http_client::{Operation, Peer, StatusClass};
use strum::VariantArray;
use tokio::time::Instant;

use super::bounds::Bounds;
use super::latency::{Baselines, Latencies, Meaning};

/// A window lasts at least this long.
const SHORTEST: Duration = Duration::from_secs(1);
/// A window that has too few requests after this time is discarded: too little is done to need other permits.
const LONGEST: Duration = Duration::from_mins(5);
/// A window has at least this number of requests.
const FEWEST_REQUESTS: usize = 64;
/// The share of a service's requests that have to fail for it to be overloaded, and how many at least: one asset's
/// file may fail by itself.
const FAILED: f64 = 0.1;
const FEWEST_FAILED: usize = 3;
/// The part of the permits that is kept when a service is overloaded.
const KEPT: f64 = 0.7;
/// Up to this many times the time without load, permits may rise; above [`SLOW`], they fall.
const FAST: f64 = 1.25;
const SLOW: f64 = 1.5;
/// The least part of the permits that is kept when a service is slow.
const LEAST_KEPT: f64 = 0.5;
/// The least part of the permits' time that requests have to take for more permits to help. Below that, the steps
/// wait for this machine or the budget.
const LEAST_BUSY: f64 = 0.25;
/// Windows between two measurements without load, and before the first one.
const MEASURE_EVERY: u32 = 120;
const FIRST_MEASURE: u32 = 10;
/// Windows with the fewest permits after which a service that is still slow is not slow because of them.
const PATIENCE: u32 = 3;

/// Whether more permits were wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Demand {
    Met,
    /// Jobs waited for permits.
    Unmet,
    /// Calls wait for the budget: more jobs would wait with them.
    OutOfBudget,
}

/// Why the number of permits changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    JobsWait,
    Slow(Peer),
    Failing(Peer),
    /// For one window, or its end.
    Measurement,
}

impl fmt::Display for Reason {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::JobsWait => to.write_str("jobs wait, and the services answer as fast as with fewer"),
            Self::Slow(peer) => write!(to, "{} answers more slowly than with fewer", peer.name()),
            Self::Failing(peer) => write!(to, "{} answers with errors, or not at all", peer.name()),
            Self::Measurement => to.write_str("a measurement of how fast the services answer with fewer"),
        }
    }
}

#[derive(Debug)]
struct Window {
    began: Instant,
    requests: usize,
    busy: Duration,
    /// Requests, and those that failed, by peer.
    answered: [(usize, usize); Peer::VARIANTS.len()],
    latencies: Latencies,
    ticks: usize,
    unmet_ticks: usize,
}

impl Window {
    fn new(began: Instant) -> Self {
        Self {
            began,
            requests: 0,
            busy: Duration::ZERO,
            answered: Default::default(),
            latencies: Latencies::default(),
            ticks: 0,
            unmet_ticks: 0,
        }
    }

    fn is_unmet(&self) -> bool {
        2 * self.unmet_ticks > self.ticks
    }

    fn failing(&self) -> Option<Peer> {
        let is_failing = |peer: &&Peer| {
            let (requests, failed) = self.answered[**peer as usize];
            failed >= FEWEST_FAILED && failed as f64 >= FAILED * requests as f64
        };
        Peer::VARIANTS.iter().find(is_failing).copied()
    }
}

#[derive(Debug)]
pub(super) struct Controller {
    bounds: Bounds,
    limit: usize,
    /// Requests from before the last change show the state before it.
    changed: Instant,
    window: Window,
    baselines: Baselines,
    /// The number of permits to return to after the measurement under way.
    measuring: Option<usize>,
    measure_in: u32,
    /// Windows in a row in which a service was slow although the permits were at their fewest.
    slow_at_least: u32,
}

impl Controller {
    pub(super) fn new(bounds: Bounds, now: Instant) -> Self {
        Self {
            bounds,
            limit: bounds.start,
            changed: now,
            window: Window::new(now),
            baselines: Baselines::default(),
            measuring: None,
            measure_in: FIRST_MEASURE,
            slow_at_least: 0,
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Notes the end of a request.
    pub(super) fn ended(&mut self, operation: Operation, class: StatusClass, took: Duration, now: Instant) {
        if now < self.changed + took {
            return;
        }
        let window = &mut self.window;
        window.requests += 1;
        window.busy += took;
        let (requests, failed) = &mut window.answered[operation.peer() as usize];
        *requests += 1;
        *failed += usize::from(is_overload(operation.peer(), class));
        if class == StatusClass::Success {
            window.latencies.add(operation, took);
        }
    }

    /// Notes the demand since the last call, and ends the window if it is complete. Returns why the number of permits
    /// changed, if it did.
    pub(super) fn tick(&mut self, demand: Demand, now: Instant) -> Option<Reason> {
        let age = now - self.window.began;
        self.window.ticks += 1;
        self.window.unmet_ticks += usize::from(demand == Demand::Unmet);
        let is_complete = age >= SHORTEST && self.window.requests >= FEWEST_REQUESTS;
        if !is_complete {
            if age < LONGEST {
                return None;
            }
            self.window = Window::new(now);
            // The jobs ran out during the measurement.
            let before = self.measuring.take()?;
            (self.limit, self.changed) = (before, now);
            return Some(Reason::Measurement);
        }
        let window = std::mem::replace(&mut self.window, Window::new(now));
        let (limit, reason) = self.next(&window, age)?;
        let limit = limit.clamp(self.bounds.least, self.bounds.most);
        if limit == self.limit {
            return None;
        }
        (self.limit, self.changed) = (limit, now);
        Some(reason)
    }

    /// The next number of permits, if another one is better than the present one.
    fn next(&mut self, window: &Window, age: Duration) -> Option<(usize, Reason)> {
        let slowest = self.baselines.slowest(&window.latencies);
        let is_slow = |times: f64| slowest.is_some_and(|(_, slowness)| slowness > times);
        let measured = self.measuring.take();
        let meaning = match measured {
            Some(_) => Meaning::Measured,
            None if window.is_unmet() => Meaning::Loaded,
            None => Meaning::Unloaded,
        };
        self.baselines.learn(&window.latencies, meaning);
        if let Some(peer) = window.failing() {
            return Some((part(measured.unwrap_or(self.limit), KEPT), Reason::Failing(peer)));
        }
        if let Some(before) = measured {
            return Some((before, Reason::Measurement));
        }
        if !window.is_unmet() {
            return None;
        }
        self.measure_in = self.measure_in.saturating_sub(1);
        let is_least = self.limit == self.bounds.least;
        self.slow_at_least = if is_least && is_slow(FAST) { self.slow_at_least + 1 } else { 0 };
        if self.measure_in == 0 || self.slow_at_least >= PATIENCE {
            (self.measure_in, self.slow_at_least) = (MEASURE_EVERY, 0);
            self.measuring = Some(self.limit);
            return Some((self.limit / 2, Reason::Measurement));
        }
        if let Some((peer, slowness)) = slowest
            && is_slow(SLOW)
        {
            return Some((part(self.limit, (FAST / slowness).max(LEAST_KEPT)), Reason::Slow(peer)));
        }
        let is_busy = window.busy.as_secs_f64() >= LEAST_BUSY * self.limit as f64 * age.as_secs_f64();
        let may_rise = is_busy && !is_slow(FAST);
        may_rise.then(|| (self.limit + self.limit.isqrt(), Reason::JobsWait))
    }
}

/// This share of the permits, rounded down.
fn part(limit: usize, share: f64) -> usize {
    (0..limit).rev().find(|fewer| *fewer as f64 <= limit as f64 * share).unwrap_or(limit)
}

/// Whether the response speaks of too many requests at once. Bynder's 429 concerns the budget, which answers it with
/// a silence.
fn is_overload(peer: Peer, class: StatusClass) -> bool {
    match class {
        StatusClass::Broken | StatusClass::Unanswered => true,
        StatusClass::Limited => peer != Peer::Bynder,
        StatusClass::Success | StatusClass::Redirect | StatusClass::Refused => false,
    }
}
