//! What has been done for a job. The message carries it, so that no step repeats it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ImportId, MediumId, Parcel, WaitMark};
use crate::asset::AssetId;
use crate::bounded::{MOST_COUNT, at_most, few_texts};
use crate::check::Unmade;
use crate::hash::FileFacts;
use crate::marker::Record;
use crate::outcome::{LONGEST_REQUEST_ID, MOST_REQUEST_IDS, Placed};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Effects {
    /// The original as downloaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<FileFacts>,
    /// Imatag's id of the medium; durable before the first poll.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_id: Option<MediumId>,
    /// Imatag's request ids of the submits, for its support.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "few_texts::<MOST_REQUEST_IDS, LONGEST_REQUEST_ID, _>"
    )]
    pub request_ids: Vec<String>,
    /// The watermarked file as received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermarked: Option<FileFacts>,
    /// The checks that could not be made on that file.
    #[serde(default, skip_serializing_if = "Unmade::is_empty")]
    pub unchecked: Unmade,
    /// Bynder's id of the import of the uploaded file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import_id: Option<ImportId>,
    /// When the upload was finalised. An import that is pending for 30 minutes is abandoned.
    #[serde(default, alias = "imported_at", skip_serializing_if = "Option::is_none")]
    pub imported: Option<WaitMark>,
    /// The work of a service that the job waits for, until it is finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaited: Option<Awaited>,
    /// When Bynder answered the save, until it is known whether the version is visible.
    #[serde(default, alias = "saved_at", skip_serializing_if = "Option::is_none")]
    pub saved: Option<WaitMark>,
    /// When the save that makes a copy was first sent; the copy is not older.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub save_sent_at: Option<Timestamp>,
    /// The record written to the marker before the save.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marked: Option<Record>,
    /// Uploaded parts that are to become an additional file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parcel: Option<Parcel>,
    /// The copy that this job made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<AssetId>,
    /// For a job that saves a new version of a copy made by another job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<Renewal>,
    /// Since when none of the job's requests can still take effect: all effects are in the listing once that has caught up.
    #[serde(default, alias = "quiet_since", skip_serializing_if = "Option::is_none")]
    pub quiet: Option<WaitMark>,
    /// Where the watermarked file is, if not in a version of the asset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placed: Option<Placed>,
}

/// The work of a service that a job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaited {
    pub since: WaitMark,
    /// Whether the job has asked and found it unfinished.
    pub asked: bool,
}

/// The state of the copy of which a job saves a new version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    pub copy: AssetId,
    /// Its active version when the job first read it.
    #[serde(deserialize_with = "at_most::<MOST_COUNT, _, _>")]
    pub base: u32,
    /// Its highest version when the job last read it.
    #[serde(deserialize_with = "at_most::<MOST_COUNT, _, _>")]
    pub top: u32,
    /// Its marker when the job first read it.
    pub marker_text: Option<String>,
    /// The record written to its marker before the save.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marked: Option<Record>,
}

impl Effects {
    /// Adds the request id of a submit; only the latest eight are kept.
    pub fn note_request(&mut self, id: Option<String>) {
        self.request_ids.extend(id);
        let excess = self.request_ids.len().saturating_sub(MOST_REQUEST_IDS);
        self.request_ids.drain(..excess);
    }
}
