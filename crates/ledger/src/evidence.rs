//! Queries for people who need evidence: by run, by asset, by time, and by a file's hash.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Ledger, Restoration, RestorationProgress, archive};
use crate::state::DatabaseError;
use crate::state::record::{COLUMNS, Form, JOINED, Packed, Recorded};
use common::asset::AssetId;
use common::hash::ContentHash;
use common::job::RunId;
use common::outcome::{Outcome, OutcomeEvent, Placed};
use common::parse_error::of_json;

/// The part of the ledger that a report covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extent {
    /// One run.
    Run(RunId),
    /// One asset.
    Asset(AssetId),
    /// Jobs that ended since a time, or were published since then and have not ended.
    Since(Timestamp),
}

/// One line of a report: a job's outcome, a job without one, or a restored original.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The asset.
    pub asset_id: String,
    /// The asset's name when it was listed; empty for a job without an outcome.
    pub asset_name: String,
    /// The outcome's name; `under_way` or `missing` for a job without one; the progress of a restoration.
    pub outcome: String,
    /// The version that the job was to protect, or whose original was restored, if known.
    pub base_version: Option<u32>,
    /// The version with the protected file, if one was saved.
    pub protected_version: Option<u32>,
    /// The version with the restored original.
    pub restored_version: Option<u32>,
    /// A person's newer version that superseded the job, or came during the restoration.
    pub crossing_version: Option<u32>,
    /// The id of the copy with the protected file, if it is in one.
    pub copy_id: Option<String>,
    /// The name of the additional file, if the protected file is one.
    pub additional_file: Option<String>,
    /// SHA-256 of the original.
    pub original_sha256: Option<ContentHash>,
    /// SHA-256 of the watermarked file.
    pub watermarked_sha256: Option<ContentHash>,
    /// Imatag's id of the medium.
    pub imatag_id: Option<String>,
    /// Imatag's request ids, separated by spaces.
    pub request_ids: String,
    /// The failure class.
    pub class: Option<&'static str>,
    /// The reason of the failure.
    pub reason: Option<String>,
    /// When the job was published.
    pub published: Option<Timestamp>,
    /// When the job ended.
    pub ended: Option<Timestamp>,
    /// For how long the version had been in the portal unprotected when the job ended, in seconds; by the portal's clock and the
    /// worker's.
    pub exposed_seconds: Option<u64>,
    /// The run.
    pub run_id: String,
    /// The job; empty for a restoration.
    pub job_id: String,
    /// The checks of the watermarked file that could not be made, each with its reason, separated by spaces.
    pub unchecked: String,
}

/// The number of lines of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub outcomes: u64,
    /// Outcomes whose result could not be checked in full.
    pub unchecked: u64,
    /// Restorations.
    pub restorations: u64,
    /// Jobs whose outcome may still come.
    pub under_way: u64,
    /// Jobs that were given up without an outcome.
    pub missing: u64,
    /// Assets of a run without a job because the wire profile does not list their file types.
    pub unsupported: u64,
}

impl Line {
    pub(super) fn of(event: OutcomeEvent, published: Option<Timestamp>) -> Self {
        let outcome = event.outcome.name().to_owned();
        let (mut protected_version, mut crossing_version) = (None, None);
        let (mut class, mut reason, mut request_ids) = (None, None, event.request_ids);
        match event.outcome {
            Outcome::Watermarked { version } => protected_version = Some(version),
            // The job's base version already holds a protected file.
            Outcome::AlreadyProtected => protected_version = Some(event.base),
            Outcome::Superseded { ours, theirs } => {
                (protected_version, crossing_version) = (ours, Some(theirs));
            }
            Outcome::AwaitingApproval | Outcome::Gone => {}
            Outcome::Failed(failure) => {
                (class, reason) = (Some(failure.class.name()), Some(failure.reason));
                request_ids.extend(failure.request_id);
            }
        }
        let is_apart = event.placed.is_some();
        let (copy_id, additional_file) = match event.placed {
            None => (None, None),
            Some(Placed::Copy { asset_id, .. }) => (Some(asset_id.to_string()), None),
            Some(Placed::Additional { file_name }) => (None, Some(file_name.into())),
        };
        let protects = protected_version.is_some_and(|version| is_apart || version > event.base);
        let exposed = event.added.filter(|_| protects).map(|added| event.at.duration_since(added));
        Self {
            asset_id: event.asset_id.to_string(),
            asset_name: event.asset_name,
            exposed_seconds: exposed.map(|exposed| u64::try_from(exposed.as_secs()).unwrap_or_default()),
            outcome,
            base_version: Some(event.base),
            protected_version,
            crossing_version,
            copy_id,
            additional_file,
            original_sha256: event.original,
            watermarked_sha256: event.watermarked,
            imatag_id: event.media_id,
            request_ids: request_ids.join(" "),
            class,
            reason: reason.map(String::from),
            published,
            ended: Some(event.at),
            run_id: event.run_id.0,
            job_id: event.job_id.0,
            unchecked: event.unchecked.to_string(),
            ..Self::default()
        }
    }
}

impl From<Restoration> for Line {
    fn from(row: Restoration) -> Self {
        let outcome = row.progress.name().to_owned();
        let (restored_version, crossing_version, reason) = match row.progress {
            RestorationProgress::Begun | RestorationProgress::Saved => (None, None, None),
            RestorationProgress::Restored { version } => (Some(version), None, None),
            RestorationProgress::Crossed { ours, theirs } => (Some(ours), Some(theirs), None),
            RestorationProgress::Withdrawn { reason } => (None, None, Some(reason)),
        };
        Self {
            asset_id: row.asset_id.to_string(),
            asset_name: row.asset_name,
            outcome,
            base_version: row.original_version,
            protected_version: Some(row.record.version),
            restored_version,
            crossing_version,
            original_sha256: Some(row.record.original),
            watermarked_sha256: Some(row.record.watermarked),
            reason,
            ended: Some(row.at),
            run_id: row.run_id.0,
            ..Self::default()
        }
    }
}

impl Ledger {
    /// Every outcome of an asset, oldest first.
    pub async fn outcomes_of(&self, asset: &AssetId) -> Result<Vec<OutcomeEvent>, DatabaseError> {
        let key = Packed(Form::Asset, asset.as_str()).value();
        let found = self.recorded(of_asset(), [key], asset.to_string()).await?;
        Ok(found.into_iter().map(|row| row.event).filter(|event| event.asset_id == *asset).collect())
    }

    /// Every outcome with this file as original or watermarked file: shows which asset a leaked file belongs to.
    pub async fn outcomes_of_file(&self, hash: ContentHash) -> Result<Vec<OutcomeEvent>, DatabaseError> {
        let found = self.recorded(of_file(), [*hash.as_bytes()], hash.to_string()).await?;
        let has = |event: &OutcomeEvent| event.original == Some(hash) || event.watermarked == Some(hash);
        Ok(found.into_iter().map(|row| row.event).filter(has).collect())
    }

    /// The outcomes that a query of [`COLUMNS`] finds, and those in the archive that contain `text`, in the order of the record.
    pub(super) async fn recorded(
        &self,
        sql: String,
        of: impl rusqlite::Params + Send + 'static,
        text: String,
    ) -> Result<Vec<Recorded>, DatabaseError> {
        let (mut found, archives) = self
            .state
            .read(move |connection| {
                let mut statement = connection.prepare_cached(&sql)?;
                let mut rows = statement.query(of)?;
                let mut found = Vec::new();
                while let Some(row) = rows.next()? {
                    found.push(Recorded::read(row)?);
                }
                Ok((found, archive::after(connection, 0)?))
            })
            .await?;
        found.extend(self.archived(archives, Some(text), Vec::push).await?);
        found.sort_by_key(|row| row.sequence);
        Ok(found)
    }
}

pub(super) fn of_asset() -> String {
    format!("{OF_ASSET} SELECT {COLUMNS} FROM {CHAINED} ORDER BY outcomes.sequence")
}

pub(super) fn of_file() -> String {
    format!(
        "SELECT {COLUMNS} FROM {JOINED} WHERE sequence IN (
            SELECT sequence FROM outcomes WHERE substr(original, 1, 6) = substr(?1, 1, 6) AND original = ?1
            UNION
            SELECT sequence FROM outcomes WHERE substr(watermarked, 1, 6) = substr(?1, 1, 6) AND watermarked = ?1)
         ORDER BY sequence"
    )
}

/// The outcomes of the jobs of the asset `?1`, from the latest job and its latest outcome back.
pub(super) const OF_ASSET: &str = "WITH RECURSIVE
    jobs_of(job, before, last) AS (
        SELECT job, before, last FROM assets CROSS JOIN published ON job = last_job WHERE asset_id = ?1
        UNION ALL
        SELECT published.job, published.before, published.last FROM jobs_of CROSS JOIN published ON published.job = jobs_of.before),
    chain(of, previous) AS (
        SELECT sequence, outcomes.previous FROM jobs_of CROSS JOIN outcomes ON sequence = last
        UNION ALL
        SELECT sequence, outcomes.previous FROM chain CROSS JOIN outcomes ON sequence = chain.previous)";
/// What [`OF_ASSET`] found, joined.
pub(super) const CHAINED: &str =
    "chain CROSS JOIN outcomes ON sequence = chain.of CROSS JOIN published USING (job)
    CROSS JOIN run_jobs USING (run) CROSS JOIN assets USING (asset)";

pub(super) fn event<T: DeserializeOwned>(text: &str) -> Result<T, DatabaseError> {
    serde_json::from_str(text).map_err(|error| DatabaseError::Damaged(of_json(&error)))
}

#[cfg(test)]
mod tests {
    use common::job::{Job, Lane, RunId};

    use super::*;

    #[test]
    fn a_version_was_exposed_until_a_protected_file_was_saved_wherever_it_was_placed() {
        let at = Timestamp::UNIX_EPOCH;
        let job = Job::new(RunId("r".to_owned()), "A".parse().unwrap(), "", Lane::Fresh, 2, None, at);
        let additional = Some(Placed::Additional { file_name: "a.jpg".to_owned().into() });
        let watermarked = |version| Outcome::Watermarked { version };
        for (outcome, placed, exposed) in [
            (watermarked(3), None, Some(31)),
            (watermarked(2), additional.clone(), Some(31)),
            (Outcome::Superseded { ours: Some(4), theirs: 3 }, None, Some(31)),
            (Outcome::Superseded { ours: None, theirs: 3 }, None, None),
            (Outcome::AlreadyProtected, None, None),
            (Outcome::AwaitingApproval, additional, None),
        ] {
            let added = Some(at - jiff::SignedDuration::from_secs(31));
            let event = OutcomeEvent { added, placed, ..job.ended(outcome, at) };
            assert_eq!(Line::of(event.clone(), None).exposed_seconds, exposed, "{event:?}");
        }
    }
}
