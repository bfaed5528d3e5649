//! The permission to change an asset. A client checks it right before a request, after everything that it waits for.

use std::fmt;
use std::sync::Arc;

/// Whether an asset may still be changed, or else why not, as `E`; clones share it.
pub struct Permission<E>(Arc<dyn Fn() -> Result<(), E> + Send + Sync>);

impl<E: fmt::Display + 'static> Permission<E> {
    pub fn new(check: impl Fn() -> Result<(), E> + Send + Sync + 'static) -> Self {
        Self(Arc::new(check))
    }

    /// Fails unless the asset may still be changed, as far as is known.
    pub fn check(&self) -> Result<(), E> {
        (self.0)()
    }

    /// The same permission for a client, which only needs the reason as text.
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
