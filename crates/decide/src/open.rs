//! Which jobs are worth taking right now.

use queue::StepSet;

/// What keeps due jobs from being worked on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Obstacles {
    /// The maximum number of files is being uploaded to Imatag, or is about to be.
    pub no_submit_slot: bool,
    /// Imatag asked to wait.
    pub imatag_paused: bool,
    /// Quiet hours pause the backlog, or its calls already use the request budget up.
    pub backlog_paused: bool,
}

/// Those of `steps` whose jobs can be worked on. Other jobs stay in their queue, where they hold no permit and cost
/// no request, and another process may take them.
pub fn open_steps(steps: StepSet, obstacles: Obstacles) -> StepSet {
    let closed = [
        (obstacles.no_submit_slot, StepSet::SUBMIT),
        (obstacles.imatag_paused, StepSet::AT_IMATAG),
        (obstacles.backlog_paused, StepSet::SUBMIT_BACKLOG),
    ];
    closed.into_iter().filter(|(applies, _)| *applies).fold(steps, |open, (_, closed)| open.without(closed))
}

#[cfg(test)]
mod tests {
    use common::job::{Lane, Step};

    use super::*;

    #[test]
    fn each_obstacle_closes_what_it_concerns_and_a_save_stays_open() {
        let none = Obstacles::default();
        assert_eq!(open_steps(StepSet::ALL, none), StepSet::ALL);
        let all = Obstacles { no_submit_slot: true, imatag_paused: true, backlog_paused: true };
        let table = [
            (Obstacles { no_submit_slot: true, ..none }, (true, false, false)),
            (Obstacles { imatag_paused: true, ..none }, (false, false, false)),
            (Obstacles { backlog_paused: true, ..none }, (true, true, false)),
            (all, (false, false, false)),
        ];
        for (obstacles, (transfer, fresh, backlog)) in table {
            let open = open_steps(StepSet::ALL, obstacles);
            assert!(open.holds(Step::Save, Lane::Backlog), "{obstacles:?}");
            assert_eq!(open.holds(Step::Transfer, Lane::Backlog), transfer, "{obstacles:?}");
            assert_eq!(open.holds(Step::Submit, Lane::Fresh), fresh, "{obstacles:?}");
            assert_eq!(open.holds(Step::Submit, Lane::Backlog), backlog, "{obstacles:?}");
        }
        assert!(open_steps(StepSet::SUBMIT, all).is_empty());
    }
}
