//! How far a finished walk moves the cursor: never over anything that no run has covered. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::scope::Scope;

/// A finished walk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Walked {
    /// What it covered.
    pub(crate) scope: Scope,
    /// When it started.
    pub(crate) started: Timestamp,
    /// Whether the portal sent its time, so that `started` is by its clock.
    pub(crate) by_portal: bool,
    /// The latest change among the assets that it saw.
    pub(crate) latest_change: Option<Timestamp>,
}

/// Where the next delta run begins, from the cursor at the start of the walk.
pub(crate) fn since(cursor: Option<Timestamp>, overlap: Duration) -> Option<Timestamp> {
    let overlap = SignedDuration::try_from(overlap).unwrap_or(SignedDuration::MAX);
    cursor.map(|cursor| cursor.checked_sub(overlap).unwrap_or(Timestamp::MIN))
}

/// The cursor after a walk over everything that the configuration covers; `None` leaves it unchanged.
pub(crate) fn after(walked: &Walked, cursor: Option<Timestamp>, overlap: Duration) -> Option<Timestamp> {
    let gap = match (walked.scope, since(cursor, overlap)) {
        (Scope::Full, _) | (Scope::Since(_) | Scope::WholeSince(_), None) => false,
        (Scope::Since(from) | Scope::WholeSince(from), Some(due)) => from > due,
    };
    match (gap, walked.by_portal) {
        (true, _) => None,
        (false, true) => Some(walked.started),
        // This machine's clock may be ahead, but what the walk saw is certain.
        (false, false) => walked.latest_change.map(|latest| latest.min(walked.started)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OVERLAP: Duration = Duration::from_mins(15);

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minute * 60).unwrap()
    }

    fn walked(scope: Scope) -> Walked {
        Walked { scope, started: at(1000), by_portal: true, latest_change: Some(at(900)) }
    }

    #[test]
    fn a_walk_moves_the_cursor_unless_it_leaves_a_gap_behind_it() {
        let table = [
            (Scope::Full, Some(at(500)), Some(at(1000))),
            (Scope::Full, None, Some(at(1000))),
            // The first run over a library may begin anywhere.
            (Scope::Since(at(700)), None, Some(at(1000))),
            (Scope::Since(at(485)), Some(at(500)), Some(at(1000))),
            (Scope::Since(at(100)), Some(at(500)), Some(at(1000))),
            // What changed before the cursor may have been listed only after it.
            (Scope::Since(at(486)), Some(at(500)), None),
            (Scope::Since(at(700)), Some(at(500)), None),
        ];
        for (scope, cursor, expected) in table {
            assert_eq!(after(&walked(scope), cursor, OVERLAP), expected, "{scope:?} from {cursor:?}");
        }
    }

    #[test]
    fn without_the_portals_clock_the_cursor_does_not_pass_what_was_seen() {
        let walked = Walked { by_portal: false, ..walked(Scope::Full) };
        assert_eq!(after(&walked, Some(at(500)), OVERLAP), Some(at(900)));
        let ahead = Walked { latest_change: Some(at(2000)), ..walked };
        assert_eq!(after(&ahead, None, OVERLAP), Some(at(1000)));
        let nothing = Walked { latest_change: None, ..walked };
        assert_eq!(after(&nothing, Some(at(500)), OVERLAP), None);
    }
}
