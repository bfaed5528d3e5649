//! Stops or slows the intake of jobs when a service is out, a right is missing, or a step fails job after job.
//!
//! The main type is [`Breakers`], shared by everything that takes jobs: [`Breakers::acquire`] waits until jobs may be
//! taken. It decides whether the job or the service is at fault; the evidence comes from the worker's probes, which
//! concern no asset.
//!
//! ```
//! use breakers::{Breakers, Service, Trouble};
//!
//! let breakers = Breakers::default();
//! breakers.trip(Service::Imatag, Trouble::Outage, "503");
//! assert!(breakers.is_out(Service::Imatag) && !breakers.is_out(Service::Bynder));
//! breakers.answers_again(Service::Imatag);
//! assert!(breakers.worst().is_none());
//! ```

mod refusals;
mod slowdown;
#[cfg(test)]
mod tests;
mod trouble;
mod wire;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::job::{JobId, Step};
pub use common::service::Service;
use queue::StepSet;
use tokio::sync::Notify;
use tokio::time::Instant;

use refusals::{Refusals, WriteRefusals};
use slowdown::Slowdowns;
pub use slowdown::{Pace, Turn};
pub use trouble::{Blame, OpenBreaker, Trouble};
use wire::Wire;

/// The first pause before a probe; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// Consecutive jobs whose assets may not be read before other assets of the library are tried: enough for a
/// restricted brand. If the role is missing, no more than that many jobs fail.
const MOST_READS_REFUSED: usize = 100;
/// Consecutive jobs that Imatag refuses before the account is at fault: the directories of some jobs may be
/// inaccessible.
const MOST_SUBMITS_REFUSED: usize = 20;

/// The breakers of all services; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Breakers {
    shared: Arc<BreakerStates>,
}

#[derive(Debug, Default)]
struct BreakerStates {
    state: Mutex<BreakerState>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct BreakerState {
    open: [Option<Open>; Service::ALL.len()],
    writes: WriteRefusals,
    slowdowns: Slowdowns,
    reads: Refusals,
    submits: Refusals,
    wire: Wire,
}

#[derive(Debug)]
struct Open {
    breaker: OpenBreaker,
    pause: Duration,
    probe_at: Instant,
    probing: bool,
}

/// A permit to take a job: an ordinary one, or the single probe of an open breaker.
#[derive(Debug)]
pub struct BreakerPermit {
    breakers: Breakers,
    probe: bool,
}

impl BreakerPermit {
    /// Whether this job is a probe, for what only a job can test: a credential, a right, a path.
    pub fn is_probe(&self) -> bool {
        self.probe
    }
}

impl Drop for BreakerPermit {
    /// If a probe ends without evidence, the next one may start.
    fn drop(&mut self) {
        if self.probe {
            let mut state = self.breakers.lock();
            for open in state.open.iter_mut().flatten() {
                open.probing = false;
            }
            drop(state);
            self.breakers.shared.changed.notify_waiters();
        }
    }
}

impl Breakers {
    /// Waits until a job may be taken. Cancel-safe.
    pub async fn acquire(&self) -> BreakerPermit {
        loop {
            let changed = self.shared.changed.notified();
            match self.try_acquire(Instant::now()) {
                Ok(permit) => return permit,
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

    /// Resolves when a breaker is open. Cancel-safe.
    pub async fn opened(&self) {
        loop {
            let changed = self.shared.changed.notified();
            if self.worst().is_some() {
                return;
            }
            changed.await;
        }
    }

    /// Resolves when the next probe of a service that is out is due. Cancel-safe.
    pub async fn probe_due(&self) -> Service {
        loop {
            let changed = self.shared.changed.notified();
            let next = self.outages().min_by_key(|(_, at)| *at);
            match next {
                Some((service, at)) if at <= Instant::now() => return service,
                Some((_, at)) => {
                    tokio::select! {
                        () = changed => {}
                        () = tokio::time::sleep_until(at) => {}
                    }
                }
                None => changed.await,
            }
        }
    }

    fn outages(&self) -> impl Iterator<Item = (Service, Instant)> {
        let state = self.lock();
        let outages = state.open.iter().flatten().filter(|open| open.breaker.trouble == Trouble::Outage);
        outages.map(|open| (open.breaker.service, open.probe_at)).collect::<Vec<_>>().into_iter()
    }

    /// Returns a permit, or the time of the next probe by a job unless one is under way. In an outage no job is
    /// taken: a call without a job detects its end.
    fn try_acquire(&self, now: Instant) -> Result<BreakerPermit, Option<Instant>> {
        let mut state = self.lock();
        let mut latest: Option<Instant> = None;
        for open in state.open.iter().flatten() {
            if open.probing || open.breaker.trouble == Trouble::Outage {
                return Err(None);
            }
            latest = latest.max(Some(open.probe_at));
        }
        let Some(probe_at) = latest else {
            return Ok(BreakerPermit { breakers: self.clone(), probe: false });
        };
        if probe_at > now {
            return Err(Some(probe_at));
        }
        for open in state.open.iter_mut().flatten() {
            open.probing = true;
        }
        Ok(BreakerPermit { breakers: self.clone(), probe: true })
    }

    /// Records that the service did its part of this step.
    pub fn succeeded(&self, service: Service, step: Step) {
        let mut state = self.lock();
        state.slowdowns.succeeded(service, step);
        let read = (service, step) == (Service::Bynder, Step::Submit);
        if read {
            state.reads = Refusals::default();
        }
        if (service, step) == (Service::Imatag, Step::Submit) {
            state.submits = Refusals::default();
        }
        let closes = |trouble: Trouble| match trouble {
            Trouble::Outage | Trouble::Credential | Trouble::Configuration => true,
            Trouble::ReadRefused => read,
            Trouble::WriteRefused => false,
        };
        self.close(state, service, closes);
    }

    /// Records that the service did something that requires every right.
    pub fn permitted(&self, service: Service) {
        let mut state = self.lock();
        if service == Service::Bynder {
            state.writes.permitted();
        }
        self.close(state, service, |_| true);
    }

    /// Records that a probe found the service working.
    pub fn answers_again(&self, service: Service) {
        self.close(self.lock(), service, |trouble| trouble == Trouble::Outage);
    }

    /// Records that another asset's file may be read, so each refusal concerned its own asset only.
    pub fn may_read(&self) {
        let mut state = self.lock();
        state.reads = Refusals::default();
        self.close(state, Service::Bynder, |trouble| trouble == Trouble::ReadRefused);
    }

    fn close(
        &self,
        mut state: std::sync::MutexGuard<'_, BreakerState>,
        service: Service,
        closes: impl Fn(Trouble) -> bool,
    ) {
        let open = &mut state.open[service as usize];
        let was_open = open.take_if(|open| closes(open.breaker.trouble)).is_some();
        drop(state);
        if was_open {
            tracing::info!(service = service.name(), "the service can be used again; jobs are taken again");
        }
        self.shared.changed.notify_waiters();
    }

    /// Records a step that failed although the service answered a call that concerns no asset, or could not be
    /// probed.
    pub fn failed_alone(&self, service: Service, step: Step, job: &JobId, pace: Pace) -> Blame {
        let entered = self.lock().slowdowns.failed(service, step, job, pace, Instant::now());
        if entered {
            tracing::warn!(
                service = service.name(),
                step = step.name(),
                "several jobs in a row failed in this step although the service answers; it is taken one job at a \
                 time, more and more slowly, until one succeeds"
            );
        }
        Blame::Job
    }

    /// Records that the service is unusable now, whatever the job.
    pub fn trip(&self, service: Service, trouble: Trouble, reason: &str) -> Blame {
        let now = Instant::now();
        let mut state = self.lock();
        let open = &mut state.open[service as usize];
        if let Some(open) = open {
            // Jobs already running when the breaker opened fail as well: only a failed probe lengthens the pause.
            if open.probing || trouble == Trouble::Outage && open.probe_at <= now {
                open.pause = (open.pause * 2).min(LONGEST_PAUSE);
                open.probe_at = now + open.pause;
                open.probing = false;
            }
            open.breaker.trouble = trouble;
            reason.clone_into(&mut open.breaker.reason);
            return Blame::Service;
        }
        *open = Some(Open {
            breaker: OpenBreaker { service, trouble, reason: reason.to_owned(), since: now },
            pause: FIRST_PAUSE,
            probe_at: now + FIRST_PAUSE,
            probing: false,
        });
        drop(state);
        self.shared.changed.notify_waiters();
        tracing::error!(
            service = service.name(),
            reason,
            "the service cannot be used; no further jobs are taken until a probe succeeds"
        );
        Blame::Service
    }

    /// Records that Bynder refused a write. The job is at fault only if other jobs were permitted and only this one
    /// was refused since then.
    pub fn write_refused(&self, job: &JobId, reason: &str) -> Blame {
        if self.lock().writes.is_jobs_own(job) {
            return Blame::Job;
        }
        self.trip(Service::Bynder, Trouble::WriteRefused, reason)
    }

    /// Records that Imatag refused the job. The job's directory is at fault until too many jobs in a row were
    /// refused.
    pub fn submit_refused(&self, job: &JobId, reason: &str) -> Blame {
        if self.lock().submits.refused(job, MOST_SUBMITS_REFUSED) {
            return Blame::Job;
        }
        self.trip(Service::Imatag, Trouble::WriteRefused, reason)
    }

    /// Records that reading the job's asset was refused. The job is at fault until too many assets in a row were
    /// refused. `None`: the caller has to try another asset and then call [`Breakers::may_read`] or
    /// [`Breakers::trip`].
    pub fn read_refused(&self, job: &JobId) -> Option<Blame> {
        self.lock().reads.refused(job, MOST_READS_REFUSED).then_some(Blame::Job)
    }

    /// The steps whose jobs may be taken now.
    pub fn steps(&self) -> StepSet {
        self.lock().slowdowns.open(Instant::now())
    }

    /// Acquires the turn of a step; `None` if another job has it.
    pub fn turn(&self, step: Step) -> Option<Turn> {
        let limited = self.lock().slowdowns.begin(step, Instant::now())?;
        Some(Turn::new(self.clone(), step, limited))
    }

    fn end_turn(&self, step: Step) {
        self.lock().slowdowns.end(step);
    }

    /// Whether this step takes one job at a time.
    pub fn is_slowed(&self, step: Step) -> bool {
        self.lock().slowdowns.is_slowed(step)
    }

    pub fn is_open(&self, service: Service) -> bool {
        self.lock().open[service as usize].is_some()
    }

    /// Whether an outage of the service is known.
    pub fn is_out(&self, service: Service) -> bool {
        let state = self.lock();
        state.open[service as usize].as_ref().is_some_and(|open| open.breaker.trouble == Trouble::Outage)
    }

    /// The open breaker, if any; one that needs a person comes first.
    pub fn worst(&self) -> Option<OpenBreaker> {
        let state = self.lock();
        let open = state.open.iter().flatten().map(|open| &open.breaker);
        open.max_by_key(|breaker| breaker.trouble != Trouble::Outage).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BreakerState> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
