//! What the sieve lets through of a message.

use common::job::MOST_MESSAGE_BYTES;

/// The largest outcome or failed job: a job and its result.
pub const MOST_RECORD_BYTES: usize = 4 * MOST_MESSAGE_BYTES;

/// The header with the signature: the key's id and the code, both in hex.
pub const SIGNATURE: &str = "connector-signature";
/// The header that marks a message that was lost in a delivery before it was put off. Publishing it again clears the
/// broker's own mark.
pub const LOST: &str = "connector-lost";
