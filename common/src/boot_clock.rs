//! A clock that cannot be set: time since boot, including time suspended.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Time since boot; `None` if the kernel has no such clock, and callers must then treat nothing as recent.
/// [`std::time::Instant`] stops while the machine is suspended; leases and tokens do not.
pub fn since_boot() -> Option<Duration> {
    clock_gettime(ClockId::CLOCK_BOOTTIME).ok().map(Duration::from)
}
