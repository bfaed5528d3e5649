//! Whether this process can do its work right now, for whoever routes to it or watches it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Named conditions, all of which have to hold; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    conditions: Arc<Mutex<Conditions>>,
}

type Conditions = BTreeMap<&'static str, Result<(), String>>;

impl Readiness {
    /// The condition holds, or does not for this reason.
    pub fn set(&self, condition: &'static str, state: Result<(), String>) {
        self.lock().insert(condition, state);
    }

    /// Why this process is not ready, a line a condition; empty if it is.
    pub fn reasons(&self) -> Vec<String> {
        let conditions = self.lock();
        let unmet = conditions.iter().filter_map(|(name, state)| Some((name, state.as_ref().err()?)));
        unmet.map(|(name, reason)| format!("{name}: {reason}")).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Conditions> {
        self.conditions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
