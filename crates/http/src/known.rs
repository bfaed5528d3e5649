//! The secrets that this process signs requests with. No service may repeat one, not even that of another service:
//! storage has no credential of its own, and may have learnt the portal's.

use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock};

use secrecy::{ExposeSecret, SecretString};

use super::Redactor;

/// The most issued tokens that are known: those in use, and those before them.
const MOST_ISSUED: usize = 8;

static KNOWN: RwLock<Known> = RwLock::new(Known { configured: Vec::new(), issued: VecDeque::new() });

struct Known {
    /// The configuration has few.
    configured: Vec<SecretString>,
    issued: VecDeque<SecretString>,
}

/// Adds a secret of the configuration to those that no service may repeat.
pub fn remember(secret: &SecretString) {
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    if !holds(&known.configured, secret) {
        known.configured.push(secret.clone());
    }
}

/// Adds an issued token to those that no service may repeat, except where tokens are issued.
pub(super) fn remember_issued(token: &SecretString) {
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    if !holds(&known.issued, token) {
        known.issued.push_front(token.clone());
        known.issued.truncate(MOST_ISSUED);
    }
}

/// All of them, except short ones, which may be any word.
pub fn known_secrets() -> Redactor {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    Redactor::passwords(known.configured.iter().chain(&known.issued).map(ExposeSecret::expose_secret))
}

/// Those of the configuration.
pub(super) fn configured_secrets() -> Redactor {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    Redactor::passwords(known.configured.iter().map(ExposeSecret::expose_secret))
}

fn holds<'a>(secrets: impl IntoIterator<Item = &'a SecretString>, secret: &SecretString) -> bool {
    secrets.into_iter().any(|known| known.expose_secret() == secret.expose_secret())
}
