//! The headers that this program writes into messages.

/// The signature: the key's id and the code, both in hex.
pub const SIGNATURE: &str = "connector-signature";
/// Marks a message that was lost in a delivery before it was put off. Publishing it again clears the broker's own mark.
pub(super) const LOST: &str = "connector-lost";
