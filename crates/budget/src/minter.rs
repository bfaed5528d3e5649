//! When the one minter of an egress group publishes tokens: pure, driven by the time that it is given.

use std::collections::VecDeque;
use std::time::Duration;

use super::timing::{RAMP, Timing};
use super::token::{MOST_A_SECOND, PREFETCH, Token};

/// Who looks less often at its record and its consumers would mint too long for nothing.
const LOOK: Duration = Duration::from_secs(1);
/// A token that the broker did not confirm within this time ends the office.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(1);
/// The part of the budget that tokens in the hands of all members may come to; what is more comes out of the rate.
const IN_HANDS: f64 = 0.05;

/// What the broker shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Whether a silence is on record.
    pub silent: bool,
    /// Whether a silence was on record after which no call was answered yet.
    pub trying: bool,
    /// Members that wait for tokens.
    pub consumers: u32,
}

/// What the minter does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// Publish this token.
    Mint(Token),
    /// Look at the broker, and mint meanwhile.
    Look,
    /// Nothing for so long, unless a member wishes for tokens.
    Wait(Duration),
    /// Nothing until a member wishes for tokens.
    Sleep,
    /// Leave the office: the broker does not confirm.
    Resign,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open {
        ramp_until: Duration,
    },
    Silent,
    /// The silence is over; one call finds out whether the block is.
    Trying {
        since: Option<Duration>,
    },
}

/// Whether there is anything to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watch {
    Asleep,
    /// What the broker shows was not seen since: nothing is minted yet.
    Woken,
    Awake,
}

/// The office of the minter.
#[derive(Debug)]
pub struct Minter {
    /// Calls in a window of the whole group.
    requests: u32,
    timing: Timing,
    phase: Phase,
    /// When the next token is due.
    due: Duration,
    looked: Option<Duration>,
    /// What the broker shows is not known yet.
    looking: bool,
    /// A member wished for tokens since the minter looked.
    wished: bool,
    consumers: u32,
    watch: Watch,
    unconfirmed: VecDeque<Duration>,
}

impl Minter {
    /// Takes office: the first token is due an interval from now, since the one before may have minted a moment ago.
    pub fn elected(requests: u32, timing: Timing, now: Duration) -> Self {
        let mut minter = Self {
            requests,
            timing,
            phase: Phase::Open { ramp_until: Duration::ZERO },
            due: now,
            looked: None,
            looking: false,
            wished: false,
            consumers: 1,
            watch: Watch::Woken,
            unconfirmed: VecDeque::new(),
        };
        minter.due = now + minter.interval(now);
        minter
    }

    /// The budget of the group from now on.
    pub fn set_requests(&mut self, requests: u32) {
        self.requests = requests;
    }

    /// What to do now.
    pub fn duty(&mut self, now: Duration) -> Duty {
        if self.unconfirmed.front().is_some_and(|at| now.saturating_sub(*at) >= CONFIRMED_WITHIN) {
            return Duty::Resign;
        }
        let confirm_by = self.unconfirmed.front().map(|at| *at + CONFIRMED_WITHIN);
        let until = |due: Duration| Duty::Wait(confirm_by.unwrap_or(due).min(due).saturating_sub(now));
        if self.watch == Watch::Asleep {
            return confirm_by.map_or(Duty::Sleep, until);
        }
        if !self.looking && self.looked.is_none_or(|at| now.saturating_sub(at) >= LOOK) {
            (self.looked, self.looking, self.wished) = (Some(now), true, false);
            return Duty::Look;
        }
        let look_at = if self.looking { now + LOOK } else { self.looked.unwrap_or(now) + LOOK };
        if self.watch == Watch::Woken {
            return until(look_at);
        }
        if self.due > now || self.unconfirmed.len() >= MOST_A_SECOND as usize {
            return until(if self.due > now { self.due.min(look_at) } else { look_at });
        }
        let token = match &mut self.phase {
            Phase::Silent => return until(look_at),
            Phase::Trying { since: Some(at) } if now.saturating_sub(*at) < self.timing.canary => {
                return until(look_at);
            }
            Phase::Trying { since } => {
                *since = Some(now);
                Token { calls: 1, canary: true }
            }
            Phase::Open { .. } => Token { calls: self.calls(), canary: false },
        };
        // Ticks that were missed are skipped.
        let interval = self.interval(now);
        let missed = (now.saturating_sub(self.due).as_secs_f64() / interval.as_secs_f64()).floor();
        self.due += interval.mul_f64(missed + 1.0);
        self.unconfirmed.push_back(now);
        Duty::Mint(token)
    }

    /// The broker has confirmed the oldest token that it had not.
    pub fn confirmed(&mut self) {
        self.unconfirmed.pop_front();
    }

    /// A member wishes for tokens.
    pub fn wished(&mut self, now: Duration) {
        self.wished = true;
        if self.watch == Watch::Asleep {
            // What was due while nothing was minted is skipped, and a silence may have come and gone.
            (self.watch, self.looked, self.due) = (Watch::Woken, None, self.due.max(now));
        }
    }

    /// What the broker shows, as of the latest [`Duty::Look`].
    pub fn saw(&mut self, look: Look, now: Duration) {
        self.phase = match (look.silent, look.trying, self.phase) {
            (true, _, _) => Phase::Silent,
            (false, true, Phase::Trying { since }) => Phase::Trying { since },
            (false, true, Phase::Open { .. } | Phase::Silent) => Phase::Trying { since: None },
            (false, false, open @ Phase::Open { .. }) => open,
            (false, false, Phase::Silent | Phase::Trying { .. }) => {
                Phase::Open { ramp_until: now + self.timing.ramp }
            }
        };
        (self.looking, self.consumers) = (false, look.consumers);
        self.watch = if look.consumers > 0 || self.wished { Watch::Awake } else { Watch::Asleep };
    }

    /// Calls that a token is good for.
    fn calls(&self) -> u32 {
        let tokens = u64::from(MOST_A_SECOND) * self.timing.window.as_secs();
        u32::try_from(u64::from(self.requests).div_ceil(tokens.max(1))).unwrap_or(u32::MAX)
    }

    fn interval(&self, now: Duration) -> Duration {
        let window = self.timing.window.as_secs_f64();
        let requests = f64::from(self.requests);
        let in_hands = f64::from(self.consumers) * f64::from(PREFETCH) * f64::from(self.calls());
        let allowed = (requests - (in_hands - requests * IN_HANDS).max(0.0)).max(requests / 100.0);
        let part = match self.phase {
            Phase::Open { ramp_until } if now < ramp_until => RAMP,
            Phase::Open { .. } | Phase::Silent | Phase::Trying { .. } => 1.0,
        };
        Duration::from_secs_f64((f64::from(self.calls()) * window / (allowed * part)).min(window))
    }
}
