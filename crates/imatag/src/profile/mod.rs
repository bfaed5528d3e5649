//! The wire profile: a small TOML document that maps the port to HTTP.

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

/// The profile's source, so that a person can copy and change it.
pub const BUILTIN: &str = include_str!("builtin/imatag.toml");

/// What it is called in the configuration.
pub const BUILTIN_NAME: &str = "imatag";

/// How the port maps to HTTP on one service.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// What it is called in messages.
    pub name: String,
    /// Whether somebody has tried it against a real account.
    pub confirmed: bool,
    /// Identifies the profile: a hash of everything in it except `confirmed`.
    #[serde(skip)]
    pub hash: String,
    /// Paths are relative to this.
    #[serde(deserialize_with = "address::read")]
    pub base_url: Url,
    /// What a submit answers with.
    #[serde(default)]
    pub mode: Mode,
    /// How requests are signed.
    pub auth: Auth,
    /// Sending a file.
    pub submit: SubmitWire,
    /// Asking for a medium.
    pub status: StatusWire,
    /// Fetching a result.
    pub download: DownloadWire,
    /// Looking for a medium by its asset; absent where the service cannot.
    #[serde(default)]
    pub find: Option<FindWire>,
    /// Where things stand in JSON answers.
    pub response: ResponseWire,
    /// Waiting for results.
    #[serde(default)]
    pub polling: Polling,
    /// What is not even sent.
    #[serde(default)]
    pub limits: Limits,
}

/// What a submit answers with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Told by the answer itself.
    #[default]
    Auto,
    /// The watermarked bytes.
    Sync,
    /// An id to poll.
    Async,
}

/// How requests are signed.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// The word before an API key; a token of OAuth2 has its own.
    pub scheme: String,
    /// How a token request carries the client's credentials.
    #[serde(default)]
    pub oauth_credentials: OAuthCredentials,
    /// Where tokens come from; `imatag.oauth.token_url` overrides it.
    #[serde(default, deserialize_with = "address::read_some")]
    pub token_url: Option<Url>,
}

/// How a token request carries client id and secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OAuthCredentials {
    /// HTTP Basic.
    #[default]
    Basic,
    /// Form fields.
    Body,
}

/// Sending a file.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SubmitWire {
    /// The HTTP method.
    #[serde(default = "post")]
    pub method: String,
    /// The path.
    pub path: String,
    /// How the file travels.
    pub transport: FileTransport,
    /// The form field of the file.
    #[serde(default)]
    pub file_field: String,
    /// The form field or header of the file's name.
    pub file_name_field: String,
    /// The form field or header of the directory.
    pub directory_field: String,
    /// The form field of one JSON object, or, with `*` in place of the key, one field or header an entry.
    pub metadata_field: String,
    /// Constant further fields or headers.
    #[serde(default)]
    pub extra: BTreeMap<String, String>,
    /// The header that holds the medium's id where the answer is the file itself.
    #[serde(default)]
    pub id_header: Option<String>,
}

fn post() -> String {
    "POST".to_owned()
}

/// How the file travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum FileTransport {
    /// As a part of a form; everything else as fields.
    Multipart,
    /// As the body; everything else as headers.
    Raw,
}

/// Asking for a medium.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StatusWire {
    /// The path, with `{id}`.
    pub path: String,
}

/// Fetching a result.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DownloadWire {
    /// The path, with `{id}`.
    pub path: String,
    /// JSON Pointer to a link, where the answer is not the file.
    #[serde(default)]
    pub link: Option<String>,
}

/// Looking for a medium by its asset.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FindWire {
    /// The path.
    pub path: String,
    /// The query; `{directory}`, `{metadata_key}` and `{asset}` are filled in, in names and values.
    pub query: BTreeMap<String, String>,
    /// JSON Pointer to the list of media.
    pub list: String,
}

/// Where things stand in JSON answers: JSON Pointers, and the service's words for a medium's state.
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
    /// What went wrong.
    #[serde(default)]
    pub error: Option<String>,
    /// The metadata it was submitted with.
    #[serde(default)]
    pub metadata: Option<String>,
    /// Words for a medium that is not finished.
    pub pending: Vec<String>,
    /// Words for a finished one.
    pub ready: Vec<String>,
    /// Words for one that cannot be watermarked.
    pub failed: Vec<String>,
    /// Words for a file that carries a watermark already.
    pub already_protected: Vec<String>,
}

/// Waiting for results.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Polling {
    /// How long the answer to a submit may take once the file is sent.
    pub deadline: Span,
}

impl Default for Polling {
    fn default() -> Self {
        Self { deadline: Span(Duration::from_hours(1)) }
    }
}

/// What is not even sent.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes of the largest file.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub largest_file: ByteSize,
    /// Prefixes of the media types that are taken; empty for all.
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

    /// The media type that an extension names, where no file with it is sent. Of an extension that names none, the content
    /// decides.
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
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another user decides what the file says.
    #[error("the wire profile {path} is not obeyed: {doubt}")]
    Doubt {
        /// The file.
        path: String,
        /// Who, and what to do.
        doubt: Doubt,
    },
    /// A key is missing, unknown or of the wrong type.
    #[error("the wire profile {path} is not valid: {reason}; docs/imatag.md lists its keys")]
    Invalid {
        /// Where it came from.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Profile {
    /// The built-in profile (`imatag`), or a file, with single keys overridden by the configuration.
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

    /// How long a file may show no medium after it was sent: a service that is known to answer with an id registers it at
    /// once, any other may first watermark it.
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

/// What names no file at all may be a secret.
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
