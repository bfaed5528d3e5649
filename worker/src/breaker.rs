//! One breaker a service: an outage stops consumption instead of draining the queue into failed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use common::service::Service;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Failures in a row, across jobs, after which a service counts as out.
const FAILURES_TO_OPEN: u32 = 5;
/// The first pause before a probe; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Why a service cannot be used at all, whatever the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It does not answer, or answers with its own errors: passes by itself.
    Outage,
    /// It refuses the credential: a person has to act.
    Credential,
    /// It refuses what is asked for, job after job: most likely a missing role or permission.
    Permission,
    /// It does not know the paths it is asked for: a person has to act.
    Configuration,
}

/// An open breaker: what is wrong, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Halt {
    /// The service.
    pub service: Service,
    /// The kind of trouble.
    pub trouble: Trouble,
    /// The latest error, for people.
    pub reason: String,
    /// Since when nothing succeeded.
    pub since: Instant,
}

/// The breakers of all services; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Breakers {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<[Breaker; 2]>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Breaker {
    failures: Streak,
    /// Counted apart: a token that may read and not write succeeds and is refused in turn, and each refusal comes
    /// after a watermark was paid for.
    refusals: Streak,
    open: Option<Open>,
}

/// Failures in a row.
#[derive(Debug, Default)]
struct Streak {
    count: u32,
    since: Option<Instant>,
}

#[derive(Debug)]
struct Open {
    halt: Halt,
    pause: Duration,
    probe_at: Instant,
    probing: bool,
}

/// Leave to take a job: freely, or as the one probe of an open breaker.
#[derive(Debug)]
pub struct Leave {
    breakers: Breakers,
    probe: bool,
}

impl Leave {
    /// Whether this job tries out a service that is believed to be out.
    pub fn is_probe(&self) -> bool {
        self.probe
    }
}

impl Drop for Leave {
    /// A probe that ended without a word on its service frees the way for the next one.
    fn drop(&mut self) {
        if self.probe {
            self.breakers.each(|breaker| {
                if let Some(open) = &mut breaker.open {
                    open.probing = false;
                }
            });
        }
    }
}

impl Breakers {
    /// Waits until a job may be taken. Cancel-safe.
    pub async fn leave(&self) -> Leave {
        loop {
            let changed = self.shared.changed.notified();
            match self.try_leave(Instant::now()) {
                Ok(leave) => return leave,
                Err(Some(probe_at)) => {
                    tokio::select! {
                        () = changed => {}
                        () = tokio::time::sleep_until(probe_at) => {}
                    }
                }
                Err(None) => changed.await,
            }
        }
    }

    /// Resolves when a service is out. Cancel-safe.
    pub async fn opened(&self) {
        loop {
            let changed = self.shared.changed.notified();
            if self.halt().is_some() {
                return;
            }
            changed.await;
        }
    }

    /// The way is free, or the time of the next probe, if none is under way.
    fn try_leave(&self, now: Instant) -> Result<Leave, Option<Instant>> {
        let mut state = self.lock();
        let mut latest: Option<Instant> = None;
        for open in state.iter().filter_map(|breaker| breaker.open.as_ref()) {
            if open.probing {
                return Err(None);
            }
            latest = latest.max(Some(open.probe_at));
        }
        let Some(probe_at) = latest else {
            return Ok(Leave { breakers: self.clone(), probe: false });
        };
        if probe_at > now {
            return Err(Some(probe_at));
        }
        for open in state.iter_mut().filter_map(|breaker| breaker.open.as_mut()) {
            open.probing = true;
        }
        Ok(Leave { breakers: self.clone(), probe: true })
    }

    /// The service answered as it should.
    pub fn succeeded(&self, service: Service) {
        self.close(service, |breaker| {
            breaker.failures = Streak::default();
            breaker.open.take_if(|open| open.halt.trouble != Trouble::Permission).is_some()
        });
    }

    /// The service did what takes every right there is.
    pub fn permitted(&self, service: Service) {
        self.close(service, |breaker| std::mem::take(breaker).open.is_some());
    }

    fn close(&self, service: Service, change: impl FnOnce(&mut Breaker) -> bool) {
        let was_open = change(&mut self.lock()[service as usize]);
        if was_open {
            tracing::info!(service = service.name(), "the service answers again; going on");
        }
        self.shared.changed.notify_waiters();
    }

    /// The service failed. Returns whether its breaker is open now: then the failure costs the job no attempt.
    pub fn failed(&self, service: Service, trouble: Trouble, reason: &str) -> bool {
        let now = Instant::now();
        let opened = {
            let breaker = &mut self.lock()[service as usize];
            breaker.fail(service, trouble, reason, now)
        };
        match opened {
            Change::StaysClosed => false,
            Change::StaysOpen => true,
            Change::Opened => {
                self.shared.changed.notify_waiters();
                tracing::error!(
                    service = service.name(),
                    reason,
                    "the service cannot be used; no further jobs are taken until a probe succeeds"
                );
                true
            }
        }
    }

    /// Whether a service's breaker is open.
    pub fn is_open(&self, service: Service) -> bool {
        self.lock()[service as usize].open.is_some()
    }

    /// The open breaker, the one that needs a person first.
    pub fn halt(&self) -> Option<Halt> {
        let state = self.lock();
        let halts = state.iter().filter_map(|breaker| breaker.open.as_ref().map(|open| &open.halt));
        halts.max_by_key(|halt| halt.trouble != Trouble::Outage).cloned()
    }

    fn each(&self, change: impl FnMut(&mut Breaker)) {
        self.lock().iter_mut().for_each(change);
        self.shared.changed.notify_waiters();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, [Breaker; 2]> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Change {
    StaysClosed,
    StaysOpen,
    Opened,
}

impl Breaker {
    fn fail(&mut self, service: Service, trouble: Trouble, reason: &str, now: Instant) -> Change {
        let streak = if trouble == Trouble::Permission { &mut self.refusals } else { &mut self.failures };
        streak.count += 1;
        let (count, since) = (streak.count, *streak.since.get_or_insert(now));
        if let Some(open) = &mut self.open {
            // Jobs that were under way when it opened fail as well: only a probe's failure lengthens the pause.
            if open.probing {
                open.pause = (open.pause * 2).min(LONGEST_PAUSE);
                open.probe_at = now + open.pause;
                open.probing = false;
            }
            open.halt.trouble = trouble;
            reason.clone_into(&mut open.halt.reason);
            return Change::StaysOpen;
        }
        // A refused credential is refused for every job; waiting for five of them would only lose time.
        // An outage and a refused right may concern one job alone, so they have to repeat themselves.
        let may_concern_one_job = matches!(trouble, Trouble::Outage | Trouble::Permission);
        if may_concern_one_job && count < FAILURES_TO_OPEN {
            return Change::StaysClosed;
        }
        self.open = Some(Open {
            halt: Halt { service, trouble, reason: reason.to_owned(), since },
            pause: FIRST_PAUSE,
            probe_at: now + FIRST_PAUSE,
            probing: false,
        });
        Change::Opened
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn open(breakers: &Breakers) {
        for _ in 0..FAILURES_TO_OPEN {
            breakers.failed(Service::Bynder, Trouble::Outage, "503");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_failures_stop_nothing_and_a_success_forgets_them() {
        let breakers = Breakers::default();
        for _ in 0..FAILURES_TO_OPEN - 1 {
            assert!(!breakers.failed(Service::Bynder, Trouble::Outage, "503"));
        }
        breakers.succeeded(Service::Bynder);
        assert!(!breakers.failed(Service::Bynder, Trouble::Outage, "503"));
        assert!(!breakers.leave().await.is_probe());
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_lets_one_probe_through_at_a_time() {
        let breakers = Breakers::default();
        open(&breakers);
        assert!(breakers.leave().now_or_never().is_none());
        let probe = breakers.leave().await;
        assert!(probe.is_probe());
        tokio::time::advance(LONGEST_PAUSE).await;
        assert!(breakers.leave().now_or_never().is_none());
        breakers.succeeded(Service::Bynder);
        assert!(!breakers.leave().await.is_probe());
        drop(probe);
    }

    #[tokio::test(start_paused = true)]
    async fn failed_probes_wait_longer_and_longer() {
        let breakers = Breakers::default();
        open(&breakers);
        let mut pauses = Vec::new();
        for _ in 0..6 {
            let before = Instant::now();
            let _probe = breakers.leave().await;
            pauses.push(before.elapsed().as_secs());
            breakers.failed(Service::Bynder, Trouble::Outage, "503");
        }
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_credential_halts_at_once_and_comes_before_an_outage() {
        let breakers = Breakers::default();
        open(&breakers);
        assert!(breakers.failed(Service::Imatag, Trouble::Credential, "401"));
        assert_eq!(breakers.halt().map(|halt| halt.trouble), Some(Trouble::Credential));
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_may_read_and_not_write_stops_the_work() {
        let breakers = Breakers::default();
        for _ in 0..FAILURES_TO_OPEN {
            breakers.failed(Service::Bynder, Trouble::Permission, "403");
            breakers.succeeded(Service::Bynder);
        }
        assert_eq!(breakers.halt().map(|halt| halt.trouble), Some(Trouble::Permission));
        breakers.permitted(Service::Bynder);
        assert_eq!(breakers.halt(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_says_nothing_of_the_service_makes_way_for_the_next() {
        let breakers = Breakers::default();
        open(&breakers);
        drop(breakers.leave().await);
        assert!(breakers.leave().await.is_probe());
    }
}
