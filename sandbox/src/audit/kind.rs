//! The kinds of violation: a closed set, each proven by a client that commits it.

use serde::Serialize;

/// What a right client never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ViolationKind {
    /// One file of one asset was watermarked, or saved, twice.
    DoneTwice,
    /// A file made from one asset was saved on another.
    WrongFile,
    /// A file that Imatag never made was saved.
    NotWatermarked,
    /// A file that the marker names as watermarked was submitted again.
    WatermarkOfWatermark,
    /// The marker calls a file protected that is not.
    UnprotectedMarkedProtected,
    /// A protected file without its record.
    MarkerMissing,
    /// A record with other hashes than the files have, or a text that is no marker.
    MarkerWrong,
    /// Text of somebody else was overwritten.
    ForeignTextOverwritten,
    /// An asset that a person opted out was touched.
    OptOutIgnored,
    /// Name, description, copyright, tags, brand or another metaproperty changed.
    MetadataChanged,
    /// The asset was made public, which cannot be undone.
    MadePublic,
    /// A medium outside the homedir's directory.
    OutsideDirectory,
    /// A medium without its Bynder id.
    WithoutBynderId,
    /// A person's version was covered by a file made from an older one, although the client could have seen it.
    PersonVersionBuried,
    /// A credential came where it must not be.
    CredentialLeaked,
    /// A portal call while the block lasted.
    RequestDuringBlock,
    /// An asset has a second copy.
    TwoCopies,
    /// A copy may be used where its original may not.
    UnrestrictedCopy,
    /// A copy was taken for an original.
    CopyWatermarked,
    /// One watermarked file became an additional file twice.
    AdditionalTwice,
    /// An asset that its row alone says is done was asked about.
    UnneededWork,
    /// A file came back under another extension.
    ExtensionChanged,
    /// A file came back under a name that makes it another kind of asset.
    TypeChanged,
    /// The name of a file in a form could end its header, or leave its folder.
    UnsafeName,
}

impl ViolationKind {
    /// Every kind.
    pub const ALL: [Self; 24] = [
        Self::DoneTwice,
        Self::WrongFile,
        Self::NotWatermarked,
        Self::WatermarkOfWatermark,
        Self::UnprotectedMarkedProtected,
        Self::MarkerMissing,
        Self::MarkerWrong,
        Self::ForeignTextOverwritten,
        Self::OptOutIgnored,
        Self::MetadataChanged,
        Self::MadePublic,
        Self::OutsideDirectory,
        Self::WithoutBynderId,
        Self::PersonVersionBuried,
        Self::CredentialLeaked,
        Self::RequestDuringBlock,
        Self::TwoCopies,
        Self::UnrestrictedCopy,
        Self::CopyWatermarked,
        Self::AdditionalTwice,
        Self::UnneededWork,
        Self::ExtensionChanged,
        Self::TypeChanged,
        Self::UnsafeName,
    ];
}
