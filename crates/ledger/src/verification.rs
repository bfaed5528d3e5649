//! What came of holding the library against its markers.

use jiff::Timestamp;
use rusqlite::OptionalExtension;
use serde::{Deserialize, Serialize};

use super::Ledger;
use crate::state::DatabaseError;
use common::parse_error::of_json;

/// How many protected assets still held what their markers say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// When it ended.
    pub at: Timestamp,
    /// Assets looked at.
    pub listed: u64,
    /// Assets whose marker names their active version.
    pub protected: u64,
    /// Protected assets that hold what the marker says, as far as it was looked at.
    pub held: u64,
    /// Those among them whose file was downloaded and hashed.
    pub hashed: u64,
    /// Protected assets that do not.
    pub broken: u64,
    /// Protected assets whose file could not be had.
    pub unchecked: u64,
    /// Assets whose marker names other versions than the active one: the next run protects it.
    pub other_version: u64,
    /// Assets without protection that nobody wants protected.
    pub opted_out: u64,
    /// Assets without a record.
    pub unprotected: u64,
    /// The part of the files that was to be hashed.
    pub sample: f64,
    /// Portal calls made.
    pub portal_requests: u64,
    /// Bytes fetched.
    pub bytes_downloaded: u64,
}

impl Ledger {
    /// Puts a verification on record.
    pub async fn note_verification(&self, verification: &Verification) -> Result<(), DatabaseError> {
        let text =
            serde_json::to_string(verification).map_err(|error| DatabaseError::Damaged(error.to_string()))?;
        self.state
            .write(move |transaction| {
                transaction.execute("INSERT INTO verifications (result) VALUES (?1)", [text])?;
                Ok(())
            })
            .await
    }

    /// The last verification, if there was one.
    pub async fn last_verification(&self) -> Result<Option<Verification>, DatabaseError> {
        let sql = "SELECT result FROM verifications ORDER BY sequence DESC LIMIT 1";
        self.state
            .read(move |connection| {
                let text: Option<String> = connection.query_row(sql, [], |row| row.get(0)).optional()?;
                let read = text.map(|text| serde_json::from_str(&text)).transpose();
                read.map_err(|error| DatabaseError::Damaged(of_json(&error)))
            })
            .await
    }
}
