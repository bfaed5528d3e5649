//! Finds the service's own words in an error's body. Pure.

use serde_json::Value;

/// Where such services usually put a sentence.
const SENTENCES: [&str; 3] = ["/detail", "/message", "/error"];
/// The most fields that are named.
const MOST_FIELDS: usize = 5;

/// What a widespread framework says about a credential, in part with status 403.
const CREDENTIAL: [&str; 6] = [
    "authentication credentials were not provided",
    "invalid token",
    "invalid api key",
    "token has expired",
    "token is invalid or expired",
    "user inactive or deleted",
];

/// The reason in a body: the sentence at the configured or a usual place, else the fields with objections.
pub(super) fn sentence(configured: Option<&str>, text: &str) -> Option<String> {
    let json: Value = serde_json::from_str(text).ok()?;
    let sentence = |pointer: &str| json.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    configured.into_iter().chain(SENTENCES).find_map(sentence).or_else(|| fields(&json))
}

/// `{"field": ["what is wrong with it"], "non_field_errors": […]}` as one line.
fn fields(json: &Value) -> Option<String> {
    let said = |value: &Value| -> Option<String> {
        let texts: Vec<&str> = value.as_array()?.iter().map_while(Value::as_str).collect();
        (!texts.is_empty()).then(|| texts.join(" "))
    };
    let named: Vec<String> = json
        .as_object()?
        .iter()
        .filter_map(|(field, value)| {
            let said = said(value)?;
            Some(if field == "non_field_errors" { said } else { format!("{field}: {said}") })
        })
        .take(MOST_FIELDS)
        .collect();
    (!named.is_empty()).then(|| named.join("; "))
}

/// Whether a refusal is about the credential, whatever its status.
pub(super) fn is_about_credential(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    CREDENTIAL.iter().any(|words| reason.starts_with(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_services_words_are_found_where_frameworks_put_them() {
        let table = [
            (r#"{"detail": "Invalid token."}"#, "Invalid token."),
            (r#"{"problem": {"text": "no"}}"#, "no"),
            (r#"{"file": ["No file was submitted."]}"#, "file: No file was submitted."),
            (
                r#"{"non_field_errors": ["Too", "many."], "title": ["This field is required."]}"#,
                "Too many.; title: This field is required.",
            ),
        ];
        for (body, wanted) in table {
            assert_eq!(sentence(Some("/problem/text"), body).as_deref(), Some(wanted), "{body}");
        }
        for body in ["<html>", r#"{"a": 1}"#] {
            assert_eq!(sentence(None, body), None);
        }
        let many = (0..500).map(|field| format!("\"f{field}\": [\"wrong\"]")).collect::<Vec<_>>().join(",");
        let long = sentence(None, &format!("{{{many}, \"last\": [\"wrong\"]}}")).unwrap();
        assert_eq!(long.matches("wrong").count(), MOST_FIELDS, "{long}");
    }

    #[test]
    fn a_refused_credential_is_told_from_a_refused_directory() {
        for credential in
            ["Invalid token.", "Invalid token header.", "Authentication credentials were not provided."]
        {
            assert!(is_about_credential(credential), "{credential}");
        }
        for right in
            ["this directory is not below your homedir", "You do not have permission to perform this action."]
        {
            assert!(!is_about_credential(right), "{right}");
        }
    }
}
