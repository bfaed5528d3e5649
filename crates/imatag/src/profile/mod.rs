//! The wire profile: a small TOML document that maps the connector's calls to HTTP.

mod word;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytesize::ByteSize;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use url::Url;

pub use word::StatusWord;

use common::address;
use common::kind::Kind;
use common::parse_error::{harmless, of_toml, place, without_value};
use common::span::Span;
use files::written::{self, Chosen, Doubt, NotRead};

/// The built-in profile's text, for a person to copy and change.
pub const BUILTIN: &str = include_str!("builtin/imatag.toml");

/// The built-in profile's name in the configuration.
pub const BUILTIN_NAME: &str = "imatag";

/// How the connector's calls map to HTTP at one service.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The name in messages.
    pub name: String,
    /// Whether a person has tried it with a real account.
    pub confirmed: bool,
    /// Identifies the profile: a hash of everything in it except `confirmed`.
    #[serde(skip)]
    pub hash: String,
    /// All paths are relative to it.
    #[serde(deserialize_with = "address::read")]
    pub base_url: Url,
    #[serde(default)]
    pub mode: Mode,
    pub auth: Auth,
    pub submit: SubmitWire,
    pub status: StatusWire,
    pub download: DownloadWire,
    /// Finds a medium by its asset; absent if the service cannot.
    #[serde(default)]
    pub find: Option<FindWire>,
    /// The locations of values in JSON responses.
    pub response: ResponseWire,
    #[serde(default)]
    pub polling: Polling,
    /// Files that are not sent at all.
    #[serde(default)]
    pub limits: Limits,
}

/// What the response to a submit contains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The response shows which.
    #[default]
    Auto,
    /// The watermarked file.
    Sync,
    /// An id to poll.
    Async,
}

/// How requests are signed.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// The word before an API key; an OAuth2 token has its own.
    pub scheme: String,
    /// How a token request carries the client's credentials.
    #[serde(default)]
    pub oauth_credentials: OAuthCredentials,
    /// Where tokens are issued; `imatag.oauth.token_url` overrides it.
    #[serde(default, deserialize_with = "address::read_some")]
    pub token_url: Option<Url>,
}

/// How a token request carries client id and secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OAuthCredentials {
    #[default]
    Basic,
    Body,
}

/// How a file is sent.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SubmitWire {
    #[serde(default = "post")]
    pub method: String,
    pub path: String,
    pub transport: FileTransport,
    /// The form field of the file.
    #[serde(default)]
    pub file_field: String,
    /// The form field or header of the file's name.
    pub file_name_field: String,
    /// The form field or header of the directory.
    pub directory_field: String,
    /// The form field of one JSON object; with `*` in place of the key, one field or header per entry.
    pub metadata_field: String,
    /// Further constant fields or headers.
    #[serde(default)]
    pub extra: BTreeMap<String, String>,
    /// The header with the medium's id if the response is the file itself.
    #[serde(default)]
    pub id_header: Option<String>,
}

fn post() -> String {
    "POST".to_owned()
}

/// How the file is transferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum FileTransport {
    /// As a part of a form; all other values as fields.
    Multipart,
    /// As the body; all other values as headers.
    Raw,
}

/// How a medium's state is read.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StatusWire {
    /// With `{id}` for the medium's id.
    pub path: String,
}

/// How a result is downloaded.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DownloadWire {
    /// With `{id}` for the medium's id.
    pub path: String,
    /// JSON Pointer to a link, if the response is not the file.
    #[serde(default)]
    pub link: Option<String>,
}

/// How a medium is found by its asset.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FindWire {
    pub path: String,
    /// `{directory}`, `{metadata_key}` and `{asset}` are replaced, in names and values.
    pub query: BTreeMap<String, String>,
    /// JSON Pointer to the list of media.
    pub list: String,
}

/// The locations of values in JSON responses, as JSON Pointers, and the service's words for a medium's state.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ResponseWire {
    /// The medium's id.
    pub id: String,
    /// The word for its state.
    pub status: String,
    /// A link to the result.
    #[serde(default)]
    pub link: Option<String>,
    /// The reason of a failure.
    #[serde(default)]
    pub error: Option<String>,
    /// The metadata it was submitted with.
    #[serde(default)]
    pub metadata: Option<String>,
    /// Words for a medium that is in progress.
    pub pending: Vec<String>,
    /// Words for a finished medium.
    pub ready: Vec<String>,
    /// Words for a medium that cannot be watermarked.
    pub failed: Vec<String>,
    /// Words for a file that carries a watermark already.
    pub already_protected: Vec<String>,
}

/// How results are awaited.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Polling {
    /// How long the response to a submit may take after the file was sent.
    pub deadline: Span,
}

impl Default for Polling {
    fn default() -> Self {
        Self { deadline: Span(Duration::from_hours(1)) }
    }
}

/// Files that are not sent at all.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes of the largest file.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub largest_file: ByteSize,
    /// Prefixes of the accepted media types; empty for all.
    #[serde(default)]
    pub content_types: Vec<String>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { largest_file: ByteSize::gib(20), content_types: Vec::new() }
    }
}

impl Limits {
    /// Whether files of this media type are sent.
    pub fn lists(&self, media_type: &str) -> bool {
        let accepted = &self.content_types;
        accepted.is_empty() || accepted.iter().any(|prefix| media_type.starts_with(prefix.as_str()))
    }

    /// The media type of an extension whose files are never sent. For an extension without a media type, the
    /// content decides.
    pub fn refused_by_extension(&self, extension: &str) -> Option<&'static str> {
        let mut types = Kind::types_of_extension(extension);
        let usual = types.next()?;
        (!self.lists(usual) && !types.any(|other| self.lists(other))).then_some(usual)
    }
}

/// A profile that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The file cannot be read.
    #[error(
        "cannot read the wire profile {path}: {source}; write \"imatag\" for the built-in one, or the path of a file"
    )]
    Read { path: String, source: std::io::Error },
    /// Another user may change the file.
    #[error("the wire profile {path} is not obeyed: {doubt}")]
    Doubt {
        path: String,
        /// Who, and what to do.
        doubt: Doubt,
    },
    /// A key is missing, unknown or of the wrong type.
    #[error("the wire profile {path} is not valid: {reason}; docs/imatag.md lists its keys")]
    Invalid {
        /// The file, or the built-in profile's name.
        path: String,
        reason: String,
    },
}

impl Profile {
    /// The built-in profile (`imatag`) or a file, with single keys overridden by the configuration.
    pub fn load(name_or_path: &str, overrides: &toml::Table) -> Result<Self, ProfileError> {
        let text = if name_or_path == BUILTIN_NAME {
            BUILTIN.to_owned()
        } else {
            let path = Path::new(name_or_path);
            let read = written::read_to_string(path, Chosen::Found).map_err(|error| match error {
                NotRead::Doubtful(doubt) => ProfileError::Doubt { path: name_or_path.to_owned(), doubt },
                NotRead::Failed(source) => {
                    ProfileError::Read { path: named(name_or_path).to_owned(), source }
                }
            });
            read?.0
        };
        let invalid = |reason: String| ProfileError::Invalid { path: name_or_path.to_owned(), reason };
        let mut table: toml::Table = text
            .parse()
            .map_err(|error: toml::de::Error| invalid(of_toml(&text, error.message(), error.span())))?;
        merge(&mut table, overrides);
        let mut said = table.clone();
        said.remove("confirmed");
        let hash = hex::encode(Sha256::digest(said.to_string()));
        let profile: Self = serde_path_to_error::deserialize(toml::Value::Table(table)).map_err(|error| {
            let message = error.inner().message();
            let said = without_value(message).unwrap_or_else(|| message.to_owned());
            invalid(format!("{}: {said}", place(&error.path().to_string(), message)))
        })?;
        profile.check().map_err(invalid)?;
        Ok(Self { hash, ..profile })
    }

    /// How long after a submit the file's medium may not show: a service that responds with an id registers it at
    /// once, any other may watermark the file first.
    pub fn submit_patience(&self) -> Duration {
        match self.mode {
            Mode::Async => Duration::ZERO,
            Mode::Auto | Mode::Sync => self.polling.deadline.0,
        }
    }

    fn check(&self) -> Result<(), String> {
        for (key, path) in [("status.path", &self.status.path), ("download.path", &self.download.path)] {
            if !path.contains("{id}") {
                return Err(format!("{key} needs {{id}} where the medium's id goes"));
            }
        }
        let pointers = [&self.response.id, &self.response.status].into_iter();
        let optional =
            [&self.response.link, &self.response.error, &self.response.metadata, &self.download.link];
        let list = self.find.as_ref().map(|find| &find.list);
        for pointer in pointers.chain(optional.into_iter().flatten()).chain(list) {
            if !pointer.is_empty() && !pointer.starts_with('/') {
                let pointer = harmless(pointer);
                return Err(format!("{pointer:?} is not a JSON Pointer: it starts with \"/\""));
            }
        }
        if self.submit.transport == FileTransport::Multipart && self.submit.file_field.is_empty() {
            return Err("submit.file_field is needed with the multipart transport".to_owned());
        }
        if self.find.is_some() && self.response.metadata.is_none() {
            return Err(
                "response.metadata is needed with [find]: hits are checked by their metadata".to_owned()
            );
        }
        Ok(())
    }
}

/// A text that names no file may be a secret.
fn named(path: &str) -> &str {
    let is_file = Path::new(path).extension().is_some_and(|extension| extension == "toml");
    if is_file { path } else { harmless(path) }
}

fn merge(table: &mut toml::Table, overrides: &toml::Table) {
    for (key, value) in overrides {
        match (table.get_mut(key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(over)) => merge(below, over),
            _ => {
                table.insert(key.clone(), value.clone());
            }
        }
    }
}
