//! Outcomes of jobs, and reasons for failure.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use crate::asset::{AssetId, shortened_name};
use crate::bounded::{MOST_BYTES, MOST_COUNT, at_most, few_texts, optional, short};
use crate::check::Unmade;
use crate::hash::ContentHash;
use crate::ids::{JobId, RunId};

/// Only the latest ids are kept: they are the ones that support asks for, and the message has to stay small.
pub const MOST_REQUEST_IDS: usize = 8;
/// The longest request id, in bytes.
pub const LONGEST_REQUEST_ID: usize = 256;

/// How a job ended. Every published job has exactly one outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The active version is protected, and the marker states it.
    Watermarked {
        /// The protected version: that of the watermarked file, or the original's if the file was put elsewhere.
        #[serde(deserialize_with = "at_most::<MOST_COUNT, _, _>")]
        version: u32,
    },
    /// The file was protected before; at most the marker was written.
    AlreadyProtected,
    /// A person uploaded a newer version meanwhile.
    Superseded {
        /// The version that holds the connector's file; `None` if it was never saved.
        #[serde(default, deserialize_with = "optional::<MOST_COUNT, _, _>")]
        ours: Option<u32>,
        /// The person's version.
        #[serde(deserialize_with = "at_most::<MOST_COUNT, _, _>")]
        theirs: u32,
    },
    /// Saved; a person has to approve it before it becomes visible.
    AwaitingApproval,
    /// The asset does not exist any more, according to a single GET.
    Gone,
    Failed(Failure),
}

impl Outcome {
    /// All names, so that metrics can start at zero.
    pub const NAMES: &'static [&'static str] = Self::VARIANTS;

    /// The name in logs, metrics, the ledger and the summary.
    pub fn name(&self) -> &'static str {
        self.into()
    }

    /// The name, and the class if it is a failure.
    pub fn name_and_class(&self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Failed(failure) => (self.name(), Some(failure.class.name())),
            _ => (self.name(), None),
        }
    }
}

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub class: FailureClass,
    /// What happened, and what to do about it.
    pub reason: Reason,
    /// The service's request id, for its support.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "short::<LONGEST_REQUEST_ID, _>"
    )]
    pub request_id: Option<String>,
}

/// A reason for a person to read; cut to a bounded length because it may quote a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Reason(String);

/// Maximum length of a reason, in characters.
const LONGEST_REASON: usize = 2000;

impl From<String> for Reason {
    fn from(text: String) -> Self {
        Self(cut(text, LONGEST_REASON))
    }
}

impl From<&str> for Reason {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.0
    }
}

impl std::ops::Deref for Reason {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The kinds of failure; a closed set, because it is a label of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The credential may not do this to this asset.
    Permission,
    /// The asset has no original file, or an empty one.
    NoOriginal,
    /// The file's type or size cannot be watermarked.
    Unsupported,
    /// A service refused the request; a retry would not help.
    Refused,
    /// The watermarked file failed a check; nothing was changed in Bynder.
    BadResult,
    /// The hash metaproperty has a text that is not the connector's, or did not keep what was written.
    Marker,
    /// It is unknown whether Imatag has the file, and the wire profile has no way to ask.
    Ambiguous,
    /// Transient errors used up all attempts.
    Exhausted,
    /// A service did not finish within the allowed time.
    TimedOut,
    /// A fault of the worker's machine: disk or memory.
    Local,
    /// The job's message could not be decoded.
    Malformed,
}

impl FailureClass {
    /// All classes, so that metrics can start at zero.
    pub const ALL: [Self; 11] = [
        Self::Permission,
        Self::NoOriginal,
        Self::Unsupported,
        Self::Refused,
        Self::BadResult,
        Self::Marker,
        Self::Ambiguous,
        Self::Exhausted,
        Self::TimedOut,
        Self::Local,
        Self::Malformed,
    ];

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// The name in metrics, the ledger and JSON output.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Where a watermarked file is, if not in a version of the asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placed {
    /// In another asset, the copy.
    Copy {
        asset_id: AssetId,
        /// The version of the copy that holds it.
        #[serde(deserialize_with = "at_most::<MOST_COUNT, _, _>")]
        version: u32,
    },
    /// In an additional file of the asset.
    Additional { file_name: PlacedName },
}

/// The name that the connector gave to an additional file; cut to a bounded length, because records and messages hold
/// it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct PlacedName(String);

/// Maximum length of such a name, in characters; the connector's own names are shorter.
const LONGEST_PLACED_NAME: usize = 400;

impl From<String> for PlacedName {
    fn from(text: String) -> Self {
        Self(cut(text, LONGEST_PLACED_NAME))
    }
}

impl From<PlacedName> for String {
    fn from(name: PlacedName) -> Self {
        name.0
    }
}

impl fmt::Display for PlacedName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The text, or its beginning with a mark if it has more characters.
fn cut(mut text: String, most: usize) -> String {
    if let Some((end, _)) = text.char_indices().nth(most) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// The event that reports an outcome: what the ledger keeps of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeEvent {
    pub job_id: JobId,
    /// The run that published the job.
    pub run_id: RunId,
    pub asset_id: AssetId,
    /// The asset's name when it was listed, shortened.
    #[serde(deserialize_with = "shortened_name")]
    pub asset_name: String,
    /// The version that the job was to protect.
    #[serde(deserialize_with = "at_most::<MOST_COUNT, _, _>")]
    pub base: u32,
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Hash of the original, once it was downloaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<ContentHash>,
    /// Hash of the watermarked file, once there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermarked: Option<ContentHash>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "short::<LONGEST_REQUEST_ID, _>"
    )]
    pub media_id: Option<String>,
    /// Imatag's request ids of the submits, for its support.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "few_texts::<MOST_REQUEST_IDS, LONGEST_REQUEST_ID, _>"
    )]
    pub request_ids: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placed: Option<Placed>,
    /// The checks that could not be made on the watermarked file.
    #[serde(default, skip_serializing_if = "Unmade::is_empty")]
    pub unchecked: Unmade,
    /// Attempts used up.
    #[serde(deserialize_with = "at_most::<MOST_COUNT, _, _>")]
    pub attempts: u32,
    /// Bytes downloaded, including retries.
    #[serde(default, deserialize_with = "at_most::<MOST_BYTES, _, _>")]
    pub bytes_downloaded: u64,
    /// Bytes uploaded, including retries.
    #[serde(default, deserialize_with = "at_most::<MOST_BYTES, _, _>")]
    pub bytes_uploaded: u64,
    /// When the version was added, by the portal's clock; `None` if the job did not get as far as its save, or if the version was there
    /// before the changes that its run covered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added: Option<Timestamp>,
    /// When the job ended.
    pub at: Timestamp,
}

impl OutcomeEvent {
    /// The outcome of a job whose message cannot be decoded.
    pub fn of_unreadable(job_id: JobId, run_id: RunId, asset_id: AssetId, reason: String) -> Self {
        Self {
            job_id,
            run_id,
            asset_id,
            asset_name: String::new(),
            base: 0,
            outcome: Outcome::Failed(Failure {
                class: FailureClass::Malformed,
                reason: reason.into(),
                request_id: None,
            }),
            original: None,
            watermarked: None,
            media_id: None,
            request_ids: Vec::new(),
            placed: None,
            unchecked: Unmade::default(),
            attempts: 0,
            bytes_downloaded: 0,
            bytes_uploaded: 0,
            added: None,
            at: Timestamp::now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_an_outcome_are_bounded_wherever_it_comes_from() {
        let long = "é".repeat(30_000);
        let unreadable = || ("00".repeat(16).try_into().unwrap(), RunId("r".to_owned()), AssetId::unknown());
        let (job_id, run_id, asset_id) = unreadable();
        let event = OutcomeEvent::of_unreadable(job_id, run_id, asset_id, long.clone());
        let mut written = serde_json::to_value(&event).unwrap();
        for key in ["asset_name", "media_id", "request_id"] {
            written[key] = long.clone().into();
        }
        let read: OutcomeEvent = serde_json::from_value(written).unwrap();
        assert!(read.asset_name.chars().count() < 300, "{}", read.asset_name.len());
        assert_eq!(read.media_id, None);
        let Outcome::Failed(failure) = &read.outcome else { panic!("{read:?}") };
        assert_eq!((failure.reason.chars().count(), &failure.request_id), (LONGEST_REASON + 1, &None));
    }

    #[test]
    fn the_name_of_an_additional_file_is_bounded_wherever_it_comes_from() {
        let long = "é".repeat(300_000);
        let placed = serde_json::json!({"additional": {"file_name": long}});
        let Placed::Additional { file_name } = serde_json::from_value(placed).unwrap() else { panic!() };
        assert_eq!(file_name.to_string().chars().count(), LONGEST_PLACED_NAME + 1);
        assert_eq!(PlacedName::from("a.jpg".to_owned()).to_string(), "a.jpg");
    }
}
