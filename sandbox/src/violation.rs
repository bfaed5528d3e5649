//! The violations that the sandbox detects. Their kinds are a closed set; for each, a test has a client that commits it.

use serde::Serialize;

/// Something that a correct client never does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    pub kind: ViolationKind,
    /// Empty if it concerns no asset.
    pub asset_id: String,
    pub detail: String,
}

/// The kind of a violation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ViolationKind {
    /// A file of an asset was watermarked or saved twice.
    DoneTwice,
    /// A file made from one asset was saved on another.
    WrongFile,
    /// A file that is not from Imatag was saved.
    NotWatermarked,
    /// A file that the marker names as watermarked was submitted again.
    WatermarkOfWatermark,
    /// The marker names a file as protected that is not.
    UnprotectedMarkedProtected,
    /// A protected file has no record.
    MarkerMissing,
    /// A record has wrong hashes, or the marker is malformed.
    MarkerWrong,
    /// A text that is not the client's was overwritten.
    ForeignTextOverwritten,
    /// An asset was changed although a person had opted it out.
    OptOutIgnored,
    /// People's metadata was changed: name, description, copyright, tags, brand or another metaproperty.
    MetadataChanged,
    /// The asset was made public, which cannot be undone.
    MadePublic,
    /// A medium was saved outside the homedir's directory.
    OutsideDirectory,
    /// A medium has no valid Bynder id.
    WithoutBynderId,
    /// A person's version was replaced by a file made from an older one, although the client could have known.
    PersonVersionBuried,
    /// A credential was sent where it must not go.
    CredentialLeaked,
    /// A portal call was made during a block.
    RequestDuringBlock,
    /// An asset has a second copy.
    TwoCopies,
    /// A copy is less restricted than its original.
    UnrestrictedCopy,
    /// A copy was treated as an original.
    CopyWatermarked,
    /// A watermarked file was added twice as an additional file.
    AdditionalTwice,
    /// Requests were made for an asset whose row already shows that it is protected.
    UnneededWork,
    /// A file was saved with another extension.
    ExtensionChanged,
    /// A file was saved with a name that changes the asset's type.
    TypeChanged,
    /// A file name in a form could end its header or escape its folder.
    UnsafeName,
    /// Something was made of a watermarked file before its last byte was sent to the client, which cannot have checked it.
    UsedUnchecked,
}

impl ViolationKind {
    pub const ALL: [Self; 25] = [
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
        Self::UsedUnchecked,
    ];
}
