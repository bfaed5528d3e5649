//! What the services name a job's files by.

use serde::{Deserialize, Serialize};

use crate::bounded::at_most;
use crate::service_id::service_id;

/// Parts of one upload: each costs a portal call, so the largest files go in larger parts.
pub const MOST_PARTS: u64 = 400;

service_id!(
    /// Imatag's id of a medium: durable before the first poll.
    MediumId,
    most 256 bytes
);

service_id!(
    /// Bynder's id of an uploaded file that is not saved yet.
    ImportId,
    most 256 bytes
);

service_id!(
    /// What Bynder names an upload by: its id, its target, its key in storage.
    UploadText,
    most 1024 bytes
);

/// Uploaded parts that are put together by the call that makes them a file of an asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    /// The upload's id.
    pub upload_id: UploadText,
    /// Where the file will be.
    pub target_id: UploadText,
    /// The base key of the parts.
    pub s3_file_name: UploadText,
    /// How many there are.
    #[serde(deserialize_with = "at_most::<MOST_PARTS, _, _>")]
    pub parts: u32,
}
