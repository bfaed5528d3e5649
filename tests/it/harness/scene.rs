//! Faults of the services that many scenes share.

use std::time::Duration;

use common::config::Span;
use sandbox::faults::{Action, Faults, Moment, Rule};

/// Every request to this endpoint takes this much longer, before anything is done.
pub(crate) fn slow(endpoint: &str, by: Duration) -> Faults {
    Faults { seed: 1, rules: vec![rule(endpoint, None, Action::Delay(Span(by)))] }
}

/// The first request to this endpoint takes this much longer, before anything is done.
pub(crate) fn slow_once(endpoint: &str, by: Duration) -> Faults {
    Faults { seed: 1, rules: vec![rule(endpoint, Some(1), Action::Delay(Span(by)))] }
}

/// The answer to the first request to this endpoint does not arrive: it was done, and the client does not learn it.
pub(crate) fn lost_once(endpoint: &str) -> Faults {
    let rule = Rule { moment: Moment::After, ..rule(endpoint, Some(1), Action::Reset) };
    Faults { seed: 1, rules: vec![rule] }
}

/// Hits requests to this endpoint before anything is done.
pub(crate) fn rule(endpoint: &str, times: Option<u64>, action: Action) -> Rule {
    Rule { endpoint: endpoint.to_owned(), probability: 1.0, skip: 0, times, moment: Moment::Before, action }
}
