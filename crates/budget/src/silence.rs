//! The silence after a 429: Bynder refuses every request until five minutes pass without one from the address.

use std::time::Duration;

use super::timing::{RAMP, Timing};

#[derive(Debug, Clone, Copy, PartialEq)]
enum SilencePhase {
    Open,
    Silent {
        until: Duration,
        /// This process got the 429 itself; an empty record does not end such a silence.
        own: bool,
    },
    /// The silence is over; one call, under way since this time, probes whether the block is over too.
    Trying {
        since: Option<Duration>,
    },
}

/// Whether a call may proceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallPermit {
    /// It may.
    Open,
    /// Not before this time has passed.
    After(Duration),
}

/// One process's silence.
#[derive(Debug)]
pub(super) struct Silence {
    timing: Timing,
    state: SilencePhase,
    /// Whether this process probes for the end of the block itself; in a group the minter has one member do it.
    tries: bool,
    ramp_until: Duration,
}

impl Silence {
    pub(super) fn new(timing: Timing, tries: bool) -> Self {
        Self { timing, state: SilencePhase::Open, tries, ramp_until: Duration::ZERO }
    }

    /// The portal answered a call with 429.
    pub(super) fn refused(&mut self, now: Duration) {
        self.state = SilencePhase::Silent { until: now + self.timing.pause, own: true };
    }

    /// The portal answered a call with anything else. Returns whether that restarts the silence.
    pub(super) fn answered(&mut self, now: Duration) -> bool {
        self.pass(now);
        match self.state {
            SilencePhase::Open | SilencePhase::Trying { since: None } => false,
            // The request was in flight when the silence began, so it arrived during the block and prolonged it.
            SilencePhase::Silent { .. } => {
                self.refused(now);
                true
            }
            SilencePhase::Trying { since: Some(_) } => {
                self.state = SilencePhase::Open;
                self.ramp_until = now + self.timing.ramp;
                false
            }
        }
    }

    /// The group records a silence that lasts at least this much longer.
    pub(super) fn on_record(&mut self, remaining: Duration, now: Duration) {
        let until = now + remaining;
        match &mut self.state {
            SilencePhase::Silent { until: known, .. } => *known = until.max(*known),
            // This process's own probe is under way; its answer decides.
            SilencePhase::Trying { since: Some(_) } => {}
            SilencePhase::Open | SilencePhase::Trying { since: None } => {
                self.state = SilencePhase::Silent { until, own: false };
            }
        }
    }

    /// The group records no silence: ends one that was known from that record only.
    pub(super) fn off_record(&mut self, now: Duration) {
        if let SilencePhase::Silent { until, own: false } = &mut self.state {
            *until = now;
        }
    }

    /// Whether a call may proceed. If it is the probe for the end of the block, it counts as sent.
    pub(super) fn permit(&mut self, now: Duration) -> CallPermit {
        self.pass(now);
        match &mut self.state {
            SilencePhase::Open => CallPermit::Open,
            SilencePhase::Silent { until, .. } => CallPermit::After(until.saturating_sub(now)),
            SilencePhase::Trying { since } => {
                if since.is_some_and(|since| now.saturating_sub(since) < self.timing.canary) {
                    return CallPermit::After(self.timing.beat);
                }
                *since = Some(now);
                CallPermit::Open
            }
        }
    }

    /// Whether there is neither a silence nor a pending probe for the end of the block.
    pub(super) fn is_open(&mut self, now: Duration) -> bool {
        self.pass(now);
        self.state == SilencePhase::Open
    }

    /// The time left of the silence, if there is one.
    pub(super) fn remaining(&mut self, now: Duration) -> Option<Duration> {
        self.pass(now);
        match self.state {
            SilencePhase::Silent { until, .. } => Some(until.saturating_sub(now)),
            SilencePhase::Open | SilencePhase::Trying { .. } => None,
        }
    }

    /// The fraction of the budget that may be used now.
    pub(super) fn part(&self, now: Duration) -> f64 {
        if now < self.ramp_until { RAMP } else { 1.0 }
    }

    fn pass(&mut self, now: Duration) {
        if matches!(self.state, SilencePhase::Silent { until, .. } if until <= now) {
            self.state = if self.tries { SilencePhase::Trying { since: None } } else { SilencePhase::Open };
        }
    }
}
