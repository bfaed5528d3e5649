//! Faults of the services that many scenes share.

use std::time::Duration;

use sandbox::faults::{Action, Faults, Moment, Rule};

/// Every request to this endpoint takes this much longer, before anything is done.
pub(crate) fn slow(endpoint: &str, by: Duration) -> Faults {
    every(endpoint, Moment::Before, Action::Delay(by))
}

/// The first request to this endpoint takes this much longer, before anything is done.
pub(crate) fn slow_once(endpoint: &str, by: Duration) -> Faults {
    once(endpoint, Moment::Before, Action::Delay(by))
}

/// The answer to the first request to this endpoint does not arrive: it was done, and the client does not learn it.
pub(crate) fn lost_once(endpoint: &str) -> Faults {
    once(endpoint, Moment::After, Action::Reset)
}

/// Hits every request to this endpoint.
pub(crate) fn every(endpoint: &str, moment: Moment, action: Action) -> Faults {
    Faults { seed: 1, rules: vec![Rule { moment, ..rule(endpoint, None, action) }] }
}

/// Hits the first request to this endpoint.
pub(crate) fn once(endpoint: &str, moment: Moment, action: Action) -> Faults {
    Faults { seed: 1, rules: vec![Rule { moment, ..rule(endpoint, Some(1), action) }] }
}

/// Hits requests to this endpoint before anything is done.
pub(crate) fn rule(endpoint: &str, times: Option<u64>, action: Action) -> Rule {
    Rule { endpoint: endpoint.to_owned(), probability: 1.0, skip: 0, times, moment: Moment::Before, action }
}

/// A service that is not at work.
pub(crate) fn unavailable() -> Action {
    Action::Answer { status: 503, body: String::new(), content_type: "text/plain".to_owned() }
}
