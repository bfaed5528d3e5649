//! The clock that nobody sets: time since boot, suspended time included.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Time since boot; `None` where the kernel has no such clock, so that nothing counts as recent.
/// [`std::time::Instant`] stands still while a machine sleeps; leases and shares do not.
pub fn since_boot() -> Option<Duration> {
    clock_gettime(ClockId::CLOCK_BOOTTIME).ok().map(Duration::from)
}
