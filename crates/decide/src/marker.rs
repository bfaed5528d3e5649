//! What it means that a check does not show a marker that was written.

/// Checks that do not show the marker before it is written again.
const CHECKS_BEFORE_WRITING_AGAIN: u32 = 3;
/// Checks that do not show the marker before the metaproperty counts as one that stores nothing.
const MOST_CHECKS: u32 = 9;

/// What to do about a marker that does not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnshownMarker {
    WriteAgain,
    /// The last write may still become visible.
    Wait,
    /// Bynder does not keep it: nothing may be saved.
    GiveUp,
}

/// Decides by the number of checks that have not shown it.
pub fn unshown_marker(checks: u32) -> UnshownMarker {
    if checks >= MOST_CHECKS {
        UnshownMarker::GiveUp
    } else if checks.is_multiple_of(CHECKS_BEFORE_WRITING_AGAIN) {
        UnshownMarker::WriteAgain
    } else {
        UnshownMarker::Wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_that_does_not_show_is_written_three_times_and_then_given_up() {
        let decided: Vec<_> = (0..=10).map(unshown_marker).collect();
        let third = [UnshownMarker::WriteAgain, UnshownMarker::Wait, UnshownMarker::Wait];
        assert_eq!(decided[..9], third.repeat(3));
        assert_eq!(decided[9..], [UnshownMarker::GiveUp; 2]);
    }
}
