//! Decides when the one minter of an egress group publishes tokens: no I/O and no clock of its own.

use std::collections::VecDeque;
use std::time::Duration;

use super::timing::{RAMP, Timing};
use super::token::{MOST_A_SECOND, PREFETCH, Token};

/// How often the minter checks the record and the number of consumers; less often, it would mint unused tokens for longer.
const QUERY_EVERY: Duration = Duration::from_secs(1);
/// The minter resigns when the broker does not confirm a token within this time.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(1);
/// The fraction of the budget that the tokens held by all members may amount to; anything above it is taken off the rate.
const IN_HANDS: f64 = 0.05;

/// What the broker shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokerView {
    /// Whether a silence is recorded.
    pub silent: bool,
    /// Whether no call has been answered since the latest silence.
    pub trying: bool,
    /// Consumers of the token queue: members that wait for tokens.
    pub consumers: u32,
}

/// What the minter does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duty {
    /// Publish this token.
    Mint(Token),
    /// Query the broker; minting continues meanwhile.
    Query,
    /// Nothing for this long, unless a member asks for tokens.
    Wait(Duration),
    /// Nothing until a member asks for tokens.
    Sleep,
    /// Resign: the broker does not confirm.
    Resign,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open {
        ramp_until: Duration,
    },
    Silent,
    /// The silence is over; the canary token minted at this time probes whether the block is over too.
    Trying {
        since: Option<Duration>,
    },
}

/// Whether the minter mints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watch {
    Asleep,
    /// A member asked for tokens; nothing is minted before the broker has been queried.
    Woken,
    Awake,
}

/// The state of an elected minter.
#[derive(Debug)]
pub struct Minter {
    /// The group's budget, in calls per window.
    requests: u32,
    timing: Timing,
    phase: Phase,
    /// When the next token is due.
    due: Duration,
    queried: Option<Duration>,
    /// A query of the broker is under way.
    querying: bool,
    /// A member asked for tokens since the latest query.
    wished: bool,
    consumers: u32,
    watch: Watch,
    /// When the tokens were minted that the broker has not confirmed, oldest first.
    unconfirmed: VecDeque<Duration>,
}

impl Minter {
    /// A minter that was just elected. Its first token is due one interval later because its predecessor may have minted a
    /// moment ago.
    pub fn elected(requests: u32, timing: Timing, now: Duration) -> Self {
        let mut minter = Self {
            requests,
            timing,
            phase: Phase::Open { ramp_until: Duration::ZERO },
            due: now,
            queried: None,
            querying: false,
            wished: false,
            consumers: 1,
            watch: Watch::Woken,
            unconfirmed: VecDeque::new(),
        };
        minter.due = now + minter.interval(now);
        minter
    }

    /// Sets the budget of the whole group, in calls per window.
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
        if !self.querying && self.queried.is_none_or(|at| now.saturating_sub(at) >= QUERY_EVERY) {
            (self.queried, self.querying, self.wished) = (Some(now), true, false);
            return Duty::Query;
        }
        let query_at =
            if self.querying { now + QUERY_EVERY } else { self.queried.unwrap_or(now) + QUERY_EVERY };
        if self.watch == Watch::Woken {
            return until(query_at);
        }
        if self.due > now || self.unconfirmed.len() >= MOST_A_SECOND as usize {
            return until(if self.due > now { self.due.min(query_at) } else { query_at });
        }
        let token = match &mut self.phase {
            Phase::Silent => return until(query_at),
            Phase::Trying { since: Some(at) } if now.saturating_sub(*at) < self.timing.canary => {
                return until(query_at);
            }
            Phase::Trying { since } => {
                *since = Some(now);
                Token { calls: 1, canary: true }
            }
            Phase::Open { .. } => Token { calls: self.calls(), canary: false },
        };
        // Missed ticks are skipped: minting them late would make a burst.
        let interval = self.interval(now);
        let missed = (now.saturating_sub(self.due).as_secs_f64() / interval.as_secs_f64()).floor();
        self.due += interval.mul_f64(missed + 1.0);
        self.unconfirmed.push_back(now);
        Duty::Mint(token)
    }

    /// The broker has confirmed the oldest unconfirmed token.
    pub fn confirmed(&mut self) {
        self.unconfirmed.pop_front();
    }

    /// A member asks for tokens.
    pub fn wished(&mut self, now: Duration) {
        self.wished = true;
        if self.watch == Watch::Asleep {
            // Skip what was due meanwhile, and query first: a silence may have begun and ended.
            (self.watch, self.queried, self.due) = (Watch::Woken, None, self.due.max(now));
        }
    }

    /// Applies the result of the latest [`Duty::Query`].
    pub fn saw(&mut self, view: BrokerView, now: Duration) {
        self.phase = match (view.silent, view.trying, self.phase) {
            (true, _, _) => Phase::Silent,
            (false, true, Phase::Trying { since }) => Phase::Trying { since },
            (false, true, Phase::Open { .. } | Phase::Silent) => Phase::Trying { since: None },
            (false, false, open @ Phase::Open { .. }) => open,
            (false, false, Phase::Silent | Phase::Trying { .. }) => {
                Phase::Open { ramp_until: now + self.timing.ramp }
            }
        };
        (self.querying, self.consumers) = (false, view.consumers);
        self.watch = if view.consumers > 0 || self.wished { Watch::Awake } else { Watch::Asleep };
    }

    /// Calls that each token allows.
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
