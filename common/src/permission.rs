//! The right to change an asset, as a client asks for it: the last thing before a request, after all that it waits for.

use std::fmt;
use std::sync::Arc;

/// Whether an asset may be changed still, or `E`, which says why not; clones share it.
pub struct Permission<E>(Arc<dyn Fn() -> Result<(), E> + Send + Sync>);

impl<E: fmt::Display + 'static> Permission<E> {
    /// By this check.
    pub fn new(check: impl Fn() -> Result<(), E> + Send + Sync + 'static) -> Self {
        Self(Arc::new(check))
    }

    /// Fails unless the asset may be changed, as far as can be known.
    pub fn check(&self) -> Result<(), E> {
        (self.0)()
    }

    /// The same for a client, which only reports why not.
    pub fn in_words(self) -> Permission<String> {
        Permission::new(move || self.check().map_err(|error| error.to_string()))
    }
}

impl<E> Clone for Permission<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E> fmt::Debug for Permission<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Permission")
    }
}
