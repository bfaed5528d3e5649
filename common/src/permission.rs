//! The right to change an asset, as a client asks for it: the last thing before a request, after all that it waits for.

use std::fmt;
use std::sync::Arc;

use crate::queue::QueueError;

/// Whether an asset may be changed still; clones share it.
#[derive(Clone)]
pub struct Permission(Arc<dyn Fn() -> Result<(), QueueError> + Send + Sync>);

impl Permission {
    /// By this check.
    pub fn new(check: impl Fn() -> Result<(), QueueError> + Send + Sync + 'static) -> Self {
        Self(Arc::new(check))
    }

    /// Fails unless the asset may be changed, as far as can be known.
    pub fn check(&self) -> Result<(), QueueError> {
        (self.0)()
    }
}

impl fmt::Debug for Permission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Permission")
    }
}
