//! A job: one asset to protect, as a message that carries its own progress.

mod directory;
mod effects;
mod message;
mod output_mode;
mod service_ids;
mod wait_mark;

#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use strum::IntoStaticStr;

pub use crate::ids::{InvalidId, JobId, RunId};
pub use directory::{Directory, InvalidDirectory};
pub use effects::{Effects, Renewal};
pub use message::check_version;
pub use message::{MESSAGE_VERSION, MOST_MESSAGE_BYTES, MessageError};
pub use output_mode::OutputMode;
pub use service_ids::MOST_PARTS;
pub use service_ids::{ImportId, MediumId, Parcel, UploadText};
pub use wait_mark::WaitMark;

use crate::asset::{AssetId, ShownFile};
use crate::bounded::{MOST_BYTES, MOST_COUNT, MOST_MILLISECONDS, at_most, optional};
use crate::file_name::{FileName, Known};
use crate::outcome::{FailureClass, Outcome, OutcomeEvent};

/// What a job does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Download the original, hash it, find or submit it at Imatag.
    Submit,
    /// Fetch the watermarked file, check it, upload it, write the marker.
    Transfer,
    /// Wait for the import, look once more, save it as the new version.
    Save,
}

impl Step {
    /// The steps in the order a worker prefers them: finish before starting.
    pub const LATEST_FIRST: [Self; 3] = [Self::Save, Self::Transfer, Self::Submit];

    /// The step's name in logs, metrics and queue names.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The step of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::LATEST_FIRST.into_iter().find(|step| step.name() == name)
    }
}

/// Which of the two lanes a job starts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Assets changed lately.
    Fresh,
    /// Old assets of a full run.
    Backlog,
}

impl Lane {
    /// The lane's name in logs, metrics and queue names.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The lane of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Fresh, Self::Backlog].into_iter().find(|lane| lane.name() == name)
    }
}

fn shortened(name: &str) -> String {
    name.chars().take(MOST_NAME_CHARACTERS).collect()
}

/// A message may hold a longer one than this release writes.
fn shortened_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(shortened(&String::deserialize(deserializer)?))
}

/// One asset to protect, with everything done for it so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The job's id.
    pub job_id: JobId,
    /// The run that published it.
    pub run_id: RunId,
    /// The asset.
    pub asset_id: AssetId,
    /// The asset's name when it was listed, shortened; for people only.
    #[serde(deserialize_with = "shortened_name")]
    pub asset_name: String,
    /// The lane it was published to.
    pub lane: Lane,
    /// What to do next.
    pub step: Step,
    /// The version to protect.
    #[serde(deserialize_with = "at_most::<MOST_COUNT, _, _>")]
    pub base: u32,
    /// The highest version number known.
    #[serde(deserialize_with = "at_most::<MOST_COUNT, _, _>")]
    pub top: u32,
    /// Length of the file to protect, where the portal told it: an error page has another one.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional::<MOST_BYTES, _, _>"
    )]
    pub bytes: Option<u64>,
    /// The name of that file, where the portal shows it: what replaces the file is named like it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// The extension that the portal shows for that file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// The hash metaproperty's value when the asset was last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker_text: Option<String>,
    /// Attempts used up; counts only while the service's breaker is closed.
    #[serde(default, deserialize_with = "at_most::<MOST_COUNT, _, _>")]
    pub attempt: u32,
    /// The sum of the waits, in milliseconds; pauses do not count.
    #[serde(default, deserialize_with = "at_most::<MOST_MILLISECONDS, _, _>")]
    pub waited_ms: u64,
    /// Looks in a row that did not show the marker that was written.
    #[serde(default, deserialize_with = "at_most::<MOST_COUNT, _, _>")]
    pub unseen_marker_looks: u32,
    /// How often a person's work sent the job back to the start.
    #[serde(default, deserialize_with = "at_most::<MOST_COUNT, _, _>")]
    pub restarts: u32,
    /// Whether an earlier effect of this job may have happened unseen.
    #[serde(default)]
    pub suspect: bool,
    /// How much longer the job waits before its next step, since one of its requests may still land, in milliseconds.
    #[serde(
        default,
        skip_serializing_if = "is_zero",
        deserialize_with = "at_most::<MOST_MILLISECONDS, _, _>"
    )]
    pub outwait_ms: u64,
    /// Deliveries in a row that were lost with their worker before a step ended: a job may be what kills it.
    #[serde(default, deserialize_with = "at_most::<MOST_COUNT, _, _>")]
    pub lost_deliveries: u32,
    /// Whether this message stands in for one that a worker works on: if it is delivered, that worker is gone.
    #[serde(default)]
    pub held: bool,
    /// W3C trace context; the trace is the job's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// When the producer published it.
    pub created_at: Timestamp,
    /// What becomes of the watermarked file: decided when the job begins, so that it ends as it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<OutputMode>,
    /// Where Imatag saves the medium, if not in the worker's own directory: decided when the job is published, so that it
    /// is looked for where it was put.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<Directory>,
    /// The portal that it is for, by its origin; absent from a release that does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portal: Option<String>,
    /// What has been done.
    #[serde(default)]
    pub effects: Effects,
    /// Bytes fetched so far, retries included.
    #[serde(default, deserialize_with = "at_most::<MOST_BYTES, _, _>")]
    pub bytes_downloaded: u64,
    /// Bytes sent so far, retries included.
    #[serde(default, deserialize_with = "at_most::<MOST_BYTES, _, _>")]
    pub bytes_uploaded: u64,
    /// The latest failed attempts, oldest first, at most eight.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<FailedAttempt>,
    /// Fields of a later release, carried along untouched.
    #[serde(flatten)]
    pub unknown: serde_json::Map<String, serde_json::Value>,
}

/// One failed attempt, for `failed show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedAttempt {
    /// When it failed.
    pub at: Timestamp,
    /// The step it failed in.
    pub step: Step,
    /// The kind of failure.
    pub class: FailureClass,
    /// The error's text, shortened.
    pub reason: String,
    /// The request id the service gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

const MOST_ATTEMPTS_REMEMBERED: usize = 8;
const MOST_NAME_CHARACTERS: usize = 200;
const MOST_REASON_CHARACTERS: usize = 500;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Job {
    /// A job at its first step.
    pub fn new(
        run_id: RunId,
        asset_id: AssetId,
        asset_name: &str,
        lane: Lane,
        base: u32,
        marker_text: Option<String>,
        created_at: Timestamp,
    ) -> Self {
        let job_id = JobId::derive(&run_id, &asset_id, base);
        // The trace of a job is as unique as the job, and found by its id.
        let traceparent = format!("00-{job_id}-{}-01", &job_id.0[16..]);
        Self {
            job_id,
            run_id,
            asset_id,
            asset_name: shortened(asset_name),
            lane,
            step: Step::Submit,
            base,
            top: base,
            bytes: None,
            file_name: None,
            extension: None,
            marker_text,
            attempt: 0,
            waited_ms: 0,
            unseen_marker_looks: 0,
            restarts: 0,
            suspect: false,
            outwait_ms: 0,
            lost_deliveries: 0,
            held: false,
            traceparent: Some(traceparent),
            created_at,
            mode: None,
            directory: None,
            portal: None,
            effects: Effects::default(),
            bytes_downloaded: 0,
            bytes_uploaded: 0,
            history: Vec::new(),
            unknown: serde_json::Map::new(),
        }
    }

    /// Notes that an effect of this job may have happened, or may still happen, unseen.
    pub fn suspect_now(&mut self) {
        self.suspect = true;
        self.effects.quiet = None;
    }

    /// Marks this moment by the job's own waits: workers take turns at a job, and their clocks may differ.
    pub fn wait_mark(&self) -> WaitMark {
        WaitMark(self.waited_ms)
    }

    /// How long the job has waited since then. Marks of an earlier release were times of day: those count from now on.
    pub fn waited_since(&self, mark: &mut WaitMark) -> Duration {
        mark.0 = mark.0.min(self.waited_ms);
        Duration::from_millis(self.waited_ms - mark.0)
    }

    /// How long this job has waited in all.
    pub fn waited(&self) -> Duration {
        Duration::from_millis(self.waited_ms)
    }

    /// The id of the trace that the job belongs to, for whoever follows it through logs.
    pub fn trace_id(&self) -> Option<&str> {
        self.traceparent.as_deref()?.split('-').nth(1)
    }

    /// Notes a failed attempt; the oldest beyond eight are forgotten.
    pub fn remember(&mut self, mut attempt: FailedAttempt) {
        attempt.reason = attempt.reason.chars().take(MOST_REASON_CHARACTERS).collect();
        self.history.push(attempt);
        let excess = self.history.len().saturating_sub(MOST_ATTEMPTS_REMEMBERED);
        self.history.drain(..excess);
    }

    /// Starts over with another version to protect: what was done for the old one does not count for it.
    pub fn restart(&mut self, base: u32, top: u32, file: ShownFile, marker_text: Option<String>) {
        self.step = Step::Submit;
        self.show_file(file);
        self.base = base;
        self.top = top;
        self.marker_text = marker_text;
        self.unseen_marker_looks = 0;
        self.restarts = self.restarts.saturating_add(1);
        self.effects = Effects::default();
    }

    /// Notes what the portal shows of the file to protect.
    pub fn show_file(&mut self, file: ShownFile) {
        // A size that no file has is the portal's mistake, and would make a message that nobody may read.
        self.bytes = file.bytes.filter(|bytes| *bytes <= MOST_BYTES);
        self.file_name = file.name.map(|name| bounded_name(&name));
        self.extension =
            file.extension.map(|extension| extension.chars().take(MOST_NAME_CHARACTERS).collect());
    }

    /// Notes the name that came with the file itself, which the listing did not show.
    pub fn name_file(&mut self, name: Option<String>) {
        if self.file_name.is_none() {
            self.file_name = name.map(|name| bounded_name(&name));
        }
    }

    /// The name for the file that replaces the one to protect. `None` where no extension is known.
    pub fn upload_name(&self, media_type: Option<&str>) -> Option<FileName> {
        FileName::of(Known {
            own: self.file_name.as_deref(),
            extension: self.extension.as_deref(),
            media_type,
            asset_name: &self.asset_name,
        })
    }

    /// Gives a failed job its attempts and its day of waiting back. What was done stays done, and since nobody
    /// knows what else was, it counts as suspect.
    pub fn forget_attempts(&mut self) {
        self.attempt = 0;
        self.waited_ms = 0;
        self.unseen_marker_looks = 0;
        self.restarts = 0;
        self.lost_deliveries = 0;
        self.held = false;
        self.suspect_now();
    }

    /// The event that reports this job's end.
    pub fn ended(&self, outcome: Outcome, at: Timestamp) -> OutcomeEvent {
        OutcomeEvent {
            job_id: self.job_id.clone(),
            run_id: self.run_id.clone(),
            asset_id: self.asset_id.clone(),
            asset_name: self.asset_name.clone(),
            base: self.base,
            outcome,
            original: self.effects.original.as_ref().map(|facts| facts.sha256),
            watermarked: self.effects.watermarked.as_ref().map(|facts| facts.sha256),
            media_id: self.effects.media_id.clone().map(String::from),
            request_ids: self.effects.request_ids.clone(),
            placed: self.effects.placed.clone(),
            unchecked: self.effects.unchecked.clone(),
            attempts: self.attempt,
            bytes_downloaded: self.bytes_downloaded,
            bytes_uploaded: self.bytes_uploaded,
            at,
        }
    }
}

/// The end of a name is what counts of it, so a long one is shortened in front.
fn bounded_name(name: &str) -> String {
    let excess = name.chars().count().saturating_sub(MOST_NAME_CHARACTERS);
    name.chars().skip(excess).collect()
}
