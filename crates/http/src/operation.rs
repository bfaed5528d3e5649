//! What requests are for, as a closed set: the only names under which they are counted.

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The portal, whose calls the request budget lets go.
    Bynder,
    /// The portal's file storage, which has no part in the budget.
    Storage,
    /// The watermarking service.
    Imatag,
}

impl Peer {
    /// Every peer.
    pub const ALL: [Self; 3] = [Self::Bynder, Self::Storage, Self::Imatag];

    /// The peer's name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bynder => "bynder",
            Self::Storage => "storage",
            Self::Imatag => "imatag",
        }
    }
}

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A token for an OAuth2 application of the portal's.
    SignIn,
    /// What the portal knows besides assets: account, brands, collections, tags, metaproperties.
    LookUp,
    /// A page of the library.
    List,
    /// One asset with its versions.
    Asset,
    /// Where a version's file is.
    DownloadPlace,
    /// Where files go.
    UploadEndpoint,
    /// A place for one file.
    UploadPlace,
    /// Telling that a part is there.
    UploadPart,
    /// Putting the parts together.
    UploadFinish,
    /// Whether imports are converted.
    Imports,
    /// Writing a metaproperty.
    Mark,
    /// Making an import an asset's new version.
    Save,
    /// Making an import a new asset.
    SaveAsset,
    /// Making uploaded parts an additional file of an asset.
    SaveAdditional,
    /// A version's file from storage.
    FetchOriginal,
    /// A part of a file to storage.
    SendPart,
    /// A token for an OAuth2 application of Imatag's.
    ImatagSignIn,
    /// Media by the asset they belong to.
    Find,
    /// A file to watermark.
    Submit,
    /// How far a medium is.
    Status,
    /// A watermarked file.
    FetchResult,
}

impl Operation {
    /// Every operation, so that metrics can start at zero.
    pub const ALL: [Self; 21] = [
        Self::SignIn,
        Self::LookUp,
        Self::List,
        Self::Asset,
        Self::DownloadPlace,
        Self::UploadEndpoint,
        Self::UploadPlace,
        Self::UploadPart,
        Self::UploadFinish,
        Self::Imports,
        Self::Mark,
        Self::Save,
        Self::SaveAsset,
        Self::SaveAdditional,
        Self::FetchOriginal,
        Self::SendPart,
        Self::ImatagSignIn,
        Self::Find,
        Self::Submit,
        Self::Status,
        Self::FetchResult,
    ];

    /// Who is asked for it.
    pub fn peer(self) -> Peer {
        match self {
            Self::SignIn
            | Self::LookUp
            | Self::List
            | Self::Asset
            | Self::DownloadPlace
            | Self::UploadEndpoint
            | Self::UploadPlace
            | Self::UploadPart
            | Self::UploadFinish
            | Self::Imports
            | Self::Mark
            | Self::Save
            | Self::SaveAsset
            | Self::SaveAdditional => Peer::Bynder,
            Self::FetchOriginal | Self::SendPart => Peer::Storage,
            Self::ImatagSignIn | Self::Find | Self::Submit | Self::Status | Self::FetchResult => Peer::Imatag,
        }
    }

    /// The largest JSON answer to it that is read. A listing of 1000 assets with all their fields is a few MiB.
    pub fn most_answer_bytes(self) -> usize {
        match self {
            Self::List | Self::LookUp => 16 << 20,
            Self::SignIn
            | Self::Asset
            | Self::DownloadPlace
            | Self::UploadEndpoint
            | Self::UploadPlace
            | Self::UploadPart
            | Self::UploadFinish
            | Self::Imports
            | Self::Mark
            | Self::Save
            | Self::SaveAsset
            | Self::SaveAdditional
            | Self::FetchOriginal
            | Self::SendPart
            | Self::ImatagSignIn
            | Self::Find
            | Self::Submit
            | Self::Status
            | Self::FetchResult => 1 << 20,
        }
    }

    /// The most values in its answer that are decoded: tiny ones take hundreds of times their size. Honest ones have a name, and
    /// most are longer.
    pub fn most_answer_values(self) -> usize {
        self.most_answer_bytes() / 16
    }

    /// Whether it changes an asset, begins the upload that will, or pays for a watermark.
    pub fn changes_an_asset(self) -> bool {
        match self {
            Self::UploadPlace
            | Self::Mark
            | Self::Save
            | Self::SaveAsset
            | Self::SaveAdditional
            | Self::Submit => true,
            Self::SignIn
            | Self::LookUp
            | Self::List
            | Self::Asset
            | Self::DownloadPlace
            | Self::UploadEndpoint
            | Self::UploadPart
            | Self::UploadFinish
            | Self::Imports
            | Self::FetchOriginal
            | Self::SendPart
            | Self::ImatagSignIn
            | Self::Find
            | Self::Status
            | Self::FetchResult => false,
        }
    }

    /// The operation's name in metrics, unique together with its peer's.
    pub fn name(self) -> &'static str {
        match self {
            Self::SignIn | Self::ImatagSignIn => "sign_in",
            Self::LookUp => "look_up",
            Self::List => "list",
            Self::Asset => "asset",
            Self::DownloadPlace => "download_place",
            Self::UploadEndpoint => "upload_endpoint",
            Self::UploadPlace => "upload_place",
            Self::UploadPart => "upload_part",
            Self::UploadFinish => "upload_finish",
            Self::Imports => "imports",
            Self::Mark => "mark",
            Self::Save => "save",
            Self::SaveAsset => "save_asset",
            Self::SaveAdditional => "save_additional",
            Self::FetchOriginal => "fetch_original",
            Self::SendPart => "send_part",
            Self::Find => "find",
            Self::Submit => "submit",
            Self::Status => "status",
            Self::FetchResult => "fetch_result",
        }
    }
}

/// How a request was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusClass {
    /// 2xx
    Success,
    /// 3xx
    Redirect,
    /// 429
    Limited,
    /// Any other 4xx
    Refused,
    /// 5xx, or no status that HTTP knows
    Broken,
    /// Not at all
    Unanswered,
}

impl StatusClass {
    /// Every class, so that metrics can start at zero.
    pub const ALL: [Self; 6] =
        [Self::Success, Self::Redirect, Self::Limited, Self::Refused, Self::Broken, Self::Unanswered];

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
        match self {
            Self::Success => "2xx",
            Self::Redirect => "3xx",
            Self::Limited => "429",
            Self::Refused => "4xx",
            Self::Broken => "5xx",
            Self::Unanswered => "none",
        }
    }
}

/// Which way bytes went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From a service to this process.
    Received,
    /// From this process to a service.
    Sent,
}

impl Direction {
    /// Both directions.
    pub const ALL: [Self; 2] = [Self::Received, Self::Sent];

    /// The direction's name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Sent => "sent",
        }
    }
}
