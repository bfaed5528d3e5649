//! URLs in the configuration and in a wire profile.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use url::Url;

/// Deserialises a URL. The error does not quote the text, which may contain a secret.
pub fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let text = String::deserialize(deserializer)?;
    Url::parse(&text).map_err(|_| {
        D::Error::custom("is not a valid address; write for example \"https://example.com/api\"")
    })
}

/// Deserialises an optional URL.
pub fn read_some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    read(deserializer).map(Some)
}
