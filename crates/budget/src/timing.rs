//! How long things take around the budget: Bynder's window, and what follows from it.

use std::time::Duration;

use common::fault;

/// Bynder's window: so many requests are allowed in any stretch of this length.
const WINDOW: Duration = Duration::from_mins(5);
/// The part of the budget that is used at first after a silence.
pub(super) const RAMP: f64 = 0.25;

/// The times that the processes behind one address keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The stretch in which requests are counted.
    pub window: Duration,
    /// The silence after a 429: the block of five minutes, and half a minute for requests that were under way.
    pub pause: Duration,
    /// How often a process announces itself, and looks at what is on record.
    pub beat: Duration,
    /// What a process that was silent for so long has in hand is not known.
    pub contact: Duration,
    /// When a process that fell silent is forgotten.
    pub forget: Duration,
    /// How long the group goes slowly after a pause.
    pub ramp: Duration,
    /// How long the first call after a pause may take before another is tried.
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
            forget: seconds(20),
            ramp: seconds(30),
            canary: seconds(60),
            patience: Duration::from_mins(2),
        }
    }
}
