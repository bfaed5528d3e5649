//! Decodes a medium from a JSON response. Pure.

use serde_json::Value;

use super::profile::{ResponseWire, StatusWord};
use super::{MediumId, MediumState, ResultLocation};
use http_client::{Link, Redactor};

/// A medium in a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// Its id, if the response has one.
    pub(super) medium: Option<MediumId>,
    /// Its state; `None` without a status word.
    pub(super) state: Option<MediumState>,
}

/// Decodes a medium. An unknown status word is an error, since guessing could lose or repeat work. No text of the
/// error contains the request's secrets.
pub(super) fn shown(wire: &ResponseWire, json: &Value, redactor: &Redactor) -> Result<Shown, String> {
    let id = json.pointer(&wire.id).and_then(text);
    if id.as_ref().is_some_and(|id| redactor.is_in_id(id)) {
        return Err(format!("{}: it repeats the credential", wire.id));
    }
    let medium = id.map(MediumId::try_from).transpose();
    let medium = medium.map_err(|error| format!("{}: {error}", wire.id))?;
    let link = wire.link.as_deref().and_then(|pointer| json.pointer(pointer)).and_then(Value::as_str);
    let link = link.and_then(Link::parse).map(ResultLocation::Link);
    let word = json.pointer(&wire.status).and_then(Value::as_str);
    let state = match word {
        None => link.map(MediumState::Ready),
        Some(word) => Some(match wire.word(word) {
            Some(StatusWord::Pending) => MediumState::Pending,
            Some(StatusWord::Ready) => {
                let location = link.or_else(|| medium.clone().map(ResultLocation::Medium));
                MediumState::Ready(location.ok_or("a finished medium has neither an id nor a link")?)
            }
            Some(StatusWord::AlreadyProtected) => MediumState::AlreadyProtected,
            Some(StatusWord::Failed) => {
                let reason = wire.error.as_deref().and_then(|pointer| json.pointer(pointer)).and_then(text);
                let reason = reason.map(|reason| redactor.excerpt(&reason));
                MediumState::Failed { reason: reason.unwrap_or_else(|| "no reason given".to_owned()) }
            }
            None => {
                let word = redactor.excerpt(word);
                return Err(format!("the status word {word:?} is not in the profile's [response]"));
            }
        }),
    };
    Ok(Shown { medium, state })
}

/// Ids are strings or numbers.
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
    use crate::Profile;

    #[test]
    fn each_status_word_has_one_meaning_and_unknown_ones_are_errors() {
        let wire = Profile::load("imatag", &toml::Table::new()).unwrap().response;
        let id = MediumId::try_from("m1".to_owned()).unwrap();
        let table = [
            (json!({"id": "m1", "status": "processing"}), MediumState::Pending),
            (json!({"id": "m1", "status": "READY"}), MediumState::Ready(ResultLocation::Medium(id))),
            (json!({"id": "m1", "status": "already_watermarked"}), MediumState::AlreadyProtected),
            (
                json!({"id": "m1", "status": "failed", "error": "too small"}),
                MediumState::Failed { reason: "too small".to_owned() },
            ),
        ];
        for (answer, wanted) in table {
            assert_eq!(shown(&wire, &answer, &Redactor::default()).unwrap().state, Some(wanted));
        }
        assert!(shown(&wire, &json!({"id": "m1", "status": "sleeping"}), &Redactor::default()).is_err());
        let seven = MediumId::try_from("7".to_owned()).unwrap();
        assert_eq!(
            shown(&wire, &json!({"id": 7}), &Redactor::default()).unwrap(),
            Shown { medium: Some(seven), state: None }
        );
    }

    #[test]
    fn an_id_that_leads_elsewhere_is_an_error_and_long_texts_are_cut() {
        let wire = Profile::load("imatag", &toml::Table::new()).unwrap().response;
        assert!(shown(&wire, &json!({"id": "..", "status": "processing"}), &Redactor::default()).is_err());
        let long = "x".repeat(100_000);
        let failed =
            shown(&wire, &json!({"id": "m1", "status": "failed", "error": long}), &Redactor::default())
                .unwrap();
        let Some(MediumState::Failed { reason }) = failed.state else { panic!("{failed:?}") };
        assert!(reason.len() < 1000);
        assert!(
            shown(&wire, &json!({"id": "m1", "status": long}), &Redactor::default()).unwrap_err().len()
                < 1000
        );
    }
    #[test]
    fn an_answer_of_success_that_repeats_a_credential_is_shown_without_it() {
        let wire = Profile::load("imatag", &toml::Table::new()).unwrap().response;
        let redactor = Redactor::default().and_signatures(["s3cr3t-credential".to_owned()]);
        let shown = |answer: serde_json::Value| match shown(&wire, &answer, &redactor) {
            Ok(shown) => format!("{shown:?}"),
            Err(said) => said,
        };
        for (answer, wanted) in [
            (
                json!({"id": "m1", "status": "failed", "error": "no credit for s3cr3t-credential"}),
                "no credit for …",
            ),
            (json!({"id": "m1", "status": "s3cr3t-credential"}), "the status word \"…\""),
            (json!({"id": "s3cr3t-credential", "status": "ready"}), "it repeats the credential"),
        ] {
            let said = shown(answer);
            assert!(said.contains(wanted) && !said.contains("s3cr3t"), "{said}");
        }
    }
}
