//! Where Imatag saves a medium.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A directory of the Imatag account: a plain path that starts with the homedir.
///
/// It may come from a message, so anything that climbs out of where it says it is, is refused.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[schemars(with = "String")]
#[serde(try_from = "String", into = "String")]
pub struct Directory(String);

/// The text is not a valid directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDirectory {
    #[error("is empty; write the homedir, or a folder below it")]
    Empty,
    /// Absolute, or with parts that are not plain names.
    #[error("must be a plain path such as \"acme/bynder\" that starts with the homedir")]
    NotPlain,
}

impl Directory {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Directory {
    type Err = InvalidDirectory;

    fn from_str(text: &str) -> Result<Self, InvalidDirectory> {
        if text.trim().is_empty() {
            return Err(InvalidDirectory::Empty);
        }
        let is_name = |part: &str| !matches!(part, "" | "." | "..") && !part.chars().any(char::is_control);
        if !text.split('/').all(is_name) {
            return Err(InvalidDirectory::NotPlain);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Directory {
    type Error = InvalidDirectory;

    fn try_from(text: String) -> Result<Self, InvalidDirectory> {
        text.parse()
    }
}

impl From<Directory> for String {
    fn from(directory: Directory) -> Self {
        directory.0
    }
}

impl fmt::Display for Directory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
