//! How long things take around the budget: Bynder's window, and what follows from it for a group of processes.

use std::time::Duration;

use crate::fault;

/// Bynder's window: so many requests are allowed in any stretch of this length.
const WINDOW: Duration = Duration::from_mins(5);

/// The times that a member of an egress group keeps to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The stretch in which requests are counted.
    pub window: Duration,
    /// The silence after a 429: the block of five minutes, and half a minute for requests that were under way.
    pub pause: Duration,
    /// How often a member announces itself.
    pub beat: Duration,
    /// Without an announcement of its own coming back for so long, a member makes no call.
    pub contact: Duration,
    /// How long a higher claim is known to everybody in contact before it is used; longer than `contact`.
    pub guard: Duration,
    /// When a member that fell silent is forgotten and its share given away; it stopped by itself long before.
    pub forget: Duration,
    /// How long the group goes slowly after a pause.
    pub ramp: Duration,
    /// How long the first call after a pause may take before another member tries.
    pub canary: Duration,
    /// The longest a call waits for its turn before its job gives its place to others.
    pub patience: Duration,
}

impl Timing {
    /// The times for Bynder as it is.
    pub fn real() -> Self {
        let divided = |duration: Duration| duration / fault::time_scale();
        let seconds = |seconds| divided(Duration::from_secs(seconds));
        Self {
            window: divided(WINDOW),
            pause: seconds(330),
            beat: seconds(2),
            contact: seconds(6),
            guard: seconds(8),
            forget: seconds(20),
            ramp: seconds(30),
            canary: seconds(60),
            patience: Duration::from_mins(2),
        }
    }
}
