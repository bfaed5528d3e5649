//! A step that fails job after job although its service answers is taken one job at a time, more and more slowly. So a
//! fault of one kind of request uses up few jobs, while jobs that fail for reasons of their own still come to their end.

use std::time::Duration;

use common::job::{JobId, Step};
use queue::StepSet;
use tokio::time::Instant;

use super::{Breakers, Service};

/// Different jobs in a row that fail before the step is slowed.
const JOBS_TO_SLOW: usize = 5;

/// How long a slowed step pauses between two jobs; the pause doubles from the first to the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// After the first failure.
    pub first: Duration,
    /// After many.
    pub longest: Duration,
}

impl Pace {
    /// The pace that fits these waits: the shortest and the last but one.
    pub fn of_rungs(rungs: &[Duration]) -> Self {
        Self { first: rungs[0], longest: rungs[rungs.len().saturating_sub(2)] }
    }
}

/// The failures of every step, by the service they happened at.
#[derive(Debug, Default)]
pub(super) struct Slowdowns {
    streaks: [[Streak; Service::ALL.len()]; 3],
    under_way: [bool; 3],
}

/// Failures in a row of one step at one service.
#[derive(Debug, Default)]
struct Streak {
    /// Different jobs, as many as matter.
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

    /// Notes a failure. Whether the step is slow from now on.
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

    /// Whether a job may begin this step now.
    fn may_begin(&self, step: Step, now: Instant) -> bool {
        let is_due =
            self.streaks[step as usize].iter().all(|streak| streak.next.is_none_or(|next| next <= now));
        !self.is_slowed(step) || is_due && !self.under_way[step as usize]
    }

    pub(super) fn open(&self, now: Instant) -> StepSet {
        let closed = Step::LATEST_FIRST.into_iter().filter(|step| !self.may_begin(*step, now));
        closed.fold(StepSet::ALL, |open, step| open.without(StepSet::of(step)))
    }

    /// Begins a step. `None`: not now; else whether it is the one job of a slowed step.
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

/// The right to work on a job in a step; in a slowed one, nobody else has it meanwhile.
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
