//! The durations around the budget: Bynder's window, and what follows from it.

use std::time::Duration;

use common::fault;

/// Bynder's window: its limit applies to any period of this length.
const WINDOW: Duration = Duration::from_mins(5);
/// The fraction of the budget that may be used right after a silence.
pub(super) const RAMP: f64 = 0.25;

/// The durations that all processes behind one address use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The period over which Bynder counts requests.
    pub window: Duration,
    /// The silence after a 429: the block of five minutes, and half a minute for requests that were in flight.
    pub pause: Duration,
    /// How often a process announces itself and checks the group's record.
    pub beat: Duration,
    /// After this time without an announcement, the number of deliveries that a member holds counts as unknown. A recorded
    /// silence is trusted for as long, and is checked again within it.
    pub contact: Duration,
    /// A member that has not announced itself for this long is dropped from the group.
    pub forget: Duration,
    /// How long the group uses only a quarter of its budget after a silence.
    pub ramp: Duration,
    /// How long to wait for the answer to the first call after a silence before another one is tried.
    pub canary: Duration,
    /// How long a call waits before it gives up, so that its job frees its permit.
    pub patience: Duration,
}

impl Timing {
    /// The durations for Bynder, divided by the time scale of a test build.
    pub fn real() -> Self {
        let divided = |duration: Duration| duration / fault::time_scale();
        let seconds = |seconds| divided(Duration::from_secs(seconds));
        Self {
            window: divided(WINDOW),
            pause: seconds(330),
            beat: seconds(2),
            contact: seconds(6),
            forget: seconds(20),
            ramp: seconds(30),
            canary: seconds(60),
            patience: Duration::from_mins(2),
        }
    }
}
