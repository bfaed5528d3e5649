//! What a process announces about itself, for `connector status` and the like; admission does not depend on it.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use common::bounded::{MOST_COUNT, at_most, optional, text};

/// Maximum members of a group to remember: far above any real group; it bounds memory.
pub const MOST_MEMBERS: usize = 10_000;
/// Maximum length of a text in an announcement, in bytes.
const MOST_TEXT: usize = 128;

/// Maximum services in an announcement; more than any release uses.
const MOST_SERVICES: usize = 16;

/// Format version. Below 2, a process shares the budget by announcements and knows no tokens.
pub(super) const VERSION: u32 = 2;

/// One process's announcement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Beat {
    /// Format version.
    pub v: u32,
    /// Random id that the process generates at start.
    #[serde(deserialize_with = "text::<MOST_TEXT, _>")]
    pub member: String,
    /// Portal calls that were admitted in the last five minutes.
    #[serde(default, deserialize_with = "at_most::<MOST_COUNT, _, _>")]
    pub used: u64,
    /// The process is shutting down and makes no more calls.
    #[serde(default)]
    pub leaving: bool,
    /// Name of the program.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "text::<MOST_TEXT, _>")]
    pub program: String,
    /// Its deployment, identified by `queue.prefix`.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "text::<MOST_TEXT, _>")]
    pub deployment: String,
    /// Services whose breaker is open.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "few")]
    pub out: Vec<String>,
    /// Deliveries that it holds, which the broker's queues do not show; absent if its release does not report them.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional::<MOST_COUNT, _, _>"
    )]
    pub in_hand: Option<u64>,
}

impl Beat {
    /// Whether the sender runs an earlier release, which shares the budget by other rules.
    pub fn is_of_earlier_release(&self) -> bool {
        self.v < VERSION
    }
}

fn few<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    if texts.len() > MOST_SERVICES || texts.iter().any(|text| text.len() > MOST_TEXT) {
        return Err(D::Error::custom(format_args!("expected at most {MOST_SERVICES} short texts")));
    }
    Ok(texts)
}
