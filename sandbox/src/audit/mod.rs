//! The auditor: what was done to each asset, held against what was planted.

mod elsewhere;
mod judge;
mod kind;
mod marker;
mod naming;

use serde::Serialize;

pub(crate) use elsewhere::{judge_additional, judge_copy};
pub(crate) use judge::{audit, judge_medium, judge_save};
pub use kind::ViolationKind;
pub(crate) use marker::Marker;
pub(crate) use naming::{judge_name, judge_part};

use crate::world::{Maker, Planted};

/// Something a right client never does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// What.
    pub kind: ViolationKind,
    /// To which asset; empty where it concerns none.
    pub asset_id: String,
    /// The circumstances.
    pub detail: String,
}

/// One version of an audited asset.
#[derive(Debug, Clone, Serialize)]
pub struct AuditedVersion {
    /// Its number.
    pub number: u32,
    /// Whether it is shown.
    pub active: bool,
    /// Who made it.
    pub maker: Maker,
    /// Hash of its file; empty where it has none.
    pub sha256: String,
    /// The file's length.
    pub bytes: u64,
    /// Whether Imatag made it.
    pub watermarked: bool,
}

/// One audited asset.
#[derive(Debug, Clone, Serialize)]
pub struct AuditedAsset {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: &'static str,
    /// How a right run leaves it.
    pub planted: Planted,
    /// Its versions.
    pub versions: Vec<AuditedVersion>,
    /// Its marker.
    pub marker: Option<String>,
    /// What a client tells people of it.
    pub status: Option<String>,
    /// What a client says belongs to it.
    pub link: Option<String>,
    /// The asset that it is a copy of.
    pub copy_of: Option<String>,
    /// Names of its additional files.
    pub additional: Vec<String>,
    /// Whether its active file is watermarked, or a watermarked file made from it is in a copy or an additional file.
    pub protected: bool,
    /// Versions, versions of copies and additional files that a client made of it.
    pub made: usize,
    /// Media that Imatag made for it.
    pub media: usize,
    /// The directories that these were saved in.
    pub directories: Vec<String>,
    /// Requests made about it by its id.
    pub requests: u64,
    /// Whether a person's work fell into the documented window between the last look and a save.
    pub crossed: bool,
    /// Whether a person deleted it.
    pub deleted: bool,
}

/// The audit.
#[derive(Debug, Clone, Serialize)]
pub struct Audit {
    /// Every asset.
    pub assets: Vec<AuditedAsset>,
    /// Everything that a right client never does.
    pub violations: Vec<Violation>,
    /// What happened and is no violation.
    pub notes: Vec<String>,
}
