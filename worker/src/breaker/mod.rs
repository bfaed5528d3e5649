//! What stops or slows the intake of jobs: a service that is out, a missing right, a step that fails job after job.
//!
//! Whether the job or the service is at fault is decided here; the evidence comes from probes that concern no asset
//! (`crate::probe`).

mod refusals;
mod slowdown;
#[cfg(test)]
mod tests;
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
use wire::Wire;

/// The first pause before a probe; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// Jobs in a row whose assets may not be read before another asset of the library is tried: a restricted brand is that
/// long, and with the role missing no more jobs than that end as failed.
const MOST_READS_REFUSED: usize = 100;
/// Jobs in a row that Imatag refuses before that is the account's: the directories of some jobs may lie out of reach.
const MOST_SUBMITS_REFUSED: usize = 20;

/// Why a service cannot be used at all, whatever the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It does not answer, or answers with its own errors: passes by itself. A call that concerns no asset finds out.
    Outage,
    /// It refuses the credential: a person has to act.
    Credential,
    /// It lets no asset's file be read: a person has to act.
    ReadRefused,
    /// It refuses to write: a missing role or permission, whatever the asset.
    WriteRefused,
    /// It does not know the paths it is asked for: a person has to act.
    Configuration,
}

/// Who is at fault when a step fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The job: the failure uses up one of its attempts.
    Job,
    /// The service or this machine: the job waits and loses nothing.
    Service,
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
    /// When it opened.
    pub since: Instant,
}

/// The breakers of all services; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Breakers {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    open: [Option<Open>; Service::ALL.len()],
    writes: WriteRefusals,
    slowdowns: Slowdowns,
    reads: Refusals,
    submits: Refusals,
    wire: Wire,
}

#[derive(Debug)]
struct Open {
    halt: Halt,
    pause: Duration,
    probe_at: Instant,
    probing: bool,
}

/// A permit to take a job: freely, or as the one probe of an open breaker.
#[derive(Debug)]
pub struct Permit {
    breakers: Breakers,
    probe: bool,
}

impl Permit {
    /// Whether this job tries out what only a job can try out: a credential, a right, a path.
    pub fn is_probe(&self) -> bool {
        self.probe
    }
}

impl Drop for Permit {
    /// A probe that ended without evidence frees the way for the next one.
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
    pub async fn acquire(&self) -> Permit {
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

    /// Resolves when it is time to ask a service that is out whether it works again. Cancel-safe.
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
        let outages = state.open.iter().flatten().filter(|open| open.halt.trouble == Trouble::Outage);
        outages.map(|open| (open.halt.service, open.probe_at)).collect::<Vec<_>>().into_iter()
    }

    /// The way is free, or the time of the next probe by a job, if none is under way. Nothing is taken in an outage:
    /// no job is needed to see its end.
    fn try_acquire(&self, now: Instant) -> Result<Permit, Option<Instant>> {
        let mut state = self.lock();
        let mut latest: Option<Instant> = None;
        for open in state.open.iter().flatten() {
            if open.probing || open.halt.trouble == Trouble::Outage {
                return Err(None);
            }
            latest = latest.max(Some(open.probe_at));
        }
        let Some(probe_at) = latest else {
            return Ok(Permit { breakers: self.clone(), probe: false });
        };
        if probe_at > now {
            return Err(Some(probe_at));
        }
        for open in state.open.iter_mut().flatten() {
            open.probing = true;
        }
        Ok(Permit { breakers: self.clone(), probe: true })
    }

    /// The service did its part of this step.
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

    /// The service did what takes every right there is.
    pub fn permitted(&self, service: Service) {
        let mut state = self.lock();
        if service == Service::Bynder {
            state.writes.permitted();
        }
        self.close(state, service, |_| true);
    }

    /// A probe found the service at work.
    pub fn answers_again(&self, service: Service) {
        self.close(self.lock(), service, |trouble| trouble == Trouble::Outage);
    }

    /// Another asset's file may be read, so each refusal was its own asset's.
    pub fn may_read(&self) {
        let mut state = self.lock();
        state.reads = Refusals::default();
        self.close(state, Service::Bynder, |trouble| trouble == Trouble::ReadRefused);
    }

    fn close(
        &self,
        mut state: std::sync::MutexGuard<'_, State>,
        service: Service,
        closes: impl Fn(Trouble) -> bool,
    ) {
        let open = &mut state.open[service as usize];
        let was_open = open.take_if(|open| closes(open.halt.trouble)).is_some();
        drop(state);
        if was_open {
            tracing::info!(service = service.name(), "the service can be used again; jobs are taken again");
        }
        self.shared.changed.notify_waiters();
    }

    /// A step failed while the service answered a call that concerns no asset, or could not be asked.
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

    /// Nothing works with this service now, whatever the job.
    pub fn halt_for(&self, service: Service, trouble: Trouble, reason: &str) -> Blame {
        let now = Instant::now();
        let mut state = self.lock();
        let open = &mut state.open[service as usize];
        if let Some(open) = open {
            // Jobs that were under way when it opened fail as well: only a probe's failure lengthens the pause.
            if open.probing || trouble == Trouble::Outage && open.probe_at <= now {
                open.pause = (open.pause * 2).min(LONGEST_PAUSE);
                open.probe_at = now + open.pause;
                open.probing = false;
            }
            open.halt.trouble = trouble;
            reason.clone_into(&mut open.halt.reason);
            return Blame::Service;
        }
        *open = Some(Open {
            halt: Halt { service, trouble, reason: reason.to_owned(), since: now },
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

    /// Bynder refuses to write: this job's own only where others were permitted and it alone was refused since.
    pub fn write_refused(&self, job: &JobId, reason: &str) -> Blame {
        if self.lock().writes.is_jobs_own(job) {
            return Blame::Job;
        }
        self.halt_for(Service::Bynder, Trouble::WriteRefused, reason)
    }

    /// Imatag refuses the job: its directory is at fault until too many jobs in a row were refused.
    pub fn submit_refused(&self, job: &JobId, reason: &str) -> Blame {
        if self.lock().submits.refused(job, MOST_SUBMITS_REFUSED) {
            return Blame::Job;
        }
        self.halt_for(Service::Imatag, Trouble::WriteRefused, reason)
    }

    /// A refusal to read the job's asset: its own until too many assets in a row were refused. `None`: another asset
    /// has to be tried, and [`Breakers::may_read`] or [`Breakers::halt_for`] follows.
    pub fn read_refused(&self, job: &JobId) -> Option<Blame> {
        self.lock().reads.refused(job, MOST_READS_REFUSED).then_some(Blame::Job)
    }

    /// The steps that may be taken now.
    pub fn steps(&self) -> StepSet {
        self.lock().slowdowns.open(Instant::now())
    }

    /// Takes the turn of a step; `None` where another job has it.
    pub fn turn(&self, step: Step) -> Option<Turn> {
        let limited = self.lock().slowdowns.begin(step, Instant::now())?;
        Some(Turn::new(self.clone(), step, limited))
    }

    fn end_turn(&self, step: Step) {
        self.lock().slowdowns.end(step);
    }

    /// Whether jobs are taken one at a time in this step.
    pub fn is_slowed(&self, step: Step) -> bool {
        self.lock().slowdowns.is_slowed(step)
    }

    /// Whether a service's breaker is open.
    pub fn is_open(&self, service: Service) -> bool {
        self.lock().open[service as usize].is_some()
    }

    /// Whether the service is known to be out.
    pub fn is_out(&self, service: Service) -> bool {
        let state = self.lock();
        state.open[service as usize].as_ref().is_some_and(|open| open.halt.trouble == Trouble::Outage)
    }

    /// The open breaker, the one that needs a person first.
    pub fn halt(&self) -> Option<Halt> {
        let state = self.lock();
        let halts = state.open.iter().flatten().map(|open| &open.halt);
        halts.max_by_key(|halt| halt.trouble != Trouble::Outage).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
