//! The tokens that a member holds and may spend.

use std::collections::VecDeque;
use std::time::Duration;

use super::token::{GOOD_FOR, Token};

/// Tokens whose acknowledgement the broker has confirmed: no other member can get them any more.
#[derive(Debug, Default)]
pub(super) struct Purse {
    held: VecDeque<(Duration, Token)>,
}

impl Purse {
    pub(super) fn put(&mut self, token: Token, now: Duration) {
        self.held.push_back((now, token));
    }

    /// Calls that the unexpired tokens allow.
    pub(super) fn calls(&mut self, now: Duration) -> u32 {
        self.held.retain(|(at, _)| now.saturating_sub(*at) < GOOD_FOR);
        self.held.iter().fold(0, |calls, (_, token)| token.calls.saturating_add(calls))
    }

    /// Whether the next token is the one whose call probes for the end of the block.
    pub(super) fn has_canary(&self) -> bool {
        self.held.front().is_some_and(|(_, token)| token.canary)
    }

    /// Takes all of `calls`, or none of them and returns `false`.
    pub(super) fn take(&mut self, mut calls: u32, now: Duration) -> bool {
        if self.calls(now) < calls {
            return false;
        }
        while let Some((_, token)) = self.held.front_mut().filter(|_| calls > 0) {
            let taken = token.calls.min(calls);
            (token.calls, calls) = (token.calls - taken, calls - taken);
            if token.calls == 0 {
                self.held.pop_front();
            }
        }
        true
    }

    pub(super) fn void(&mut self) {
        self.held.clear();
    }
}
