//! The auditor: compares what was done to each asset with what was planted.

mod elsewhere;
mod judge;
mod marker;
mod naming;
mod unchecked;

use jiff::Timestamp;
use serde::Serialize;

pub(crate) use elsewhere::{judge_additional, judge_copy};
pub(crate) use judge::{audit, judge_medium, judge_save};
pub(crate) use marker::Marker;
pub(crate) use naming::{judge_name, judge_part};
pub(crate) use unchecked::{judge_finalised, judge_marker};

use crate::violation::Violation;
use crate::world::{Maker, Planted};

/// One version of an audited asset.
#[derive(Debug, Clone, Serialize)]
pub struct AuditedVersion {
    pub number: u32,
    pub active: bool,
    pub maker: Maker,
    /// When it was made, in whole seconds, as the portal shows it.
    pub made: Timestamp,
    /// Hash of its file; empty if it has none.
    pub sha256: String,
    /// Length of its file.
    pub bytes: u64,
    /// Whether its file is from Imatag.
    pub watermarked: bool,
}

/// One audited asset.
#[derive(Debug, Clone, Serialize)]
pub struct AuditedAsset {
    pub id: String,
    pub name: String,
    /// Bynder's asset type.
    pub kind: &'static str,
    /// The outcome of a correct run.
    pub planted: Planted,
    pub versions: Vec<AuditedVersion>,
    pub marker: Option<String>,
    /// The value of the status metaproperty.
    pub status: Option<String>,
    /// The value of the link metaproperty.
    pub link: Option<String>,
    /// The asset of which it is a copy.
    pub copy_of: Option<String>,
    /// Names of its additional files.
    pub additional: Vec<String>,
    /// Whether its active file is watermarked, or a copy or an additional file has the watermarked file.
    pub protected: bool,
    /// Number of versions, versions of copies and additional files that a client made of it.
    pub made: usize,
    /// Number of its media at Imatag.
    pub media: usize,
    /// The directories of these media.
    pub directories: Vec<String>,
    /// Number of requests for it by its id.
    pub requests: u64,
    /// Whether a person changed it between the client's last read and its save, which is the documented race.
    pub crossed: bool,
    /// Whether a person deleted it.
    pub deleted: bool,
}

#[derive(Debug, Clone, Serialize)]
pub struct Audit {
    pub assets: Vec<AuditedAsset>,
    pub violations: Vec<Violation>,
    /// Events that are tolerated.
    pub notes: Vec<String>,
}
