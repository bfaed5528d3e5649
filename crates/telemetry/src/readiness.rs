//! Whether this process can do its work now, for load balancers and monitoring.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Named conditions, which all have to hold; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    conditions: Arc<Mutex<Conditions>>,
}

type Conditions = BTreeMap<&'static str, Result<(), String>>;

impl Readiness {
    /// Sets whether a condition holds, or why it does not.
    pub fn set(&self, condition: &'static str, state: Result<(), String>) {
        self.lock().insert(condition, state);
    }

    /// Why this process is not ready, one line per condition; empty if it is ready.
    pub fn reasons(&self) -> Vec<String> {
        let conditions = self.lock();
        let unmet = conditions.iter().filter_map(|(name, state)| Some((name, state.as_ref().err()?)));
        unmet.map(|(name, reason)| format!("{name}: {reason}")).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Conditions> {
        self.conditions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
