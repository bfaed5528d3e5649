//! The services' ids of a job's files.

use serde::{Deserialize, Serialize};

use crate::bounded::at_most;
use crate::service_id::service_id;

/// Maximum parts of an upload: each costs a portal call, so very large files are sent in larger parts.
pub const MOST_PARTS: u64 = 400;

service_id!(
    /// Imatag's id of a medium.
    MediumId,
    most 256 bytes of Any
);

service_id!(
    /// Bynder's id of an uploaded file that is not saved yet; shown to people.
    ImportId,
    most 256 bytes of Plain
);

service_id!(
    /// A text by which Bynder identifies an upload: its id, its target or its storage key.
    UploadText,
    most 1024 bytes of Any
);

/// Uploaded parts that a later call assembles into a file of an asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    pub upload_id: UploadText,
    pub target_id: UploadText,
    /// The base of the parts' storage keys.
    pub s3_file_name: UploadText,
    /// Number of parts.
    #[serde(deserialize_with = "at_most::<MOST_PARTS, _, _>")]
    pub parts: u32,
}
