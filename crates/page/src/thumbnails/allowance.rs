//! How many calls of the request budget thumbnails may take. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// Calls that may follow each other at once: a person leafs through a few pages.
const MOST: u32 = 5;
/// In the long run, thumbnails take at most one in this many calls.
const ONE_OF: u32 = 50;
/// The window of the request budget.
const WINDOW: Duration = Duration::from_mins(5);

#[derive(Debug, Default)]
pub(super) struct Allowance {
    /// When all calls may be made again.
    full: Option<Instant>,
}

impl Allowance {
    /// Whether a call may be made now, of a budget of this many in five minutes; counts it.
    pub(super) fn take(&mut self, requests: u32, now: Instant) -> bool {
        let interval = WINDOW * ONE_OF / requests.max(1);
        let full = self.full.map_or(now, |full| full.max(now)) + interval;
        let may = full <= now + interval * MOST;
        if may {
            self.full = Some(full);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbnails_take_a_small_part_of_the_budget() {
        let (mut calls, start) = (Allowance::default(), Instant::now());
        let mut taken = |second: u64| {
            let now = start + Duration::from_secs(second);
            (0..100).filter(|_| calls.take(3000, now)).count()
        };
        assert_eq!([0, 0, 4, 5, 15, 1000].map(&mut taken), [5, 0, 0, 1, 2, 5]);
    }

    #[test]
    fn a_small_budget_leaves_a_few_calls_and_then_long_waits() {
        let (mut calls, now) = (Allowance::default(), Instant::now());
        assert_eq!((0..100).filter(|_| calls.take(1, now)).count(), 5);
        assert!(!calls.take(1, now + WINDOW));
    }
}
