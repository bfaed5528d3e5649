//! Laws of responses from Bynder and Imatag.

use std::sync::LazyLock;

use bynder::{BynderError, answers as bynder_answers};
use common::hash::ContentHash;
use common::marker::{MOST_RECORDS, Marker, Record, Records};
use imatag::{MediumState, Profile, answers as imatag_answers};
use serde_json::Value;

use crate::is_line;

/// Maximum length of a text metaproperty in Bynder.
const MOST_MARKER: usize = 2500;

static PROFILE: LazyLock<Profile> =
    LazyLock::new(|| Profile::load("imatag", &toml::Table::new()).expect("the built-in profile is valid"));

/// A row of a listing.
pub fn row(json: &[u8]) -> bool {
    let detail = bynder_answers::asset(json);
    if let Err(error) = &detail {
        is_line(error);
    }
    // Via `Value`, to drop duplicate fields: a whole response takes the last of them, a single row refuses them.
    let Ok(value) = serde_json::from_slice::<Value>(json) else { return false };
    let listing = bynder_answers::listing(format!("[{value}]").as_bytes());
    let (mut rows, _) = listing.expect("a list of one row is a listing");
    match (rows.pop().expect("the row is there"), detail) {
        (Ok(row), Ok(template)) => assert_eq!(row, template.detail.asset),
        (Err(id), Ok(template)) => panic!("{id:?} cannot be read as a row: {template:?}"),
        (Err(Some(id)), Err(_)) => is_line(&id),
        (_, Err(_)) => {}
    }
    true
}

/// The value of an asset's hash metaproperty.
pub fn marker(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    match Marker::parse(Some(text)) {
        Marker::Absent => assert!(text.trim().is_empty()),
        Marker::Ours(records) => is_marker(records),
        Marker::Legacy(hash) => {
            assert_eq!(Marker::parse(Some(hash.digits())), Marker::Legacy(hash));
        }
        Marker::Foreign(foreign) => {
            assert_eq!(foreign, text.trim());
            assert_eq!(Marker::parse(Some(&foreign)), Marker::Foreign(foreign));
        }
    }
    true
}

/// Asserts that records survive a round trip, and that another record fits.
fn is_marker(records: Records) {
    assert_eq!(Marker::parse(Some(&records.to_string())), Marker::Ours(records.clone()));
    let [original, watermarked] = [[1; 32], [2; 32]].map(ContentHash::from_bytes);
    let record = Record { original, watermarked, version: u32::MAX, bytes: u64::MAX };
    let more = records.with(record);
    let written = more.to_string();
    assert!(written.len() <= MOST_MARKER, "a marker of {} bytes", written.len());
    assert!(more.iter().count() <= MOST_RECORDS);
    let read = Marker::parse(Some(&written));
    assert_eq!(read.ahead_of(0), Some(record));
    assert_eq!(read, Marker::Ours(more));
}

/// A page of Bynder's listing or an error response; the first byte selects which.
pub fn bynder(answer: &[u8]) -> bool {
    let Some((kind, body)) = answer.split_first() else { return false };
    let status = [401, 403, 404, 408, 302, 500, 400].get(usize::from(*kind) % 8);
    if let Some(status) = status {
        let status = (*status).try_into().expect("a status of HTTP");
        let error = bynder_answers::error(status, body);
        is_line(&error.to_string());
        assert_eq!(matches!(error, BynderError::NotFound { .. }), status == 404);
        return true;
    }
    match bynder_answers::listing(body) {
        Ok((rows, _)) => {
            rows.into_iter().filter_map(Result::err).flatten().for_each(|id| is_line(&id));
            true
        }
        Err(error) => {
            is_line(&error);
            serde_json::from_slice::<Value>(body).is_ok()
        }
    }
}

/// Imatag's response about a medium.
pub fn imatag(answer: &[u8]) -> bool {
    is_line(&imatag_answers::reason(&PROFILE, answer));
    match imatag_answers::medium(&PROFILE, answer) {
        Ok((medium, state)) => {
            assert!(medium.is_none_or(|medium| medium.as_str().len() <= 256));
            if let Some(MediumState::Failed { reason }) = state {
                is_line(&reason);
            }
            true
        }
        Err(error) => {
            is_line(&error);
            serde_json::from_slice::<Value>(answer).is_ok()
        }
    }
}
