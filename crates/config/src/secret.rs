//! Reads the secrets of the configuration: from the environment, from a file, or encrypted in place with age.

use std::collections::BTreeMap;
use std::env::VarError;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use age::secrecy::ExposeSecret as _;
use age::x25519::{Identity, Recipient};
use secrecy::SecretString;
use serde::{Deserialize, Serialize, Serializer};

use super::ConfigError;
use files::written::{self, Chosen, NotRead};

/// The variable with the age identity, and the one that names its file.
const IDENTITY: &str = "CONNECTOR_AGE_IDENTITY";
pub(super) const IDENTITY_FILE: &str = "CONNECTOR_AGE_IDENTITY_FILE";

const LONGEST_NAME: usize = 64;
/// A longer text with digits and without an underscore may be a key.
const LONGEST_WORD: usize = 24;
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The schemes before a token in a header, which are easily copied with it.
const SCHEMES: [&str; 2] = ["Bearer", "Token"];

/// The origin of a secret. It is never displayed or serialised as the secret itself.
#[derive(Clone, Deserialize)]
#[serde(try_from = "Given")]
pub enum SecretValue {
    /// As plain text in the file: accepted with a warning.
    Plain(SecretString),
    /// In an environment variable: `{ env = "NAME" }`.
    Environment(String),
    /// In a file, such as a container's secret: `{ file = "/run/secrets/name" }`.
    File(PathBuf),
    /// Encrypted for an age identity: `{ encrypted = "<age armour>" }`.
    Encrypted(String),
}

/// A secret as it is written. With a struct in place of the map, serde would also accept a list, and take its entry
/// for a name.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected { env = \"NAME\" }, { file = \"/path\" }, { encrypted = \"…\" } or a text"
)]
enum Given {
    Plain(SecretString),
    Place(BTreeMap<String, String>),
}

impl TryFrom<Given> for SecretValue {
    type Error = &'static str;

    fn try_from(given: Given) -> Result<Self, Self::Error> {
        let places = match given {
            Given::Plain(secret) => return Ok(Self::Plain(secret)),
            Given::Place(places) => places,
        };
        let mut places = places.into_iter();
        match (places.next(), places.next()) {
            (Some((key, name)), None) if key == "env" => Ok(Self::Environment(name)),
            (Some((key, path)), None) if key == "file" => Ok(Self::File(path.into())),
            (Some((key, armour)), None) if key == "encrypted" => Ok(Self::Encrypted(armour)),
            _ => Err("expected { env = \"NAME\" }, { file = \"/path\" }, { encrypted = \"…\" } or a text"),
        }
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.described())
    }
}

impl Serialize for SecretValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.described())
    }
}

impl SecretValue {
    fn described(&self) -> String {
        match self {
            Self::Plain(_) => "(plain text, hidden)".to_owned(),
            Self::Environment(name) if is_name(name) => format!("(from the variable {name})"),
            Self::Environment(_) => "(from a variable)".to_owned(),
            Self::File(path) => format!("(from {})", shown(path)),
            Self::Encrypted(_) => "(encrypted)".to_owned(),
        }
    }

    /// Whether the secret is plain text in the file.
    pub fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// The file that contains the secret, if it is in one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Plain(_) | Self::Environment(_) | Self::Encrypted(_) => None,
        }
    }

    /// Reads the secret. Errors name the dotted `key`.
    pub fn resolve(&self, key: &str) -> Result<SecretString, ConfigError> {
        let wrong = |reason: String| ConfigError::Secret { key: key.to_owned(), reason };
        let text = match self {
            Self::Plain(secret) => secrecy::ExposeSecret::expose_secret(secret).to_owned(),
            Self::Environment(name) => std::env::var(name).map_err(|error| {
                wrong(match error {
                    VarError::NotPresent if is_name(name) => {
                        format!("the environment has no variable {name}; set it, or use {{ file = … }}")
                    }
                    VarError::NotPresent => {
                        "env takes the name of a variable, such as BYNDER_TOKEN, and the environment has none of the name \
                         given; set a variable and write its name, or use { file = … }"
                            .to_owned()
                    }
                    VarError::NotUnicode(_) => "the variable is not valid UTF-8".to_owned(),
                })
            })?,
            Self::File(path) => read_text(path, Chosen::Found, written::LONGEST)
                .map_err(|reason| wrong(format!("cannot read the secret from {}: {reason}", shown(path))))?,
            Self::Encrypted(armour) => decrypt(armour).map_err(wrong)?,
        };
        let text = text.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(wrong("the secret is empty".to_owned()));
        }
        usable(text).map_err(wrong)?;
        Ok(SecretString::from(text))
    }
}

/// Whether the text looks like a variable's name: any other may be the secret itself, in the name's place.
fn is_name(text: &str) -> bool {
    let is_right = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let is_key =
        text.len() > LONGEST_WORD && !text.contains('_') && text.contains(|c: char| c.is_ascii_digit());
    text.len() <= LONGEST_NAME
        && !is_key
        && text.chars().all(is_right)
        && !text.starts_with(|c: char| c.is_ascii_digit())
}

/// A path as far as it exists: the rest may be the secret itself.
fn shown(path: &Path) -> String {
    let is_there = |path: &&Path| path.symlink_metadata().is_ok();
    match path.ancestors().find(is_there) {
        Some(file) if file == path => format!("the file {}", path.display()),
        Some(folder) if folder.file_name().is_some() => {
            format!("the file named there, in {}", folder.display())
        }
        Some(_) | None => "the file named there".to_owned(),
    }
}

/// Refuses what copying and saving add to a secret, which a service would refuse like a wrong one. The error shows
/// no part of it.
fn usable(secret: &str) -> Result<(), String> {
    // Neither a header nor an address can contain it, and the error would look like the network's.
    if secret.contains(char::is_control) {
        let reason = "the secret holds a line break or another control character; keep it alone, in one line";
        return Err(reason.to_owned());
    }
    if secret.starts_with(BYTE_ORDER_MARK) {
        let reason = "the secret begins with a byte order mark, as some editors write it; save it as UTF-8 without BOM";
        return Err(reason.to_owned());
    }
    let is_hidden = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | BYTE_ORDER_MARK);
    if secret.contains(|c: char| is_hidden(c) || (c.is_whitespace() && !c.is_ascii())) {
        let reason =
            "the secret holds a non-breaking space or another invisible character; type or copy it again";
        return Err(reason.to_owned());
    }
    let quoted = ['"', '\'', '`']
        .iter()
        .any(|quote| secret.len() > 1 && secret.starts_with(*quote) && secret.ends_with(*quote));
    let quoted = quoted || (secret.starts_with(['“', '„', '‘']) && secret.ends_with(['”', '“', '’']));
    if quoted {
        return Err("the secret is in quotes; leave them out".to_owned());
    }
    if secret.starts_with(' ') || secret.ends_with(' ') {
        return Err("the secret begins or ends with a blank; leave it out".to_owned());
    }
    let word = secret.split_once(' ').map(|(word, _)| word).unwrap_or_default();
    if let Some(scheme) = SCHEMES.iter().find(|scheme| word.eq_ignore_ascii_case(scheme)) {
        return Err(format!(
            "the secret begins with {scheme:?}, which the connector sends by itself; leave the word out"
        ));
    }
    Ok(())
}

/// Reads a text file that no other user can write, and explains what to do about one that is not UTF-8.
///
/// # Errors
/// What is wrong with the file, and what to do.
pub fn read_text(path: &Path, chosen: Chosen, longest: u64) -> Result<String, String> {
    let (bytes, _) = written::read_up_to(path, chosen, longest).map_err(|error| match error {
        NotRead::Doubtful(doubt) => doubt.to_string(),
        // Too long: no right to read it would help.
        NotRead::Failed(error) if error.kind() == ErrorKind::Other => error.to_string(),
        NotRead::Failed(error) => format!("{error}; make the file readable for this user"),
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let is_utf16 = matches!(error.as_bytes(), [0xff, 0xfe, ..] | [0xfe, 0xff, ..]);
        let what =
            if is_utf16 { "it is UTF-16, as PowerShell's > writes it" } else { "it is not valid UTF-8" };
        format!("{what}; save it as UTF-8 without BOM (PowerShell: Set-Content -Encoding ascii)")
    })
}

#[derive(Debug)]
pub struct Keys {
    /// The secret part: for `CONNECTOR_AGE_IDENTITY`, or a file that only the connector can read.
    pub identity: SecretString,
    /// The public part, which encrypts.
    pub recipient: String,
}

pub fn keygen() -> Keys {
    let identity = Identity::generate();
    Keys {
        identity: SecretString::from(identity.to_string().expose_secret()),
        recipient: identity.to_public().to_string(),
    }
}

/// Encrypts a secret for a recipient, as the text for `{ encrypted = … }`.
///
/// # Errors
/// The recipient is not valid, with what one looks like; or the secret has several lines.
pub fn encrypt(recipient: &str, secret: &SecretString) -> Result<String, String> {
    let recipient = Recipient::from_str(recipient.trim())
        // The text may be the identity, which is secret.
        .map_err(|_| {
            "this is not an age recipient, which starts with age1; `connector secrets keygen` prints one"
                .to_owned()
        })?;
    let text = secrecy::ExposeSecret::expose_secret(secret);
    usable(text)?;
    age::encrypt_and_armor(&recipient, text.as_bytes()).map_err(|error| format!("cannot encrypt: {error}"))
}

pub(super) fn decrypt(armoured: &str) -> Result<String, String> {
    let identity = identity()?;
    let bytes = age::decrypt(&identity, armoured.as_bytes()).map_err(|error| {
        format!("cannot decrypt it with the identity from {IDENTITY} ({error}); encrypt it again")
    })?;
    String::from_utf8(bytes).map_err(|_| "the decrypted value is not text".to_owned())
}

/// The file with the age identity, if the environment names one.
pub fn identity_file() -> Option<PathBuf> {
    std::env::var_os(IDENTITY_FILE).map(PathBuf::from)
}

fn identity() -> Result<Identity, String> {
    let text = match (std::env::var(IDENTITY), identity_file()) {
        (Ok(text), _) => text,
        (Err(_), Some(file)) => read_text(&file, Chosen::Found, written::LONGEST)
            .map_err(|reason| format!("cannot read {IDENTITY_FILE}, {}: {reason}", shown(&file)))?,
        (Err(_), None) => return Err(format!("it is encrypted; set {IDENTITY} or {IDENTITY_FILE}")),
    };
    let mut lines = text
        .trim_start_matches(BYTE_ORDER_MARK)
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let line = lines.next().unwrap_or_default();
    // The parser's own error could show a part of the key.
    Identity::from_str(line).ok().ok_or_else(|| "the age identity is not valid".to_owned())
}
