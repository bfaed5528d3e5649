//! What is known about an asset before a job is published for it.

use jiff::Timestamp;
use rusqlite::OptionalExtension;

use super::Ledger;
use crate::state::DatabaseError;
use common::asset::AssetId;
use common::job::Lane;
use common::outcome::{Outcome, OutcomeEvent, Placed};

/// What the ledger knows about an asset before a job is published for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    /// The lane of a job for it that the queue confirmed and that has no outcome yet; the fresh lane if there are
    /// several.
    pub open: Option<Lane>,
    /// The lane of a job for it that was given up: it is unknown what that job did.
    pub lost: Option<Lane>,
    /// The version for which its last job failed for good.
    pub failed_version: Option<u32>,
    /// What its last job saved, if that waits for approval.
    pub awaiting: Option<Awaiting>,
    /// The version that its last job protected.
    pub saved: Option<SavedVersion>,
}

/// A saved file that is not visible before a person approves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Awaiting {
    /// The version that the job was to protect.
    pub over: u32,
    /// Whether it is an additional file, which is neither a version nor another asset.
    pub is_additional: bool,
}

/// A version that a job protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavedVersion {
    /// Its number.
    pub version: u32,
    /// The time of the outcome.
    pub at: Timestamp,
}

impl Ledger {
    /// What is known about an asset.
    pub async fn known(&self, asset: &AssetId) -> Result<Known, DatabaseError> {
        let asset = asset.to_string();
        self.state
            .read(move |connection| {
                // The fresh lane's name is the greater of the two.
                let open: Option<String> = connection
                    .prepare_cached(
                        "SELECT max(lane) FROM published WHERE asset_id = ?1 AND open = 1 AND confirmed = 1",
                    )?
                    .query_row([&asset], |row| row.get(0))?;
                let lost: Option<String> = connection
                    .prepare_cached("SELECT max(lane) FROM published WHERE asset_id = ?1 AND lost = 1")?
                    .query_row([&asset], |row| row.get(0))?;
                let [open, lost] = [open, lost].map(|name| name.as_deref().map(lane_of).transpose());
                let (open, lost) = (open?, lost?);
                let ended: Option<String> = connection
                    .prepare_cached(
                        "SELECT event FROM assets JOIN outcomes USING (sequence) WHERE assets.asset_id = ?1",
                    )?
                    .query_row([&asset], |row| row.get(0))
                    .optional()?;
                let mut known = Known { open, lost, ..Known::default() };
                if let Some(event) = ended.and_then(|event| serde_json::from_str::<OutcomeEvent>(&event).ok())
                {
                    match event.outcome {
                        Outcome::Failed(_) => known.failed_version = Some(event.base),
                        Outcome::Watermarked { version } => {
                            known.saved = Some(SavedVersion { version, at: event.at });
                        }
                        Outcome::AwaitingApproval => {
                            let is_additional = matches!(event.placed, Some(Placed::Additional { .. }));
                            known.awaiting = Some(Awaiting { over: event.base, is_additional });
                        }
                        Outcome::AlreadyProtected | Outcome::Superseded { .. } | Outcome::Gone => {}
                    }
                }
                Ok(known)
            })
            .await
    }
}

/// The lane with this stored name.
pub(super) fn lane_of(name: &str) -> Result<Lane, DatabaseError> {
    Lane::named(name).ok_or_else(|| DatabaseError::Damaged(format!("lane {name:?}")))
}
