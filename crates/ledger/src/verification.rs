//! The results of verifying the library against its markers.

use jiff::Timestamp;
use rusqlite::OptionalExtension;
use serde::{Deserialize, Serialize};

use super::Ledger;
use crate::state::DatabaseError;
use common::parse_error::of_json;

/// How many protected assets matched their markers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// When it ended.
    pub at: Timestamp,
    /// Assets checked.
    pub listed: u64,
    /// Assets whose marker names their active version.
    pub protected: u64,
    /// Protected assets that match their marker, as far as checked.
    pub held: u64,
    /// Those of them whose file was downloaded and hashed.
    pub hashed: u64,
    /// Protected assets that do not match their marker.
    pub broken: u64,
    /// Protected assets whose file could not be downloaded.
    pub unchecked: u64,
    /// Assets whose marker names other versions than the active one: the next run protects it.
    pub other_version: u64,
    /// Unprotected assets that are opted out.
    pub opted_out: u64,
    /// Assets without a record in their marker.
    pub unprotected: u64,
    /// The fraction of files to hash.
    pub sample: f64,
    /// Portal calls made.
    pub portal_requests: u64,
    /// Bytes downloaded.
    pub bytes_downloaded: u64,
}

impl Ledger {
    /// Records a verification.
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

    /// The latest verification, if there is one.
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
