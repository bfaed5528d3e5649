//! Counts the library during a walk over all of it: each asset by the decision that the walk makes anyway.

use jiff::Timestamp;
use ledger::LibraryCounts;
use serde::{Deserialize, Serialize};

use super::Fate;
use crate::enumerate::WalkPosition;
use crate::select::SkipReason;

/// The count of a walk, as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// How many assets the portal lists without any filter, if it counts them.
    library: Option<u64>,
    counts: LibraryCounts,
    /// Rows that a resumed walk reads again, by the date that the walk goes by.
    recent: Vec<(Timestamp, State)>,
    /// The request that these rows came with.
    request: usize,
    /// Earlier rows of this request were counted before the walk was resumed.
    resumed_from: Option<Timestamp>,
}

/// What a resumed walk needs of the count before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counted {
    library: Option<u64>,
    #[serde(flatten)]
    counts: LibraryCounts,
}

/// The state of an asset, by the name of its count.
#[derive(Debug, Clone, Copy)]
enum State {
    Protected,
    Unprotected,
    OptedOut,
    Failed,
    Unsupported,
    FilteredOut,
}

impl Census {
    /// The count of a walk that begins, of a library that lists this many assets.
    pub(super) fn of(library: Option<u64>) -> Self {
        Self { library, ..Self::default() }
    }

    /// Continues the count of a walk that was interrupted.
    pub(super) fn resumed(counted: Counted, place: &WalkPosition) -> Self {
        let Counted { library, counts } = counted;
        let (request, resumed_from) = place.bound();
        Self { library, counts, request, resumed_from, ..Self::default() }
    }

    /// Counts an asset.
    pub(super) fn count(&mut self, created: Timestamp, fate: Fate) {
        if self.resumed_from.is_some_and(|from| created < from) {
            return;
        }
        if let Some(state) = state(fate) {
            self.recent.push((created, state));
        }
    }

    /// Counts rows of which nothing is known.
    pub(super) fn count_unreadable(&mut self, rows: usize) {
        self.counts.unprotected += rows as u64;
    }

    /// What is settled if the walk resumes from this position.
    pub(super) fn settled(&mut self, next: &WalkPosition) -> Counted {
        let (request, from) = next.bound();
        let is_read_again = |at: Timestamp| request == self.request && from.is_none_or(|from| at >= from);
        let (again, settled) =
            std::mem::take(&mut self.recent).into_iter().partition(|(at, _)| is_read_again(*at));
        self.resumed_from = self.resumed_from.filter(|_| request == self.request);
        self.request = request;
        self.recent = again;
        add(&mut self.counts, &settled);
        Counted { library: self.library, counts: self.counts }
    }

    /// The count at the end of the walk.
    pub(super) fn finish(mut self) -> LibraryCounts {
        add(&mut self.counts, &self.recent);
        // Most filters are Bynder's work: what they leave out is not listed.
        let seen = self.counts.total() - self.counts.filtered_out;
        let others = self.library.map_or(0, |library| library.saturating_sub(seen));
        self.counts.filtered_out = self.counts.filtered_out.max(others);
        self.counts
    }
}

fn add(counts: &mut LibraryCounts, states: &[(Timestamp, State)]) {
    for (_, state) in states {
        *match state {
            State::Protected => &mut counts.protected,
            State::Unprotected => &mut counts.unprotected,
            State::OptedOut => &mut counts.opted_out,
            State::Failed => &mut counts.failed,
            State::Unsupported => &mut counts.unsupported,
            State::FilteredOut => &mut counts.filtered_out,
        } += 1;
    }
}

fn state(fate: Fate) -> Option<State> {
    Some(match fate {
        Fate::Published => State::Unprotected,
        Fate::Left(reason) => match reason {
            // The listing does not show yet what a job saved.
            SkipReason::Unchanged | SkipReason::ListingBehind => State::Protected,
            SkipReason::Filtered(_) => State::FilteredOut,
            SkipReason::OptedOut => State::OptedOut,
            SkipReason::FailedBefore => State::Failed,
            SkipReason::Unsupported => State::Unsupported,
            SkipReason::JobOpen
            | SkipReason::AwaitingApproval
            | SkipReason::VersionUnknown
            | SkipReason::Copy
            | SkipReason::Unreadable
            | SkipReason::NotAskedFor
            | SkipReason::Postponed => State::Unprotected,
        },
        Fate::Gone | Fate::Limited => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn position(request: usize, from: i64) -> WalkPosition {
        let position = serde_json::json!({ "from": at(from).to_string() });
        serde_json::from_value(serde_json::json!({ "request": request, "position": position })).unwrap()
    }

    #[test]
    fn what_a_resumed_walk_reads_again_is_counted_once() {
        let protected = Fate::Left(SkipReason::Unchanged);
        let mut walk = Census::of(Some(9));
        for second in [1, 2, 3, 3] {
            walk.count(at(second), protected);
        }
        let counted = walk.settled(&position(0, 3));
        assert_eq!(counted.counts.protected, 2, "the rows of the last second are read again");
        // As it is kept in the state file.
        let kept = serde_json::from_str(&serde_json::to_string(&counted).unwrap()).unwrap();
        let mut resumed = Census::resumed(kept, &position(0, 3));
        // The walk reads from a second earlier.
        resumed.count(at(2), protected);
        for fate in [protected, protected, Fate::Published, Fate::Gone] {
            resumed.count(at(3), fate);
        }
        let counts = resumed.finish();
        assert_eq!((counts.protected, counts.unprotected, counts.filtered_out), (4, 1, 4));
    }

    #[test]
    fn rows_of_an_earlier_request_are_not_read_again() {
        let mut walk = Census::of(None);
        walk.count(at(9), Fate::Published);
        assert_eq!(walk.settled(&position(1, 0)).counts.unprotected, 1);
        walk.count(at(1), Fate::Left(SkipReason::OptedOut));
        walk.count_unreadable(1);
        assert_eq!(walk.settled(&position(1, 1)).counts.opted_out, 0);
        let counts = walk.finish();
        assert_eq!((counts.unprotected, counts.opted_out, counts.filtered_out), (2, 1, 0));
    }

    #[test]
    fn a_walk_that_resumes_in_a_later_request_reads_its_last_rows_again() {
        let counted = Census::of(None).settled(&position(1, 3));
        let mut resumed = Census::resumed(counted, &position(1, 3));
        resumed.count(at(3), Fate::Published);
        assert_eq!(resumed.settled(&position(1, 3)).counts.unprotected, 0);
        assert_eq!(resumed.finish().unprotected, 1);
    }

    #[test]
    fn what_bynder_leaves_out_is_the_rest_of_the_library() {
        let by = crate::filter::FilteredBy::Types;
        let mut walk = Census::of(Some(1));
        for fate in [Fate::Published, Fate::Left(SkipReason::Filtered(by))] {
            walk.count(at(1), fate);
        }
        // People delete assets during the walk.
        assert_eq!(walk.finish().filtered_out, 1);
    }
}
