//! Faults on demand: which, where, how often, and before or after the effect.

use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::endpoint::Endpoint;
use sample_files::Defect;

/// A set of faults.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// Seed of the choice of requests.
    #[serde(default)]
    pub seed: u64,
    /// The first matching rule applies.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

/// One fault.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The name of an endpoint, or a prefix and `*`.
    pub endpoint: String,
    /// Probability that a request is hit.
    #[serde(default = "always")]
    pub probability: f64,
    /// Number of matching requests to let through first.
    #[serde(default)]
    pub skip: u64,
    /// Maximum number of hits; `None` for all.
    #[serde(default)]
    pub times: Option<u64>,
    /// Before or after the effect.
    #[serde(default)]
    pub moment: Moment,
    /// What happens instead of the response.
    pub action: Action,
}

fn always() -> f64 {
    1.0
}

/// Whether a fault strikes before or after the effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Moment {
    /// The request has no effect.
    #[default]
    Before,
    /// The request takes effect, and the client does not learn of it.
    After,
}

/// What the client gets.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The connection is closed without a response.
    Reset,
    /// There is no response, ever.
    Hang,
    /// Half of the response's body.
    Truncate,
    /// The real response, byte by byte at this interval.
    Trickle(#[serde(with = "duration")] Duration),
    /// The real response after this delay.
    Delay(#[serde(with = "duration")] Duration),
    /// A response that asks to retry later.
    Busy {
        /// 429 or 503.
        status: u16,
        /// The header `Retry-After`, in either form; `None` for a response without it.
        #[serde(default)]
        retry_after: Option<String>,
    },
    /// The real response, with this defect in the watermarked file; for submits.
    Defect(Defect),
    /// Another response.
    Answer {
        status: u16,
        #[serde(default)]
        body: String,
        #[serde(default = "html")]
        content_type: String,
    },
}

fn html() -> String {
    "text/html".to_owned()
}

/// The faults and their state.
#[derive(Debug)]
pub(crate) struct Saboteur {
    rules: Vec<(Rule, u64, u64)>,
    random: StdRng,
}

impl Saboteur {
    pub(crate) fn new(faults: Faults) -> Self {
        let random = StdRng::seed_from_u64(faults.seed);
        Self { rules: faults.rules.into_iter().map(|rule| (rule, 0, 0)).collect(), random }
    }

    /// Counts a request; returns the fault if it is hit.
    pub(crate) fn strike(&mut self, endpoint: Endpoint) -> Option<(Moment, Action)> {
        for (rule, seen, hit) in &mut self.rules {
            if !endpoint.matches(&rule.endpoint) {
                continue;
            }
            *seen += 1;
            let due = *seen > rule.skip && rule.times.is_none_or(|times| *hit < times);
            if due && self.random.random_bool(rule.probability.clamp(0.0, 1.0)) {
                *hit += 1;
                return Some((rule.moment, rule.action.clone()));
            }
        }
        None
    }
}

/// Faults of every kind on every endpoint, with this probability.
pub fn of_all_kinds(seed: u64, probability: f64) -> Faults {
    let delay = Action::Delay(Duration::from_millis(300));
    let error = Action::Answer { status: 503, body: "<h1>unavailable</h1>".to_owned(), content_type: html() };
    let page = Action::Answer { status: 200, body: "<p>maintenance</p>".to_owned(), content_type: html() };
    let kinds = [
        (Moment::Before, Action::Reset),
        (Moment::After, Action::Reset),
        (Moment::Before, error.clone()),
        (Moment::After, error),
        (Moment::After, Action::Truncate),
        (Moment::After, page),
        (Moment::Before, delay),
    ];
    let share = probability / kinds.len() as f64;
    let rules = kinds.into_iter().map(|(moment, action)| Rule {
        endpoint: "*".to_owned(),
        probability: share,
        skip: 0,
        times: None,
        moment,
        action,
    });
    Faults { seed, rules: rules.collect() }
}
