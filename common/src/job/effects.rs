//! What was done for a job so far: carried along in its message, so that no step does it again.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ImportId, MediumId, Parcel, WaitMark};
use crate::asset::AssetId;
use crate::bounded::{MOST_COUNT, at_most};
use crate::check::Unmade;
use crate::hash::FileFacts;
use crate::marker::Record;
use crate::outcome::Placed;

/// Support asks for the latest ones, and the message has to stay small.
const MOST_REQUEST_IDS: usize = 8;

/// The effects already done, so that a later step does not redo them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Effects {
    /// The original as downloaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<FileFacts>,
    /// Imatag's id of the medium: durable before the first poll.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_id: Option<MediumId>,
    /// The ids that Imatag gave to the submits, for its support.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub request_ids: Vec<String>,
    /// The watermarked file as received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermarked: Option<FileFacts>,
    /// The checks of that file that could not be made.
    #[serde(default, skip_serializing_if = "Unmade::is_empty")]
    pub unchecked: Unmade,
    /// Bynder's id of the uploaded file's import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import_id: Option<ImportId>,
    /// How long the job had waited when the import was finalised: one that is pending for 30 minutes is given up.
    #[serde(default, alias = "imported_at", skip_serializing_if = "Option::is_none")]
    pub imported: Option<WaitMark>,
    /// How long the job had waited when Bynder answered the save, while it is not known whether the version shows.
    #[serde(default, alias = "saved_at", skip_serializing_if = "Option::is_none")]
    pub saved: Option<WaitMark>,
    /// When the save was first sent that makes a copy: the copy is not older.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub save_sent_at: Option<Timestamp>,
    /// The record written to the marker ahead of the save.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marked: Option<Record>,
    /// Uploaded parts that wait to become an additional file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parcel: Option<Parcel>,
    /// The copy that this job made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<AssetId>,
    /// The new version of a copy that another job made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<Renewal>,
    /// How long the job had waited when nothing of it could land any more: what landed before is in the listing once that
    /// has caught up.
    #[serde(default, alias = "quiet_since", skip_serializing_if = "Option::is_none")]
    pub quiet: Option<WaitMark>,
    /// Where the watermarked file was put, if not into a version of the asset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placed: Option<Placed>,
}

/// What a job knows of the copy that it makes a new version of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// The copy.
    pub copy: AssetId,
    /// Its active version when the job came to it.
    #[serde(deserialize_with = "at_most::<MOST_COUNT, _, _>")]
    pub base: u32,
    /// Its highest version when the job last looked.
    #[serde(deserialize_with = "at_most::<MOST_COUNT, _, _>")]
    pub top: u32,
    /// Its marker when the job came to it.
    pub marker_text: Option<String>,
    /// The record written to its marker ahead of the save.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub marked: Option<Record>,
}

impl Effects {
    /// Notes the id of a submit; the oldest beyond eight are forgotten.
    pub fn note_request(&mut self, id: Option<String>) {
        self.request_ids.extend(id);
        let excess = self.request_ids.len().saturating_sub(MOST_REQUEST_IDS);
        self.request_ids.drain(..excess);
    }
}
