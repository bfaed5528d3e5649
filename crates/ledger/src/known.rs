//! What is known of an asset before a job is published for it.

use jiff::Timestamp;
use rusqlite::OptionalExtension;

use super::Ledger;
use crate::state::DatabaseError;
use common::asset::AssetId;
use common::job::Lane;
use common::outcome::{Outcome, OutcomeEvent, Placed};

/// What the ledger knows of an asset before a job is published for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    /// A job for it, which the queue is known to have, has no outcome yet: the lane of the one that is done first.
    pub open: Option<Lane>,
    /// The lane of a job for it that was given up: what that job did is not known.
    pub lost: Option<Lane>,
    /// The version at which its last job failed for good.
    pub failed_version: Option<u32>,
    /// What its last job saved, if that waits for approval.
    pub awaiting: Option<Awaiting>,
    /// The version that its last job protected.
    pub saved: Option<SavedVersion>,
}

/// What a job saved that does not show before a person approves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Awaiting {
    /// The version that the job was to protect.
    pub over: u32,
    /// Whether it is an additional file, which shows in no version and no other asset.
    pub is_additional: bool,
}

/// A version that a job protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavedVersion {
    /// Its number.
    pub version: u32,
    /// When the outcome was noted, by this machine's clock.
    pub at: Timestamp,
}

impl Ledger {
    /// What is known of an asset.
    pub async fn known(&self, asset: &AssetId) -> Result<Known, DatabaseError> {
        let asset = asset.to_string();
        self.state
            .read(move |connection| {
                // Of the two names, the fresh lane's is the greater.
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

/// The lane by its name on record.
pub(super) fn lane_of(name: &str) -> Result<Lane, DatabaseError> {
    Lane::named(name).ok_or_else(|| DatabaseError::Damaged(format!("lane {name:?}")))
}
