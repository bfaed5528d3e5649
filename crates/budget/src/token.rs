//! A token: a message that grants the right to make portal calls.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use common::bounded::{MOST_COUNT, at_most};

/// Maximum tokens minted per second. With a larger budget each token is worth more calls. This bounds the load on the broker
/// and the length of the queue, whose arguments cannot change once it is declared.
pub(super) const MOST_A_SECOND: u32 = 16;
/// Maximum tokens in the queue, about a second's worth; the oldest are dropped.
pub const MOST_QUEUED: u32 = MOST_A_SECOND;
/// How long a token lives in the queue, and again how long a member may hold it.
pub const GOOD_FOR: Duration = Duration::from_secs(2);
/// Maximum unacknowledged tokens of one member.
pub const PREFETCH: u16 = 2;

/// The body of a token message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Portal calls that it allows.
    #[serde(deserialize_with = "at_most::<MOST_COUNT, _, _>")]
    pub calls: u32,
    /// Its one call probes whether Bynder's block is over.
    #[serde(default)]
    pub canary: bool,
}
