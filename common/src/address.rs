//! Addresses in the configuration and in a wire profile.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use url::Url;

/// Parses an address. The error does not quote the text, which may hold a secret.
pub fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    Url::parse(&text).map_err(|_| {
        D::Error::custom("is not a valid address; write for example \"https://example.com/api\"")
    })
}

/// Reads an address that may be left out.
pub fn read_some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    read(deserializer).map(Some)
}
