//! If a step fails job after job although its service answers, it takes one job at a time, more and more slowly. So
//! a fault of one kind of request uses up few jobs, and jobs that fail for their own reasons still end.

use std::time::Duration;

use common::job::{JobId, Step};
use queue::StepSet;
use tokio::time::Instant;

use super::{Breakers, Service};
use decide::Rungs;

/// Different jobs in a row that fail before the step is slowed.
const JOBS_TO_SLOW: usize = 5;

/// How long a slowed step pauses between two jobs; the pause doubles from the first to the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// After the first failure.
    pub first: Duration,
    /// After many failures.
    pub longest: Duration,
}

impl Pace {
    pub fn of_rungs(rungs: &Rungs) -> Self {
        Self { first: rungs.moment(), longest: rungs.longest_pause() }
    }
}

/// The failures of every step, by the service where they happened.
#[derive(Debug, Default)]
pub(super) struct Slowdowns {
    streaks: [[Streak; Service::ALL.len()]; 3],
    under_way: [bool; 3],
}

/// Consecutive failures of one step at one service.
#[derive(Debug, Default)]
struct Streak {
    /// The different jobs that failed, up to the number that matters.
    jobs: Vec<JobId>,
    pause: Duration,
    next: Option<Instant>,
}

impl Streak {
    fn is_slow(&self) -> bool {
        self.jobs.len() >= JOBS_TO_SLOW
    }
}

impl Slowdowns {
    pub(super) fn succeeded(&mut self, service: Service, step: Step) {
        self.streaks[step as usize][service as usize] = Streak::default();
    }

    /// Records a failure. Returns whether it slowed the step.
    pub(super) fn failed(
        &mut self,
        service: Service,
        step: Step,
        job: &JobId,
        pace: Pace,
        now: Instant,
    ) -> bool {
        let streak = &mut self.streaks[step as usize][service as usize];
        let was_slow = streak.is_slow();
        if !was_slow && !streak.jobs.contains(job) {
            streak.jobs.push(job.clone());
        }
        if streak.is_slow() {
            streak.pause = (streak.pause * 2).clamp(pace.first, pace.longest.max(pace.first));
            streak.next = Some(now + streak.pause);
        }
        streak.is_slow() && !was_slow
    }

    pub(super) fn is_slowed(&self, step: Step) -> bool {
        self.streaks[step as usize].iter().any(Streak::is_slow)
    }

    /// Whether a job may start this step now.
    fn may_begin(&self, step: Step, now: Instant) -> bool {
        let is_due =
            self.streaks[step as usize].iter().all(|streak| streak.next.is_none_or(|next| next <= now));
        !self.is_slowed(step) || is_due && !self.under_way[step as usize]
    }

    pub(super) fn open(&self, now: Instant) -> StepSet {
        let closed = Step::LATEST_FIRST.into_iter().filter(|step| !self.may_begin(*step, now));
        closed.fold(StepSet::ALL, |open, step| open.without(StepSet::of(step)))
    }

    /// Starts a step. Returns whether this is the one job of a slowed step; `None`: not now.
    pub(super) fn begin(&mut self, step: Step, now: Instant) -> Option<bool> {
        if !self.may_begin(step, now) {
            return None;
        }
        let limited = self.is_slowed(step);
        self.under_way[step as usize] |= limited;
        Some(limited)
    }

    pub(super) fn end(&mut self, step: Step) {
        self.under_way[step as usize] = false;
    }
}

/// The right to work on a job in a step; in a slowed step, only one job has it at a time.
#[derive(Debug)]
pub struct Turn {
    breakers: Breakers,
    step: Step,
    limited: bool,
}

impl Turn {
    pub(super) fn new(breakers: Breakers, step: Step, limited: bool) -> Self {
        Self { breakers, step, limited }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.limited {
            self.breakers.end_turn(self.step);
        }
    }
}
