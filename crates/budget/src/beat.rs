//! What a process says of itself to whoever looks at the fleet; no call depends on it.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use common::bounded::{MOST_COUNT, at_most, optional, text};

/// The most members of a group that are kept: more than any group has, few enough for the memory.
pub const MOST_MEMBERS: usize = 10_000;
/// The longest text that a process says of itself, in bytes.
const MOST_TEXT: usize = 128;

/// More services than any release uses.
const MOST_SERVICES: usize = 16;

/// The version of the format.
pub(super) const VERSION: u32 = 2;

/// One process's announcement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Beat {
    /// Version of the format.
    pub v: u32,
    /// The process, by an id that it made up when it started.
    #[serde(deserialize_with = "text::<MOST_TEXT, _>")]
    pub member: String,
    /// Portal calls that it made in the last five minutes.
    #[serde(default, deserialize_with = "at_most::<MOST_COUNT, _, _>")]
    pub used: u64,
    /// It makes no call any more.
    #[serde(default)]
    pub leaving: bool,
    /// What it is.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "text::<MOST_TEXT, _>")]
    pub program: String,
    /// Which deployment it belongs to, by the prefix of its names on the broker.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "text::<MOST_TEXT, _>")]
    pub deployment: String,
    /// Services that it cannot use right now.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "few")]
    pub out: Vec<String>,
    /// Deliveries in its hands, which the broker's queues do not show; absent from a release that does not say.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional::<MOST_COUNT, _, _>"
    )]
    pub in_hand: Option<u64>,
}

impl Beat {
    /// Whether a process announced itself that shares the budget by other rules.
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
