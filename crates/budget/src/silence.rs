//! The silence after a 429: Bynder answers nothing until five minutes pass without a request from the address.

use std::time::Duration;

use super::timing::{RAMP, Timing};

#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    Open,
    Silent {
        until: Duration,
        /// This process saw it begin.
        own: bool,
    },
    /// The silence is over; one call finds out whether the block is.
    Trying {
        since: Option<Duration>,
    },
}

/// What a call may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    /// Go on.
    Open,
    /// Not before this time has passed.
    Closed(Duration),
}

/// One process's silence.
#[derive(Debug)]
pub(super) struct Silence {
    timing: Timing,
    state: State,
    /// Whether the process finds out itself whether the block is over; in a group the minter has one member do so.
    tries: bool,
    ramp_until: Duration,
}

impl Silence {
    pub(super) fn new(timing: Timing, tries: bool) -> Self {
        Self { timing, state: State::Open, tries, ramp_until: Duration::ZERO }
    }

    /// The portal refused a call.
    pub(super) fn refused(&mut self, now: Duration) {
        self.state = State::Silent { until: now + self.timing.pause, own: true };
    }

    /// The portal answered something else. Returns whether the silence begins anew.
    pub(super) fn answered(&mut self, now: Duration) -> bool {
        self.pass(now);
        match self.state {
            State::Open | State::Trying { since: None } => false,
            // A request that was under way is one that the block counts.
            State::Silent { .. } => {
                self.refused(now);
                true
            }
            State::Trying { since: Some(_) } => {
                self.state = State::Open;
                self.ramp_until = now + self.timing.ramp;
                false
            }
        }
    }

    /// There is a silence on record: it lasts at least this long.
    pub(super) fn on_record(&mut self, remaining: Duration, now: Duration) {
        let until = now + remaining;
        match &mut self.state {
            State::Silent { until: known, .. } => *known = until.max(*known),
            // Its own call is under way, and shows whether the block is over.
            State::Trying { since: Some(_) } => {}
            State::Open | State::Trying { since: None } => {
                self.state = State::Silent { until, own: false };
            }
        }
    }

    /// No silence is on record: one that is known from there is over.
    pub(super) fn off_record(&mut self, now: Duration) {
        if let State::Silent { until, own: false } = &mut self.state {
            *until = now;
        }
    }

    /// Whether a call may go; the one that finds out whether the block is over counts as gone.
    pub(super) fn leave(&mut self, now: Duration) -> Leave {
        self.pass(now);
        match &mut self.state {
            State::Open => Leave::Open,
            State::Silent { until, .. } => Leave::Closed(until.saturating_sub(now)),
            State::Trying { since } => {
                if since.is_some_and(|since| now.saturating_sub(since) < self.timing.canary) {
                    return Leave::Closed(self.timing.beat);
                }
                *since = Some(now);
                Leave::Open
            }
        }
    }

    /// Whether there is no silence, nor one whose end is not certain yet.
    pub(super) fn is_open(&mut self, now: Duration) -> bool {
        self.pass(now);
        self.state == State::Open
    }

    /// How long the silence lasts, if there is one.
    pub(super) fn remaining(&mut self, now: Duration) -> Option<Duration> {
        self.pass(now);
        match self.state {
            State::Silent { until, .. } => Some(until.saturating_sub(now)),
            State::Open | State::Trying { .. } => None,
        }
    }

    /// The part of the budget that may be used now.
    pub(super) fn part(&self, now: Duration) -> f64 {
        if now < self.ramp_until { RAMP } else { 1.0 }
    }

    fn pass(&mut self, now: Duration) {
        if matches!(self.state, State::Silent { until, .. } if until <= now) {
            self.state = if self.tries { State::Trying { since: None } } else { State::Open };
        }
    }
}
