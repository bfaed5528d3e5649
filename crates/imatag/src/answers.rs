//! Decodes responses without a service, so that tests can check properties of any response.

use serde_json::Value;

use super::answer::{Shown, shown};
use super::{MediumId, MediumState, Profile, words};
use common::parse_error::from_json;
use http_client::{Redactor, said_in};

/// A medium in a response: its id and its state.
///
/// # Errors
/// It contains nothing that the profile knows.
pub fn medium(profile: &Profile, body: &[u8]) -> Result<(Option<MediumId>, Option<MediumState>), String> {
    let json: Value = from_json(&mut serde_json::Deserializer::from_slice(body))?;
    let Shown { medium, state } = shown(&profile.response, &json, &Redactor::default())?;
    Ok((medium, state))
}

/// The reason in a response that reports no success.
pub fn reason(profile: &Profile, body: &[u8]) -> String {
    let configured = profile.response.error.as_deref();
    said_in(body, |text| words::sentence(configured, text), &Redactor::default())
}
