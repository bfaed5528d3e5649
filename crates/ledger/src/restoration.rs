//! Restorations of originals: each begin and each end.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::Ledger;
use super::evidence::event;
use crate::state::DatabaseError;
use crate::state::record::{COLUMNS, JOINED};
use common::asset::AssetId;
use common::job::RunId;
use common::marker::Record;
use common::outcome::{Outcome, OutcomeEvent};

/// The progress of a restoration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum RestorationProgress {
    /// From here on the marker may be written and the original saved.
    Begun,
    /// Bynder accepted the save, and the version is not visible yet: it may wait for approval, so nothing is saved again.
    Saved,
    /// The original is a version again.
    Restored {
        /// That version.
        version: u32,
    },
    /// The original is a version again, saved on top of one that a person made at the last moment.
    Crossed {
        /// The version that holds the original.
        ours: u32,
        /// The person's version.
        theirs: u32,
    },
    /// Nothing was saved, and the marker is as it was before.
    Withdrawn {
        /// The reason.
        reason: String,
    },
}

impl RestorationProgress {
    /// Whether it may still become a version.
    pub fn is_open(&self) -> bool {
        matches!(self, Self::Begun | Self::Saved)
    }

    /// The name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Begun => "restore_begun",
            Self::Saved => "restore_saved",
            Self::Restored { .. } => "restored",
            Self::Crossed { .. } => "restore_crossed",
            Self::Withdrawn { .. } => "restore_withdrawn",
        }
    }
}

/// One row of the ledger: the restoration of a protected asset's original.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restoration {
    /// The call of `restore`.
    pub run_id: RunId,
    /// The asset.
    pub asset_id: AssetId,
    /// The asset's name.
    pub asset_name: String,
    #[serde(flatten)]
    pub progress: RestorationProgress,
    /// The marker's record of the protected version.
    pub record: Record,
    /// The version that the original was taken from, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_version: Option<u32>,
    /// The original's length in bytes.
    pub original_bytes: u64,
    /// The highest version before the restoration: a later one may be the restored original.
    pub top: u32,
    /// Whether a person had opted the asset out before.
    pub opted_out_before: bool,
    /// When this row was recorded.
    pub at: Timestamp,
}

impl Ledger {
    /// Records a restoration.
    pub async fn note_restoration(&self, restoration: &Restoration) -> Result<(), DatabaseError> {
        let text =
            serde_json::to_string(restoration).map_err(|error| DatabaseError::Damaged(error.to_string()))?;
        let (run, asset) = (restoration.run_id.to_string(), restoration.asset_id.to_string());
        let at = restoration.at.as_millisecond();
        self.state
            .write(move |transaction| {
                transaction.execute(
                    "INSERT INTO restorations (run_id, asset_id, at_ms, event) VALUES (?1, ?2, ?3, ?4)",
                    params![run, asset, at, text],
                )?;
                Ok(())
            })
            .await
    }

    /// The latest record about restoring an asset's original.
    pub async fn last_restoration(&self, asset: &AssetId) -> Result<Option<Restoration>, DatabaseError> {
        let asset = asset.to_string();
        let sql = "SELECT event FROM restorations WHERE asset_id = ?1 ORDER BY sequence DESC LIMIT 1";
        self.state
            .read(move |connection| {
                let text: Option<String> =
                    connection.prepare_cached(sql)?.query_row([asset], |row| row.get(0)).optional()?;
                text.map(|text| event(&text)).transpose()
            })
            .await
    }

    /// The last outcome of each of a run's jobs whose watermarked file is in the library.
    pub async fn protected_by(&self, run: &RunId) -> Result<Vec<OutcomeEvent>, DatabaseError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM run_jobs AS of_run
             CROSS JOIN published AS of_job ON of_job.job BETWEEN of_run.first_job AND of_run.last_job AND of_job.run = of_run.run
             CROSS JOIN {JOINED}
             WHERE of_run.run_id = ?1 AND outcomes.sequence = of_job.last AND watermarked IS NOT NULL
             ORDER BY outcomes.sequence"
        );
        let found = self.recorded(sql, [run.to_string()], run.to_string()).await?;
        // Of an archived job, all outcomes are found.
        let mut last = BTreeMap::new();
        for row in found.into_iter().filter(|row| row.event.run_id == *run) {
            last.insert(row.event.job_id.clone(), row);
        }
        let mut last: Vec<_> = last.into_values().filter(|row| row.event.watermarked.is_some()).collect();
        last.sort_by_key(|row| row.sequence);
        let mut events: Vec<_> = last.into_iter().map(|row| row.event).collect();
        events.retain(|event| match event.outcome {
            Outcome::Watermarked { .. }
            | Outcome::AlreadyProtected
            | Outcome::Superseded { .. }
            | Outcome::AwaitingApproval => true,
            Outcome::Gone | Outcome::Failed(_) => false,
        });
        Ok(events)
    }
}
