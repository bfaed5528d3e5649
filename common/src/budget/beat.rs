//! What members of an egress group tell each other.

use serde::{Deserialize, Serialize};

use crate::bounded::{MOST_COUNT, MOST_MILLISECONDS, at_most, optional};

/// The version of the format; members of a later one are not understood, and not counted on.
pub(super) const VERSION: u32 = 1;

/// One member's announcement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Beat {
    /// Version of the format.
    pub v: u32,
    /// The member, by an id that it made up when it started.
    pub member: String,
    /// Counts the member's announcements.
    pub number: u64,
    /// Calls a second that it claims.
    pub claim: f64,
    /// Calls a second that it would like to make.
    pub want: f64,
    /// It makes no call any more.
    #[serde(default)]
    pub leaving: bool,
    /// The silence that it keeps.
    #[serde(default)]
    pub pause: Option<PauseNote>,
    /// It tries whether the block is over.
    #[serde(default)]
    pub trying: bool,
    /// The silence that it saw end last.
    #[serde(default)]
    pub cleared: Option<String>,
    /// What it is, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub program: String,
    /// Which deployment it belongs to, by the prefix of its names on the broker; for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub deployment: String,
    /// Services that it cannot use right now, for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub out: Vec<String>,
    /// Deliveries in its hands, which the broker's queues do not show; absent from a release that does not say.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional::<MOST_COUNT, _, _>"
    )]
    pub in_hand: Option<u64>,
}

/// A silence, as told to others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseNote {
    /// Tells one silence from the next.
    pub id: String,
    /// How long it lasts from now on, in milliseconds.
    #[serde(deserialize_with = "at_most::<MOST_MILLISECONDS, _, _>")]
    pub remaining_ms: u64,
}
