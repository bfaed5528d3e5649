//! What is known about an asset before a job is published for it.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::Ledger;
use crate::state::DatabaseError;
use crate::state::record::{self, Form, Packed, outcome};
use common::asset::AssetId;
use common::job::Lane;
use common::outcome::{Outcome, Placed};

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
        let asset = asset.clone();
        self.state.read(move |connection| known(connection, &asset)).await
    }

    /// What is known about each of these assets, all of it at one time. Assets without a job are absent.
    pub async fn known_of_all(
        &self,
        assets: impl IntoIterator<Item = AssetId>,
    ) -> Result<HashMap<AssetId, Known>, DatabaseError> {
        let assets: Vec<_> = assets.into_iter().collect();
        self.state
            .read(move |connection| {
                let mut all = HashMap::new();
                for asset in assets {
                    let known = known(connection, &asset)?;
                    if known != Known::default() {
                        all.insert(asset, known);
                    }
                }
                Ok(all)
            })
            .await
    }
}

fn known(connection: &Connection, asset: &AssetId) -> Result<Known, DatabaseError> {
    let sql = "SELECT asset, last_outcome FROM assets WHERE asset_id = ?1";
    let key = [Packed(Form::Asset, asset.as_str())];
    let columns = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?));
    let row = connection.prepare_cached(sql)?.query_row(key, columns).optional()?;
    let Some((number, sequence)) = row else { return Ok(Known::default()) };
    // The fresh lane's code is the greater of the two.
    let [open, lost] = [
        "SELECT max(lane) FROM published WHERE asset = ?1 AND open = 1 AND confirmed = 1",
        "SELECT max(lane) FROM published WHERE asset = ?1 AND lost = 1",
    ]
    .map(|sql| {
        let lane: Option<i64> = connection.prepare_cached(sql)?.query_row([number], |row| row.get(0))?;
        lane.map(lane_of).transpose()
    });
    let (open, lost) = (open?, lost?);
    let mut known = Known { open, lost, ..Known::default() };
    // Negative without an outcome. An unreadable one is ignored: the worker finds out what was done.
    if let Some(event) = (sequence >= 0).then(|| outcome(connection, sequence).ok()).flatten() {
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
}

/// The lane with this code.
pub(super) fn lane_of(code: i64) -> Result<Lane, DatabaseError> {
    record::lane_of(code).ok_or_else(|| DatabaseError::Damaged(format!("lane {code}")))
}
