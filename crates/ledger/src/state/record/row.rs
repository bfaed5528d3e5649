//! An outcome as a row, and back. Nothing of it is lost: what has no column of its own is JSON in the last one.

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Row, Transaction, params};
use serde::{Deserialize, Serialize};

use super::codes::Kind;
use super::packed::{Form, Packed, pack_all, unpack_all, unpacked, unpacked_if_any};
use crate::state::DatabaseError;
use common::asset::AssetId;
use common::check::Unmade;
use common::hash::ContentHash;
use common::job::{JobId, RunId};
use common::outcome::{Failure, Outcome, OutcomeEvent, Placed, Reason};
use common::parse_error::of_json;

/// The columns that [`Recorded::read`] reads, of the tables in [`JOINED`].
pub(crate) const COLUMNS: &str = "outcomes.sequence, published.job_id, run_jobs.run_id, assets.asset_id, published.at_ms,
    outcomes.outcome, outcomes.base, outcomes.version, outcomes.at, outcomes.attempts, outcomes.bytes_downloaded,
    outcomes.bytes_uploaded, outcomes.asset_name, outcomes.original, outcomes.watermarked, outcomes.medium,
    outcomes.requests, outcomes.rest";
/// Outcomes with their jobs, runs and assets, each found by its number.
pub(crate) const JOINED: &str = "outcomes CROSS JOIN published USING (job) CROSS JOIN run_jobs USING (run) CROSS JOIN assets USING (asset)";

/// What few outcomes have.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Rest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    theirs: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    placed: Option<Placed>,
    #[serde(default, skip_serializing_if = "Unmade::is_empty")]
    unchecked: Unmade,
    /// When the version was added, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    added: Option<i64>,
    /// A time that no number of nanoseconds holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    /// If it is not the job's, which happens if nobody could read its message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run_id: Option<RunId>,
    /// As for the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asset_id: Option<AssetId>,
    /// An outcome of an earlier release, as it was written, if this release cannot read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unreadable: Option<String>,
}

/// A job that the record knows.
#[derive(Debug, Clone)]
pub(crate) struct JobRow {
    pub(crate) job: i64,
    pub(crate) run_id: RunId,
    pub(crate) asset_id: AssetId,
    /// Its latest outcome.
    pub(crate) last: Option<i64>,
}

/// A recorded outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Recorded {
    pub(crate) sequence: i64,
    /// When its job was published, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) published: Option<Timestamp>,
    pub(crate) event: OutcomeEvent,
}

/// A time in nanoseconds, or the nearest that there is a number for.
pub(crate) fn nanoseconds(at: Timestamp) -> i64 {
    let nearest = if at < Timestamp::UNIX_EPOCH { i64::MIN } else { i64::MAX };
    i64::try_from(at.as_nanosecond()).unwrap_or(nearest)
}

/// Appends an outcome of a job. Triggers count it.
pub(crate) fn append(
    transaction: &Transaction<'_>,
    job: &JobRow,
    event: &OutcomeEvent,
) -> Result<(), DatabaseError> {
    let OutcomeEvent {
        job_id: _,
        run_id,
        asset_id,
        asset_name,
        base,
        outcome,
        original,
        watermarked,
        media_id,
        request_ids,
        placed,
        unchecked,
        attempts,
        bytes_downloaded,
        bytes_uploaded,
        added,
        at,
    } = event;
    let mut rest = Rest {
        placed: placed.clone(),
        unchecked: unchecked.clone(),
        added: added.map(Timestamp::as_second),
        at: i64::try_from(at.as_nanosecond()).is_err().then_some(*at),
        run_id: (*run_id != job.run_id).then(|| run_id.clone()),
        asset_id: (*asset_id != job.asset_id).then(|| asset_id.clone()),
        ..Rest::default()
    };
    let mut own = None;
    match outcome {
        Outcome::Watermarked { version } => own = Some(*version),
        Outcome::Superseded { ours, theirs } => (own, rest.theirs) = (*ours, Some(*theirs)),
        Outcome::AlreadyProtected | Outcome::AwaitingApproval | Outcome::Gone => {}
        Outcome::Failed(Failure { class: _, reason, request_id }) => {
            (rest.reason, rest.request_id) = (Some(reason.clone()), request_id.clone());
        }
    }
    let rest = serde_json::to_string(&rest).map_err(|error| DatabaseError::Damaged(of_json(&error)))?;
    let hash = |hash: &Option<ContentHash>| hash.map(|hash| Value::Blob(hash.as_bytes().to_vec()));
    transaction
        .prepare_cached(
            "INSERT INTO outcomes (job, previous, outcome, base, version, at, attempts, bytes_downloaded, bytes_uploaded,
                                   asset_name, original, watermarked, medium, requests, rest)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, nullif(?15, '{}'))",
        )?
        .execute(params![
            job.job,
            job.last,
            Kind::from(outcome).code(),
            base,
            own,
            nanoseconds(*at),
            attempts,
            bytes_downloaded,
            bytes_uploaded,
            asset_name,
            hash(original),
            hash(watermarked),
            media_id.as_deref().map(|id| Packed(Form::Uuid, id)),
            pack_all(request_ids, Form::Uuid),
            rest,
        ])?;
    Ok(())
}

/// Appends what an earlier release wrote and this one cannot read.
pub(crate) fn append_unreadable(
    transaction: &Transaction<'_>,
    job: &JobRow,
    (base, at_ms): (u32, i64),
    text: String,
) -> Result<(), DatabaseError> {
    let rest = Rest { unreadable: Some(text), ..Rest::default() };
    let rest = serde_json::to_string(&rest).map_err(|error| DatabaseError::Damaged(of_json(&error)))?;
    transaction.execute(
        "INSERT INTO outcomes (job, previous, outcome, base, at, attempts, bytes_downloaded, bytes_uploaded, asset_name, rest)
         VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, 0, '', ?6)",
        params![job.job, job.last, Kind::Unreadable.code(), base, at_ms.saturating_mul(1_000_000), rest],
    )?;
    Ok(())
}

impl Recorded {
    /// Reads [`COLUMNS`].
    pub(crate) fn read(row: &Row<'_>) -> Result<Self, DatabaseError> {
        let sequence = row.get(0)?;
        let damaged = |what: &str| DatabaseError::Damaged(format!("{what} of the outcome {sequence}"));
        let rest: Option<String> = row.get(17)?;
        let rest: Rest = rest
            .map(|rest| serde_json::from_str(&rest).map_err(|error| DatabaseError::Damaged(of_json(&error))))
            .transpose()?
            .unwrap_or_default();
        let (own, base): (Option<u32>, u32) = (row.get(7)?, row.get(6)?);
        let outcome = match Kind::of(row.get(5)?).ok_or_else(|| damaged("the code"))? {
            Kind::Unreadable => {
                // The error is the one that an earlier release reported for the same text.
                let error = serde_json::from_str::<OutcomeEvent>(&rest.unreadable.unwrap_or_default()).err();
                return Err(error
                    .map_or_else(|| damaged("the text"), |error| DatabaseError::Damaged(of_json(&error))));
            }
            Kind::Watermarked => Outcome::Watermarked { version: own.ok_or_else(|| damaged("the version"))? },
            Kind::AlreadyProtected => Outcome::AlreadyProtected,
            Kind::Superseded => {
                Outcome::Superseded { ours: own, theirs: rest.theirs.ok_or_else(|| damaged("the version"))? }
            }
            Kind::AwaitingApproval => Outcome::AwaitingApproval,
            Kind::Gone => Outcome::Gone,
            Kind::Failed(class) => Outcome::Failed(Failure {
                class,
                reason: rest.reason.ok_or_else(|| damaged("the reason"))?,
                request_id: rest.request_id,
            }),
        };
        let hash = |column| {
            Ok::<_, DatabaseError>(row.get::<_, Option<[u8; 32]>>(column)?.map(ContentHash::from_bytes))
        };
        let asset_id = match rest.asset_id {
            Some(asset_id) => asset_id,
            None => unpacked(row, 3, Form::Asset)?.parse().map_err(|_| damaged("the asset"))?,
        };
        let at =
            Timestamp::from_nanosecond(i128::from(row.get::<_, i64>(8)?)).map_err(|_| damaged("the time"));
        let event = OutcomeEvent {
            job_id: JobId(unpacked(row, 1, Form::Job)?),
            run_id: rest.run_id.map_or_else(|| row.get(2).map(RunId), Ok)?,
            asset_id,
            asset_name: row.get(12)?,
            base,
            outcome,
            original: hash(13)?,
            watermarked: hash(14)?,
            media_id: unpacked_if_any(row, 15, Form::Uuid)?,
            request_ids: unpack_all(row.get_ref(16)?, Form::Uuid).ok_or_else(|| damaged("the requests"))?,
            placed: rest.placed,
            unchecked: rest.unchecked,
            attempts: row.get(9)?,
            bytes_downloaded: row.get(10)?,
            bytes_uploaded: row.get(11)?,
            added: rest.added.and_then(|second| Timestamp::from_second(second).ok()),
            at: rest.at.map_or(at, Ok)?,
        };
        let published: Option<i64> = row.get(4)?;
        let published = published.and_then(|at| Timestamp::from_millisecond(at).ok());
        Ok(Self { sequence, published, event })
    }
}
