//! The wire profile with which Imatag last accepted a file.

use super::Ledger;
use crate::state::DatabaseError;

/// The name of the fact: the profile's hash.
const PROVEN_WIRE: &str = "proven_wire";

impl Ledger {
    /// Records that Imatag accepted a file with the profile of this hash. If that is known already, it writes nothing:
    /// `trial` may run on a state whose disk is full.
    pub async fn note_wire_proven(&self, hash: String) -> Result<(), DatabaseError> {
        if self.is_wire_proven(&hash).await? {
            return Ok(());
        }
        self.set_fact(PROVEN_WIRE, Some(hash)).await
    }

    /// Whether Imatag last accepted a file with the profile of this hash.
    pub async fn is_wire_proven(&self, hash: &str) -> Result<bool, DatabaseError> {
        Ok(self.fact(PROVEN_WIRE).await?.is_some_and(|proven| proven == hash))
    }
}
