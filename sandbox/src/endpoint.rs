//! All endpoints, recognised by method and path.

use axum::http::Method;

/// The endpoint of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Endpoint {
    List,
    Asset,
    Modify,
    Delete,
    Download,
    UploadAddress,
    UploadInit,
    /// Register or finalise, depending on the body.
    UploadStep,
    Poll,
    SaveNew,
    SaveVersion,
    SaveAdditional,
    Metaproperties,
    Brands,
    Account,
    User,
    Profile,
    Collections,
    Tags,
    Token,
    PortalUnknown,
    StoragePart,
    StorageFile,
    StorageThumbnail,
    Submit,
    MediumStatus,
    MediumResult,
    MediumFind,
    ImatagToken,
    ImatagLink,
    ImatagUnknown,
    Control,
}

/// The wire format of an Imatag path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    Assumed,
    Bytes,
    Link,
}

impl Endpoint {
    pub(crate) fn of(method: &Method, path: &[&str]) -> Self {
        let get = method == Method::GET;
        let post = method == Method::POST;
        match path {
            ["api", "v4", rest @ ..] => Self::portal(method, rest),
            ["api", "upload", "endpoint"] if get => Self::UploadAddress,
            ["api", "upload", "init"] if post => Self::UploadInit,
            ["api", "v3", rest @ ..] => match rest {
                ["oauth", "token"] if post => Self::ImatagToken,
                ["media"] if post => Self::Submit,
                ["media"] if get => Self::MediumFind,
                ["media", _] if get => Self::MediumStatus,
                ["media", _, "watermarked"] if get => Self::MediumResult,
                _ => Self::ImatagUnknown,
            },
            ["wire-b", "v9", rest @ ..] => match rest {
                ["protect"] if post => Self::Submit,
                ["lookup"] if get => Self::MediumFind,
                ["medium", _] if get => Self::MediumStatus,
                ["result", _] if get => Self::MediumResult,
                _ => Self::ImatagUnknown,
            },
            ["wire-c", "token"] if post => Self::ImatagToken,
            ["wire-c", "files"] if post => Self::Submit,
            ["wire-c", "files", _] if get => Self::MediumStatus,
            ["wire-b" | "wire-c", ..] => Self::ImatagUnknown,
            ["v6", "authentication", "oauth2", "token"] if post => Self::Token,
            ["storage", "upload"] if post => Self::StoragePart,
            ["storage", "file", ..] if get => Self::StorageFile,
            ["storage", "thumbnail", ..] if get => Self::StorageThumbnail,
            ["imatag-storage", _] if get => Self::ImatagLink,
            [] | ["healthz"] | ["sandbox", ..] => Self::Control,
            _ => Self::PortalUnknown,
        }
    }

    /// Whether requests are authorised by a signed link instead of a credential.
    pub(crate) fn takes_signed_links(self) -> bool {
        matches!(self, Self::StorageFile | Self::ImatagLink)
    }

    fn portal(method: &Method, path: &[&str]) -> Self {
        let get = method == Method::GET;
        let post = method == Method::POST;
        match path {
            ["media"] if get => Self::List,
            ["media", "save"] | ["media", "save", _] if post => Self::SaveNew,
            ["media", _, "save", "additional"] | ["media", _, "save", "additional", _] if post => {
                Self::SaveAdditional
            }
            ["media", _, "save"] | ["media", _, "save", _] if post => Self::SaveVersion,
            ["media", _, "download"] | ["media", _, _, "download"] | ["media", _, "download", _] if get => {
                Self::Download
            }
            ["media", _] if get => Self::Asset,
            ["media"] | ["media", _] if post => Self::Modify,
            ["media", _] if method == Method::DELETE => Self::Delete,
            ["upload", "poll"] if get => Self::Poll,
            ["upload"] | ["upload", _] if post => Self::UploadStep,
            ["metaproperties"] if get => Self::Metaproperties,
            ["brands"] if get => Self::Brands,
            ["account"] if get => Self::Account,
            ["currentUser"] if get => Self::User,
            ["profiles", _] if get => Self::Profile,
            ["collections"] if get => Self::Collections,
            ["tags"] if get => Self::Tags,
            _ => Self::PortalUnknown,
        }
    }

    /// The name in statistics and fault rules.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::List => "bynder.list",
            Self::Asset => "bynder.asset",
            Self::Modify => "bynder.modify",
            Self::Delete => "bynder.delete",
            Self::Download => "bynder.download",
            Self::UploadAddress => "bynder.upload_endpoint",
            Self::UploadInit => "bynder.upload_init",
            Self::UploadStep => "bynder.upload_step",
            Self::Poll => "bynder.poll",
            Self::SaveNew => "bynder.save_new",
            Self::SaveVersion => "bynder.save",
            Self::SaveAdditional => "bynder.save_additional",
            Self::Metaproperties => "bynder.metaproperties",
            Self::Brands => "bynder.brands",
            Self::Account => "bynder.account",
            Self::User => "bynder.user",
            Self::Profile => "bynder.profile",
            Self::Collections => "bynder.collections",
            Self::Tags => "bynder.tags",
            Self::Token => "bynder.token",
            Self::PortalUnknown => "bynder.unknown",
            Self::StoragePart => "s3.part",
            Self::StorageFile => "s3.file",
            Self::StorageThumbnail => "s3.thumbnail",
            Self::Submit => "imatag.submit",
            Self::MediumStatus => "imatag.status",
            Self::MediumResult => "imatag.download",
            Self::MediumFind => "imatag.find",
            Self::ImatagToken => "imatag.token",
            Self::ImatagLink => "imatag.storage",
            Self::ImatagUnknown => "imatag.unknown",
            Self::Control => "sandbox",
        }
    }

    /// Whether it counts against the portal's limit.
    pub(crate) fn is_portal(self) -> bool {
        self.name().starts_with("bynder.")
    }

    pub(crate) fn matches(self, pattern: &str) -> bool {
        match pattern.strip_suffix('*') {
            Some(start) => self != Self::Control && self.name().starts_with(start),
            None => self.name() == pattern,
        }
    }

    /// The wire of an Imatag path.
    pub(crate) fn wire(path: &[&str]) -> Wire {
        match path.first() {
            Some(&"wire-b") => Wire::Bytes,
            Some(&"wire-c") => Wire::Link,
            _ => Wire::Assumed,
        }
    }
}
