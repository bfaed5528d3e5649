//! The sole right to touch an asset.

use std::fmt;

use super::QueueError;
use super::delivery::Guard;
use crate::permission::Permission;

/// The sole right to touch an asset; dropping it gives the right back.
pub struct Lease {
    _guard: Option<Guard>,
    permission: Permission,
}

impl Lease {
    pub(super) fn held(
        guard: Guard,
        check: impl Fn() -> Result<(), QueueError> + Send + Sync + 'static,
    ) -> Self {
        Self { _guard: Some(guard), permission: Permission::new(check) }
    }

    /// A lease of nothing, for tests that show what leases are for.
    pub(super) fn free() -> Self {
        Self { _guard: None, permission: Permission::new(|| Ok(())) }
    }

    /// Fails unless the lease is still held, as far as can be known.
    pub fn check(&self) -> Result<(), QueueError> {
        self.permission.check()
    }

    /// The right that comes with the lease, for the clients that change the asset under it.
    pub fn permission(&self) -> Permission {
        self.permission.clone()
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Lease")
    }
}
