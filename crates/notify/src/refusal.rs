//! Why a receiver did not take a message.

use http_client::{excerpt, prose};

/// Who can mend it, and whether to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Another attempt may succeed.
    TryAgain,
    /// The address or another setting is wrong.
    Settings,
    /// User, password or the secret in the address is wrong.
    Credential,
}

/// A message that was not taken. Its text repeats nothing of the receiver's answer but numbers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    pub remedy: Remedy,
    pub reason: String,
}

impl Refusal {
    pub(crate) fn new(remedy: Remedy, reason: impl Into<String>) -> Self {
        Self { remedy, reason: reason.into() }
    }
}

/// The text of the innermost error, which alone says what happened.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    excerpt(&prose(&deepest.to_string()))
}
