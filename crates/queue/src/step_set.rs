//! Which jobs a consumer takes: by step, and for submit jobs by lane as well.

use common::job::{Lane, Step};

/// A set of kinds of job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepSet(u8);

impl StepSet {
    /// Every step.
    pub const ALL: Self = Self(SAVE | TRANSFER | SUBMIT_FRESH | SUBMIT_BACKLOG);
    /// The submit step, of both lanes.
    pub const SUBMIT: Self = Self(SUBMIT_FRESH | SUBMIT_BACKLOG);
    /// The submit step of the backlog only.
    pub const SUBMIT_BACKLOG: Self = Self(SUBMIT_BACKLOG);
    /// The steps that call Imatag.
    pub const AT_IMATAG: Self = Self(TRANSFER | SUBMIT_FRESH | SUBMIT_BACKLOG);

    /// All jobs at one step.
    pub const fn of(step: Step) -> Self {
        Self(kind(step, Lane::Fresh) | kind(step, Lane::Backlog))
    }

    /// The intersection of both sets.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// The set without `others`.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Whether the set is empty. [`JobConsumer::next`](crate::JobConsumer::next) then waits for ever; it does not fail.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the set contains the jobs of this lane at this step.
    pub const fn holds(self, step: Step, lane: Lane) -> bool {
        self.0 & kind(step, lane) != 0
    }

    /// The kinds in the set, the fresh lane first: a new picture does not wait for the backlog's jobs that have begun.
    pub fn fresh_first(self) -> impl Iterator<Item = (Step, Lane)> {
        let kinds = [Lane::Fresh, Lane::Backlog]
            .into_iter()
            .flat_map(|lane| Step::LATEST_FIRST.into_iter().map(move |step| (step, lane)));
        kinds.filter(move |(step, lane)| self.holds(*step, *lane))
    }

    /// The kinds in the set, but first those that the backlog has begun.
    pub fn begun_first(self) -> impl Iterator<Item = (Step, Lane)> {
        let is_begun = |(step, lane): &(Step, Lane)| *lane == Lane::Backlog && *step != Step::Submit;
        self.fresh_first().filter(is_begun).chain(self.fresh_first().filter(move |kind| !is_begun(kind)))
    }
}

const SAVE: u8 = 1;
const TRANSFER: u8 = 2;
const SUBMIT_FRESH: u8 = 4;
const SUBMIT_BACKLOG: u8 = 8;

/// Beyond the submit step the lane does not matter: a job that has begun is finished.
const fn kind(step: Step, lane: Lane) -> u8 {
    match (step, lane) {
        (Step::Save, _) => SAVE,
        (Step::Transfer, _) => TRANSFER,
        (Step::Submit, Lane::Fresh) => SUBMIT_FRESH,
        (Step::Submit, Lane::Backlog) => SUBMIT_BACKLOG,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fresh_lane_goes_first_and_now_and_then_what_the_backlog_has_begun() {
        use Lane::{Backlog, Fresh};
        use Step::{Save, Submit, Transfer};
        let fresh = [(Save, Fresh), (Transfer, Fresh), (Submit, Fresh)];
        let begun = [(Save, Backlog), (Transfer, Backlog)];
        let last = [(Submit, Backlog)];
        let all = StepSet::ALL;
        assert_eq!(all.fresh_first().collect::<Vec<_>>(), [&fresh[..], &begun, &last].concat());
        assert_eq!(all.begun_first().collect::<Vec<_>>(), [&begun[..], &fresh, &last].concat());
        assert!(StepSet::SUBMIT.begun_first().eq(StepSet::SUBMIT.fresh_first()));
    }

    #[test]
    fn without_the_backlog_its_jobs_that_have_begun_are_still_meant() {
        let steps = StepSet::ALL.without(StepSet::SUBMIT_BACKLOG);
        assert!(!steps.holds(Step::Submit, Lane::Backlog));
        assert!(steps.holds(Step::Submit, Lane::Fresh));
        assert!(steps.holds(Step::Transfer, Lane::Backlog) && steps.holds(Step::Save, Lane::Backlog));
        assert!(steps.without(StepSet::ALL).is_empty());
    }

    #[test]
    fn saving_alone_needs_no_imatag() {
        let steps = StepSet::ALL.without(StepSet::AT_IMATAG);
        assert!(steps.fresh_first().all(|(step, _)| step == Step::Save) && !steps.is_empty());
    }
}
