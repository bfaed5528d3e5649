//! Faults on demand: what goes wrong, where, how often, and on which side of the effect.

use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::endpoint::Endpoint;
use crate::media::Defect;

/// A set of faults.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// Decides which requests are hit.
    #[serde(default)]
    pub seed: u64,
    /// The first rule that applies to a request is used.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

/// One fault.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// An endpoint's name, or its beginning and `*`.
    pub endpoint: String,
    /// The share of requests that are hit.
    #[serde(default = "always")]
    pub probability: f64,
    /// Requests that are let through first.
    #[serde(default)]
    pub skip: u64,
    /// How many requests are hit; absent for all.
    #[serde(default)]
    pub times: Option<u64>,
    /// Whether the effect has happened.
    #[serde(default)]
    pub moment: Moment,
    /// What happens instead of the answer.
    pub action: Action,
}

fn always() -> f64 {
    1.0
}

/// Which side of the effect a fault is on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Moment {
    /// Nothing was done.
    #[default]
    Before,
    /// It was done, and the client does not learn it.
    After,
}

/// What the client gets.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The connection is closed without an answer.
    Reset,
    /// No answer at all.
    Hang,
    /// Half of the answer's body.
    Truncate,
    /// The true answer, a byte after each of these times.
    Trickle(#[serde(with = "duration")] Duration),
    /// The true answer, later.
    Delay(#[serde(with = "duration")] Duration),
    /// An answer that asks to come back later.
    Busy {
        /// Its status: 429, or 503.
        status: u16,
        /// When to come back, in either form of the header; absent for an answer that does not say.
        #[serde(default)]
        retry_after: Option<String>,
    },
    /// The true answer, about a watermarked file with this defect; for submits.
    Defect(Defect),
    /// Another answer.
    Answer {
        /// Its status.
        status: u16,
        /// Its body.
        #[serde(default)]
        body: String,
        /// Its content type.
        #[serde(default = "html")]
        content_type: String,
    },
}

fn html() -> String {
    "text/html".to_owned()
}

/// Faults at work.
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

    /// The fault for this request, if it is hit.
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

/// Faults of every kind on every endpoint, each request hit with this probability.
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
