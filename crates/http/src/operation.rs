//! The purposes of requests: a closed set, since metrics count by these names.

use strum::{IntoStaticStr, VariantArray};

/// The receiver of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Peer {
    /// The portal, whose calls count against the request budget.
    Bynder,
    /// The portal's file storage, whose requests do not count against the budget.
    Storage,
    /// The watermarking service.
    Imatag,
}

impl Peer {
    /// The peer's name in metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The purpose of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Operation {
    /// A token for an OAuth2 application of the portal.
    SignIn,
    /// Data of the portal other than assets: account, brands, collections, tags, metaproperties.
    LookUp,
    /// A page of the library.
    List,
    /// One asset with its versions.
    Asset,
    /// The address of a version's file.
    DownloadPlace,
    /// The address of the storage for uploads.
    UploadEndpoint,
    /// The start of one file's upload.
    UploadPlace,
    /// The registration of an uploaded part.
    UploadPart,
    /// The end of an upload: the portal assembles the parts.
    UploadFinish,
    /// Whether imports are converted.
    Imports,
    /// The change of an asset's metaproperties.
    Mark,
    /// The save of an import as a new version of an asset.
    Save,
    /// The save of an import as a new asset.
    SaveAsset,
    /// The save of uploaded parts as an additional file of an asset.
    SaveAdditional,
    /// The download of a version's file from storage.
    FetchOriginal,
    /// The download of an asset's thumbnail from storage.
    FetchThumbnail,
    /// The upload of a part to storage.
    SendPart,
    /// A token for an OAuth2 application of Imatag.
    #[strum(serialize = "sign_in")]
    ImatagSignIn,
    /// A search for the media of an asset.
    Find,
    /// A file to watermark.
    Submit,
    /// How far a medium is.
    Status,
    /// A watermarked file.
    FetchResult,
}

impl Operation {
    /// Who is asked for it, and whether it changes an asset, begins the upload that will, or pays for a watermark.
    fn facts(self) -> (Peer, bool) {
        match self {
            Self::UploadPlace | Self::Mark | Self::Save | Self::SaveAsset | Self::SaveAdditional => {
                (Peer::Bynder, true)
            }
            Self::Submit => (Peer::Imatag, true),
            Self::SignIn
            | Self::LookUp
            | Self::List
            | Self::Asset
            | Self::DownloadPlace
            | Self::UploadEndpoint
            | Self::UploadPart
            | Self::UploadFinish
            | Self::Imports => (Peer::Bynder, false),
            Self::FetchOriginal | Self::FetchThumbnail | Self::SendPart => (Peer::Storage, false),
            Self::ImatagSignIn | Self::Find | Self::Status | Self::FetchResult => (Peer::Imatag, false),
        }
    }

    /// Who is asked for it.
    pub fn peer(self) -> Peer {
        self.facts().0
    }

    /// Whether it changes an asset, begins the upload that will, or pays for a watermark.
    pub fn changes_an_asset(self) -> bool {
        self.facts().1
    }

    /// The largest JSON answer to it that is read. A listing of 1000 assets with all their fields is a few MiB.
    pub(crate) fn most_answer_bytes(self) -> usize {
        if matches!(self, Self::List | Self::LookUp) { 16 << 20 } else { 1 << 20 }
    }

    /// The most values in its answer that are decoded: tiny ones take hundreds of times their size. Honest ones have a name, and
    /// most are longer.
    pub(crate) fn most_answer_values(self) -> usize {
        self.most_answer_bytes() / 16
    }

    /// The operation's name in metrics, unique together with its peer's.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// How a request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
pub enum StatusClass {
    /// 2xx
    #[strum(serialize = "2xx")]
    Success,
    /// 3xx
    #[strum(serialize = "3xx")]
    Redirect,
    /// 429
    #[strum(serialize = "429")]
    Limited,
    /// Any other 4xx
    #[strum(serialize = "4xx")]
    Refused,
    /// 5xx, or no status that HTTP knows
    #[strum(serialize = "5xx")]
    Broken,
    /// No response
    #[strum(serialize = "none")]
    Unanswered,
}

impl StatusClass {
    /// The class of a status code.
    pub fn of(status: u16) -> Self {
        match status {
            200..=299 => Self::Success,
            300..=399 => Self::Redirect,
            429 => Self::Limited,
            400..=499 => Self::Refused,
            _ => Self::Broken,
        }
    }

    /// The class's name in metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The direction of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Direction {
    /// From a service to this process.
    Received,
    /// From this process to a service.
    Sent,
}

impl Direction {
    /// The direction's name in metrics.
    pub fn name(self) -> &'static str {
        self.into()
    }
}
