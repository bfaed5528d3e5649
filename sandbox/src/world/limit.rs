//! The portal's request limit, in its harshest documented form.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::options::RateLimit;

/// Grace period after the first refusal, for requests that were under way.
const UNDER_WAY: Duration = Duration::from_secs(2);

pub(crate) struct Limiter {
    limit: Option<RateLimit>,
    log: VecDeque<Instant>,
    block: Option<Block>,
    pub(crate) calls: u64,
    pub(crate) refusals: u64,
    pub(crate) busiest: usize,
}

struct Block {
    /// When a client was first refused.
    since: Option<Instant>,
    last: Instant,
}

/// The decision on a portal call.
pub(crate) enum Ruling {
    Pass,
    Refused,
    /// Refused, and a violation: the client knew of the block.
    RefusedInBlock,
}

impl Limiter {
    pub(crate) fn new(limit: Option<RateLimit>) -> Self {
        Self { limit, log: VecDeque::new(), block: None, calls: 0, refusals: 0, busiest: 0 }
    }

    /// Starts a block now, as if the limit had been exceeded.
    pub(crate) fn block(&mut self) {
        self.block = Some(Block { since: None, last: Instant::now() });
    }

    pub(crate) fn call(&mut self) -> Ruling {
        let now = Instant::now();
        self.calls += 1;
        let window = self.limit.map_or(Duration::from_mins(5), |limit| limit.window);
        if let Some(block) = &mut self.block {
            if now - block.last < window {
                let since = *block.since.get_or_insert(now);
                let in_block = now - since > UNDER_WAY.min(window / 10);
                block.last = now;
                self.refusals += 1;
                return if in_block { Ruling::RefusedInBlock } else { Ruling::Refused };
            }
            self.block = None;
        }
        while self.log.front().is_some_and(|first| now - *first >= window) {
            self.log.pop_front();
        }
        if self.limit.is_some_and(|limit| self.log.len() >= limit.requests) {
            self.block = Some(Block { since: Some(now), last: now });
            self.refusals += 1;
            return Ruling::Refused;
        }
        self.log.push_back(now);
        self.busiest = self.busiest.max(self.log.len());
        Ruling::Pass
    }
}
