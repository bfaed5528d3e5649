//! Decodes the largest responses without a portal, so that tests can check properties of any response.

use reqwest::StatusCode;
use serde_json::Value;

use super::call::{refusal, sentence};
use super::listing::{Listing, readable};
use super::template::{self, Template};
use super::{BynderError, Right};
use common::asset::Asset;
use common::parse_error::from_json;
use http_client::{Redactor, said_in};

/// The rows of a listing, each as an asset or as the id of an unreadable one; and the number of matches.
///
/// # Errors
/// It is not a listing.
#[expect(clippy::type_complexity, reason = "each part has its meaning once")]
pub fn listing(body: &[u8]) -> Result<(Vec<Result<Asset, Option<String>>>, Option<u64>), String> {
    let Listing { rows, total } = from_json(&mut serde_json::Deserializer::from_slice(body))?;
    Ok((rows.iter().map(|row| readable(row).map_err(|left| left.id)).collect(), total))
}

/// An asset from a single GET, with all its fields.
///
/// # Errors
/// It is not an asset.
pub fn asset(body: &[u8]) -> Result<Template, String> {
    let value: Value = from_json(&mut serde_json::Deserializer::from_slice(body))?;
    template::read(value)
}

/// The error of a response with this status and body.
pub fn error(status: StatusCode, body: &[u8]) -> BynderError {
    refusal("asking", status, said_in(body, sentence, &Redactor::default()), Right::Other)
}
