//! How a job ended, and why it failed.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantNames};

use crate::asset::AssetId;
use crate::bounded::{MOST_BYTES, MOST_COUNT, at_most, optional};
use crate::check::Unmade;
use crate::hash::ContentHash;
use crate::ids::{JobId, RunId};

/// How a job ended. Every published job ends in exactly one of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The asset's active version is protected, and its marker says so.
    Watermarked {
        /// The version that is protected: the watermarked file itself, or the one that was watermarked where the file
        /// was put elsewhere.
        #[serde(deserialize_with = "at_most::<MOST_COUNT, _, _>")]
        version: u32,
    },
    /// The file was protected before; nothing but the marker was written.
    AlreadyProtected,
    /// A person's newer file and the connector's crossed; both versions are named.
    Superseded {
        /// The version that holds the connector's file; `None` if it was never saved.
        #[serde(default, deserialize_with = "optional::<MOST_COUNT, _, _>")]
        ours: Option<u32>,
        /// The person's version.
        #[serde(deserialize_with = "at_most::<MOST_COUNT, _, _>")]
        theirs: u32,
    },
    /// Saved, but a person has to approve it before it becomes visible.
    AwaitingApproval,
    /// A single GET says that the asset does not exist any more.
    Gone,
    /// It could not be done; see the failure.
    Failed(Failure),
}

impl Outcome {
    /// Every outcome's name, so that metrics can start at zero.
    pub const NAMES: &'static [&'static str] = Self::VARIANTS;

    /// The outcome's name in logs, metrics, the ledger and the summary.
    pub fn name(&self) -> &'static str {
        self.into()
    }

    /// The outcome's name, and the class of a failure.
    pub fn name_and_class(&self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Failed(failure) => (self.name(), Some(failure.class.name())),
            _ => (self.name(), None),
        }
    }
}

/// Why a job failed, for a person and for counting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The kind of failure.
    pub class: FailureClass,
    /// What happened, to what, and what to do about it.
    pub reason: Reason,
    /// The request id the service gave, for its support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// A reason for people, cut where it is longer than one reads: it may quote a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Reason(String);

/// The length of a reason, in characters.
const LONGEST_REASON: usize = 2000;

impl From<String> for Reason {
    fn from(mut text: String) -> Self {
        if let Some((end, _)) = text.char_indices().nth(LONGEST_REASON) {
            text.truncate(end);
            text.push('…');
        }
        Self(text)
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

/// The kinds of failure; a closed set, so that metrics can carry it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// The token or the user may not do this to this asset.
    Permission,
    /// The asset has no original file, or an empty one.
    NoOriginal,
    /// The file's type or size cannot be watermarked.
    Unsupported,
    /// A service refused the request for good.
    Refused,
    /// The watermarked file failed a check; Bynder was not touched.
    BadResult,
    /// The hash metaproperty holds somebody else's text, or did not keep what was written.
    Marker,
    /// Whether Imatag has the file cannot be known, and asking is not configured.
    Ambiguous,
    /// Transient errors went on beyond the allowed attempts.
    Exhausted,
    /// A service did not finish within the allowed time.
    TimedOut,
    /// The machine the worker runs on: disk or memory.
    Local,
    /// The job's message could not be understood.
    Malformed,
}

impl FailureClass {
    /// Every class, so that metrics can start at zero.
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

    /// The class with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }

    /// The class's name in metrics, the ledger and JSON output.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Where a watermarked file is, if not in a version of the asset it was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Placed {
    /// In another asset, the copy.
    Copy {
        /// The copy.
        asset_id: AssetId,
        /// The copy's version that holds it.
        #[serde(deserialize_with = "at_most::<MOST_COUNT, _, _>")]
        version: u32,
    },
    /// In an additional file of the asset.
    Additional {
        /// The file's name.
        file_name: String,
    },
}

/// One outcome event: what the ledger keeps of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeEvent {
    /// The job.
    pub job_id: JobId,
    /// The run that published it.
    pub run_id: RunId,
    /// The asset.
    pub asset_id: AssetId,
    /// The asset's name when it was listed.
    pub asset_name: String,
    /// The version the job was to protect.
    #[serde(deserialize_with = "at_most::<MOST_COUNT, _, _>")]
    pub base: u32,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Hash of the original, once it was downloaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<ContentHash>,
    /// Hash of the watermarked file, once there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watermarked: Option<ContentHash>,
    /// Imatag's id of the medium.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_id: Option<String>,
    /// The ids that Imatag gave to the requests which made the medium, for its support.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub request_ids: Vec<String>,
    /// Where the watermarked file is, if not in a version of the asset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placed: Option<Placed>,
    /// The checks of the watermarked file that could not be made.
    #[serde(default, skip_serializing_if = "Unmade::is_empty")]
    pub unchecked: Unmade,
    /// Attempts used up.
    #[serde(deserialize_with = "at_most::<MOST_COUNT, _, _>")]
    pub attempts: u32,
    /// Bytes fetched for this job, retries included.
    #[serde(default, deserialize_with = "at_most::<MOST_BYTES, _, _>")]
    pub bytes_downloaded: u64,
    /// Bytes sent for this job, retries included.
    #[serde(default, deserialize_with = "at_most::<MOST_BYTES, _, _>")]
    pub bytes_uploaded: u64,
    /// When the job ended.
    pub at: Timestamp,
}

impl OutcomeEvent {
    /// How a job ends of which no more than this can be read.
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
            at: Timestamp::now(),
        }
    }
}
