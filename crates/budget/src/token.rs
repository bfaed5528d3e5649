//! A token: the right to make portal calls, as a message.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use common::bounded::{MOST_COUNT, at_most};

/// Tokens minted in a second at most. A larger budget makes each good for more calls, so that its cost is bounded, and so is
/// the length of the queue, whose arguments never change.
pub(super) const MOST_A_SECOND: u32 = 16;
/// Tokens that the queue keeps, about a second's worth; the oldest make room.
pub const MOST_QUEUED: u32 = MOST_A_SECOND;
/// How long a token is kept in the queue, and then in the hands of a member.
pub const GOOD_FOR: Duration = Duration::from_secs(2);
/// Unacknowledged tokens of one member.
pub const PREFETCH: u16 = 2;

/// What a token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Calls that it is good for.
    #[serde(deserialize_with = "at_most::<MOST_COUNT, _, _>")]
    pub calls: u32,
    /// Its one call finds out whether Bynder's block is over.
    #[serde(default)]
    pub canary: bool,
}
