//! A job: one asset to protect, as a message that carries its own progress.

mod directory;
mod effects;
mod message;
mod output_mode;
mod service_ids;
mod shown;
mod wait_mark;

#[cfg(test)]
mod tests;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use strum::IntoStaticStr;

pub use crate::ids::{InvalidId, JobId, RunId};
pub use directory::{Directory, InvalidDirectory};
pub use effects::{Awaited, Effects, Renewal};
pub use message::check_version;
pub use message::{MESSAGE_VERSION, MOST_MESSAGE_BYTES, MessageError};
pub use output_mode::OutputMode;
pub use service_ids::MOST_PARTS;
pub use service_ids::{ImportId, MediumId, Parcel, UploadText};
pub use wait_mark::WaitMark;

use crate::asset::{AssetId, MOST_NAME_CHARACTERS, ShownFile, shortened, shortened_name};
use crate::bounded::{MOST_BYTES, MOST_COUNT, MOST_MILLISECONDS, at_most, optional, short};
use crate::file_name::{FileName, Known};
use crate::outcome::{FailureClass, LONGEST_REQUEST_ID, Outcome, OutcomeEvent};

/// The steps of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Download the original, hash it, and find it at Imatag or submit it.
    Submit,
    /// Fetch the watermarked file, check it, upload it, write the marker.
    Transfer,
    /// Wait for the import, check the asset again, save the new version.
    Save,
}

impl Step {
    /// The steps in the order that a worker prefers: started jobs first.
    pub const LATEST_FIRST: [Self; 3] = [Self::Save, Self::Transfer, Self::Submit];

    /// The name in logs, metrics and queue names.
    pub fn name(self) -> &'static str {
        self.into()
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::LATEST_FIRST.into_iter().find(|step| step.name() == name)
    }
}

/// The lane of a job: which jobs go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Recently changed assets, from delta runs.
    Fresh,
    /// Assets from full runs.
    Backlog,
}

impl Lane {
    /// The name in logs, metrics and queue names.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The lane of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Fresh, Self::Backlog].into_iter().find(|lane| lane.name() == name)
    }
}

fn trace_context<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let is_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_context = |text: &String| {
        let parts: Vec<_> = text.splitn(5, '-').collect();
        parts.iter().map(|part| part.len()).eq([2, 32, 16, 2]) && parts.into_iter().all(is_hex)
    };
    Ok(Option::<String>::deserialize(deserializer)?.filter(is_context))
}

/// The work to protect one version of one asset, with everything done so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub job_id: JobId,
    /// The run that published it.
    pub run_id: RunId,
    pub asset_id: AssetId,
    /// The asset's name when it was listed, shortened; for display only.
    #[serde(deserialize_with = "shortened_name")]
    pub asset_name: String,
    pub lane: Lane,
    /// The step to run next.
    pub step: Step,
    /// The version to protect.
    #[serde(deserialize_with = "at_most::<MOST_COUNT, _, _>")]
    pub base: u32,
    /// The highest version number known.
    #[serde(deserialize_with = "at_most::<MOST_COUNT, _, _>")]
    pub top: u32,
    /// Since when the changes were listed that the run covered, for a delta run: an older version is no new picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed_since: Option<Timestamp>,
    /// When that version was added, by the portal's clock; known once the asset was read before the save.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added: Option<Timestamp>,
    /// Length of the original in bytes, if the portal states it; detects an error page that was downloaded instead.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional::<MOST_BYTES, _, _>"
    )]
    pub bytes: Option<u64>,
    /// The original's file name, if the portal shows it; the watermarked file gets the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// The original's extension, as the portal shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extension: Option<String>,
    /// The hash metaproperty's value when the asset was last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marker_text: Option<String>,
    /// Attempts used up. An attempt counts only while the service's breaker is closed.
    #[serde(default, deserialize_with = "at_most::<MOST_COUNT, _, _>")]
    pub attempt: u32,
    /// Total time waited, in milliseconds, without pauses.
    #[serde(default, deserialize_with = "at_most::<MOST_MILLISECONDS, _, _>")]
    pub waited_ms: u64,
    /// Consecutive reads of the asset that did not show the written marker.
    #[serde(default, deserialize_with = "at_most::<MOST_COUNT, _, _>")]
    pub unseen_marker_looks: u32,
    /// How often a person's change made the job start over.
    #[serde(default, deserialize_with = "at_most::<MOST_COUNT, _, _>")]
    pub restarts: u32,
    /// Whether an earlier request of this job may have taken effect without the job knowing.
    #[serde(default)]
    pub suspect: bool,
    /// How much longer the job has to wait before its next step because one of its requests may still take effect, in
    /// milliseconds.
    #[serde(
        default,
        skip_serializing_if = "is_zero",
        deserialize_with = "at_most::<MOST_MILLISECONDS, _, _>"
    )]
    pub outwait_ms: u64,
    /// Consecutive deliveries that were lost with their worker before a step ended; the job itself may kill the worker.
    #[serde(default, deserialize_with = "at_most::<MOST_COUNT, _, _>")]
    pub lost_deliveries: u32,
    /// Whether this message is the backup of one that a worker is processing; if it is delivered, that worker is gone.
    #[serde(default)]
    pub held: bool,
    /// W3C trace context; each job is a trace. Left out if a message has another text there, since the log shows it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "trace_context")]
    pub traceparent: Option<String>,
    /// When the producer published it.
    pub created_at: Timestamp,
    /// The output mode, fixed when the job begins so that all steps use the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<OutputMode>,
    /// Imatag's directory for the medium, if not the worker's own. Fixed when the job is published, so that the search looks
    /// where the medium was saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<Directory>,
    /// The portal's origin; `None` from releases that do not state it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portal: Option<String>,
    #[serde(default)]
    pub effects: Effects,
    /// Bytes downloaded so far, including retries.
    #[serde(default, deserialize_with = "at_most::<MOST_BYTES, _, _>")]
    pub bytes_downloaded: u64,
    /// Bytes uploaded so far, including retries.
    #[serde(default, deserialize_with = "at_most::<MOST_BYTES, _, _>")]
    pub bytes_uploaded: u64,
    /// The latest eight failed attempts, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<FailedAttempt>,
    /// Fields of later releases, passed on unchanged.
    #[serde(flatten)]
    pub unknown: serde_json::Map<String, serde_json::Value>,
}

/// One failed attempt, for `failed show`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedAttempt {
    pub at: Timestamp,
    pub step: Step,
    pub class: FailureClass,
    /// The error message, shortened.
    pub reason: String,
    /// The service's request id.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "short::<LONGEST_REQUEST_ID, _>"
    )]
    pub request_id: Option<String>,
}

const MOST_ATTEMPTS_REMEMBERED: usize = 8;
const MOST_REASON_CHARACTERS: usize = 500;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Job {
    /// A new job, at its first step.
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
        // The job's id is the trace id, so that people can find the trace by it.
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
            listed_since: None,
            added: None,
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

    /// Marks the job as suspect: a request of it may have taken effect, or may still do so, without the job knowing.
    pub fn suspect_now(&mut self) {
        self.suspect = true;
        self.effects.quiet = None;
    }

    /// A mark of the present moment on the job's own clock, its total wait: the clocks of the workers may differ.
    pub fn wait_mark(&self) -> WaitMark {
        WaitMark(self.waited_ms)
    }

    /// How long the job has waited since the mark. A mark from an earlier release was a time of day; it counts from now on.
    pub fn waited_since(&self, mark: &mut WaitMark) -> Duration {
        mark.0 = mark.0.min(self.waited_ms);
        Duration::from_millis(self.waited_ms - mark.0)
    }

    /// How long the job has waited for the work of a service that it still waits for.
    pub fn awaited(&self) -> Option<Duration> {
        let mut since = self.effects.awaited?.since;
        Some(self.waited_since(&mut since))
    }

    /// Total time that this job has waited.
    pub fn waited(&self) -> Duration {
        Duration::from_millis(self.waited_ms)
    }

    /// The job's trace id, for following it through logs.
    pub fn trace_id(&self) -> Option<&str> {
        self.traceparent.as_deref()?.split('-').nth(1)
    }

    /// Adds a failed attempt; only the latest eight are kept.
    pub fn remember(&mut self, mut attempt: FailedAttempt) {
        attempt.reason = attempt.reason.chars().take(MOST_REASON_CHARACTERS).collect();
        self.history.push(attempt);
        let excess = self.history.len().saturating_sub(MOST_ATTEMPTS_REMEMBERED);
        self.history.drain(..excess);
    }

    /// Starts over with another version; the effects for the old one are discarded.
    pub fn restart(&mut self, base: u32, top: u32, file: ShownFile, marker_text: Option<String>) {
        self.step = Step::Submit;
        self.show_file(file);
        self.base = base;
        self.top = top;
        self.marker_text = marker_text;
        self.unseen_marker_looks = 0;
        self.restarts = self.restarts.saturating_add(1);
        self.added = None;
        self.effects = Effects::default();
    }

    /// Stores what the portal shows of the original.
    pub fn show_file(&mut self, file: ShownFile) {
        // An impossible size is the portal's mistake, and `decode` would refuse the message.
        self.bytes = file.bytes.filter(|bytes| *bytes <= MOST_BYTES);
        self.file_name = file.name.map(|name| bounded_name(&name));
        self.extension =
            file.extension.map(|extension| extension.chars().take(MOST_NAME_CHARACTERS).collect());
    }

    /// Stores the file name from the download, if the listing did not show one.
    pub fn name_file(&mut self, name: Option<String>) {
        if self.file_name.is_none() {
            self.file_name = name.map(|name| bounded_name(&name));
        }
    }

    /// The asset's name, or its id if it has no name.
    pub fn display_name(&self) -> &str {
        if self.asset_name.is_empty() { self.asset_id.as_str() } else { &self.asset_name }
    }

    /// The name under which to upload the watermarked file; `None` if no extension is known.
    pub fn upload_name(&self, media_type: Option<&str>) -> Option<FileName> {
        FileName::of(Known {
            own: self.file_name.as_deref(),
            extension: self.extension.as_deref(),
            media_type,
            asset_name: &self.asset_name,
        })
    }

    /// Resets the attempts and waits of a failed job. Its effects stay; there may be more than are known, so it is suspect.
    pub fn forget_attempts(&mut self) {
        self.attempt = 0;
        self.waited_ms = 0;
        self.unseen_marker_looks = 0;
        self.restarts = 0;
        self.lost_deliveries = 0;
        self.held = false;
        self.suspect_now();
    }

    /// The event that reports the outcome of this job.
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
            added: self.added.filter(|added| self.listed_since.is_some_and(|since| *added >= since)),
            at,
        }
    }
}

/// Shortens a long name at its start, because its end, the extension, matters.
fn bounded_name(name: &str) -> String {
    let excess = name.chars().count().saturating_sub(MOST_NAME_CHARACTERS);
    name.chars().skip(excess).collect()
}
