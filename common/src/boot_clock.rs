//! The clock that nobody sets: time since boot, suspended time included.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Time since boot. [`std::time::Instant`] stands still while a machine sleeps; leases and shares do not.
pub fn since_boot() -> Duration {
    // The call fails only where the kernel has no such clock; then nothing ever counts as recent.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::MAX, Duration::from)
}
