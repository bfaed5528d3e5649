//! What a JSON answer says of a medium. Pure.

use serde_json::Value;

use super::profile::{ResponseWire, StatusWord};
use super::{MediumId, MediumState, ResultPlace};
use crate::http::{Link, excerpt};

/// The longest status word that is shown.
const LONGEST_WORD: usize = 40;

/// A medium as an answer shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// Its id, where the answer tells it.
    pub(super) medium: Option<MediumId>,
    /// Its state; `None` where the word is missing.
    pub(super) state: Option<MediumState>,
}

/// Reads a medium; an unknown status word is an error, since guessing could lose or repeat work.
pub(super) fn shown(wire: &ResponseWire, json: &Value) -> Result<Shown, String> {
    let medium = json.pointer(&wire.id).and_then(text).map(MediumId::try_from).transpose();
    let medium = medium.map_err(|error| format!("{}: {error}", wire.id))?;
    let link = wire.link.as_deref().and_then(|pointer| json.pointer(pointer)).and_then(Value::as_str);
    let link = link.and_then(Link::parse).map(ResultPlace::Link);
    let word = json.pointer(&wire.status).and_then(Value::as_str);
    let state = match word {
        None => link.map(MediumState::Ready),
        Some(word) => Some(match wire.word(word) {
            Some(StatusWord::Pending) => MediumState::Pending,
            Some(StatusWord::Ready) => {
                let place = link.or_else(|| medium.clone().map(ResultPlace::Medium));
                MediumState::Ready(place.ok_or("a finished medium has neither an id nor a link")?)
            }
            Some(StatusWord::AlreadyProtected) => MediumState::AlreadyProtected,
            Some(StatusWord::Failed) => {
                let reason = wire.error.as_deref().and_then(|pointer| json.pointer(pointer)).and_then(text);
                let reason = reason.map(|reason| excerpt(&reason));
                MediumState::Failed { reason: reason.unwrap_or_else(|| "no reason given".to_owned()) }
            }
            None => {
                return Err(format!("the status word {} is not in the profile's [response]", plain(word)));
            }
        }),
    };
    Ok(Shown { medium, state })
}

/// A word as services write them; where the profile points to another text, that is not shown.
fn plain(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' ');
    if word.len() <= LONGEST_WORD && word.chars().all(is_plain) {
        format!("{word:?}")
    } else {
        "…".to_owned()
    }
}

/// Ids come as strings or numbers.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::imatag::Profile;

    #[test]
    fn each_status_word_has_one_meaning_and_unknown_ones_are_errors() {
        let wire = Profile::load("imatag", &toml::Table::new()).unwrap().response;
        let id = MediumId::try_from("m1".to_owned()).unwrap();
        let table = [
            (json!({"id": "m1", "status": "processing"}), MediumState::Pending),
            (json!({"id": "m1", "status": "READY"}), MediumState::Ready(ResultPlace::Medium(id))),
            (json!({"id": "m1", "status": "already_watermarked"}), MediumState::AlreadyProtected),
            (
                json!({"id": "m1", "status": "failed", "error": "too small"}),
                MediumState::Failed { reason: "too small".to_owned() },
            ),
        ];
        for (answer, wanted) in table {
            assert_eq!(shown(&wire, &answer).unwrap().state, Some(wanted));
        }
        assert!(shown(&wire, &json!({"id": "m1", "status": "sleeping"})).is_err());
        let seven = MediumId::try_from("7".to_owned()).unwrap();
        assert_eq!(shown(&wire, &json!({"id": 7})).unwrap(), Shown { medium: Some(seven), state: None });
    }

    #[test]
    fn an_id_that_leads_elsewhere_is_an_error_and_long_texts_are_cut() {
        let wire = Profile::load("imatag", &toml::Table::new()).unwrap().response;
        assert!(shown(&wire, &json!({"id": "..", "status": "processing"})).is_err());
        let long = "x".repeat(100_000);
        let failed = shown(&wire, &json!({"id": "m1", "status": "failed", "error": long})).unwrap();
        let Some(MediumState::Failed { reason }) = failed.state else { panic!("{failed:?}") };
        assert!(reason.len() < 1000);
        assert!(shown(&wire, &json!({"id": "m1", "status": long})).unwrap_err().len() < 1000);
    }
}
