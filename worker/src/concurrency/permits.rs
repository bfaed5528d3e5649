//! Permits whose number can change while they are in use.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// A number of permits; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Permits {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug)]
struct State {
    limit: usize,
    in_use: usize,
    is_short: bool,
    was_short: bool,
}

/// The right to run one step, until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    permits: Permits,
}

impl Permits {
    pub(crate) fn new(limit: usize) -> Self {
        let state = Mutex::new(State { limit, in_use: 0, is_short: false, was_short: false });
        Self { shared: Arc::new(Shared { state, freed: Notify::new() }) }
    }

    /// Waits for a permit. Cancel-safe. Only one task may wait at a time.
    pub(crate) async fn acquire(&self) -> Permit {
        while !self.take() {
            self.shared.freed.notified().await;
        }
        Permit { permits: self.clone() }
    }

    fn take(&self) -> bool {
        let mut state = self.lock();
        let is_free = state.in_use < state.limit;
        state.in_use += usize::from(is_free);
        state.is_short = !is_free;
        state.was_short |= !is_free;
        is_free
    }

    /// Changes the number of permits. Permits in use stay so: if there are too many, the next ones that are dropped
    /// are not given out again.
    pub(crate) fn set_limit(&self, limit: usize) {
        self.lock().limit = limit;
        self.shared.freed.notify_one();
    }

    /// Whether a task waited for a permit since the last call.
    pub(crate) fn was_short(&self) -> bool {
        let mut state = self.lock();
        let is_short = state.is_short;
        std::mem::replace(&mut state.was_short, is_short)
    }

    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        let state = self.lock();
        state.limit - state.in_use
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.lock().in_use -= 1;
        // Remembered if no task waits right now.
        self.permits.shared.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    /// A permit, if one is free now.
    fn now(permits: &Permits) -> Option<Permit> {
        permits.acquire().now_or_never()
    }

    #[test]
    fn fewer_permits_take_effect_as_those_in_use_come_back() {
        let permits = Permits::new(3);
        let mut held: Vec<_> = std::iter::from_fn(|| now(&permits)).collect();
        assert_eq!(held.len(), 3);
        permits.set_limit(1);
        for _ in 0..2 {
            held.pop();
            assert!(now(&permits).is_none());
        }
        held.pop();
        assert!(now(&permits).is_some());
    }

    #[tokio::test]
    async fn more_permits_wake_the_task_that_waits() {
        let permits = Permits::new(1);
        let _held = permits.acquire().await;
        let waiting = permits.acquire();
        tokio::pin!(waiting);
        assert!(waiting.as_mut().now_or_never().is_none());
        permits.set_limit(2);
        waiting.await;
    }

    #[test]
    fn permits_are_short_for_as_long_as_a_task_waits_for_one() {
        let permits = Permits::new(1);
        let held = now(&permits);
        assert!(!permits.was_short(), "all are in use, and no further one is wanted");
        assert!(now(&permits).is_none());
        assert!(permits.was_short() && permits.was_short());
        drop(held);
        let _held = now(&permits);
        assert!(permits.was_short(), "since the last call");
        assert!(!permits.was_short());
    }
}
