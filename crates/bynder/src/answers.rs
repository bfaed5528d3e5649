//! Reading the answers that hold most, without a portal: what holds of them whatever they are is tried this way.

use reqwest::StatusCode;
use serde_json::Value;

use super::call::{refusal, sentence};
use super::listing::{Listing, readable};
use super::template::{self, Template};
use super::{BynderError, Right};
use common::asset::Asset;
use common::parse_error::from_json;
use http_client::{Redactor, said_in};

/// A page of a listing: each row as an asset, or the id of one that cannot be read; and the number of matches.
///
/// # Errors
/// It is no listing.
#[expect(clippy::type_complexity, reason = "each part has its meaning once")]
pub fn listing(body: &[u8]) -> Result<(Vec<Result<Asset, Option<String>>>, Option<u64>), String> {
    let Listing { rows, total } = from_json(&mut serde_json::Deserializer::from_slice(body))?;
    Ok((rows.iter().map(|row| readable(row)).collect(), total))
}

/// An asset from a single GET, in full.
///
/// # Errors
/// It is no asset.
pub fn asset(body: &[u8]) -> Result<Template, String> {
    let value: Value = from_json(&mut serde_json::Deserializer::from_slice(body))?;
    template::read(value)
}

/// An answer that is no success.
pub fn error(status: StatusCode, body: &[u8]) -> BynderError {
    refusal("asking", status, said_in(body, sentence, &Redactor::default()), Right::Other)
}
