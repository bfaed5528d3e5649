//! Parse errors that do not quote the input beyond harmless words: any value may be a misplaced secret.

use std::ops::Range;

use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::excerpt::excerpt;

/// Maximum length of a quoted word, in characters; a longer one may be a secret.
const LONGEST_QUOTED: usize = 16;
/// Maximum length of a quoted number: the digits of a year.
const LONGEST_NUMBER: usize = 4;
/// Maximum length of a quoted word of letters and digits.
const LONGEST_MIX: usize = 3;

/// Deserialises JSON.
///
/// # Errors
/// The path of the value that has the wrong form, and what was expected there.
pub fn from_json<'de, T, D>(deserializer: D) -> Result<T, String>
where
    T: DeserializeOwned,
    D: serde::Deserializer<'de, Error = serde_json::Error>,
{
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        let said = of_json(error.inner());
        let path = place(&path, &error.inner().to_string());
        if path == "." { said } else { format!("{path}: {said}") }
    })
}

/// Describes a JSON error without quoting the text.
pub fn of_json(error: &serde_json::Error) -> String {
    let place = format!(" at line {} column {}", error.line(), error.column());
    match error.classify() {
        Category::Io => "it cannot be read".to_owned(),
        Category::Eof => "it breaks off".to_owned(),
        Category::Syntax => format!("it is not valid JSON{place}"),
        Category::Data => {
            let said = error.to_string();
            let said = said.strip_suffix(&place).unwrap_or(&said);
            without_value(said).unwrap_or_else(|| "it is of another form".to_owned())
        }
    }
}

/// Describes a TOML error with its position, without quoting the line.
pub fn of_toml(text: &str, message: &str, span: Option<Range<usize>>) -> String {
    let before = span.and_then(|span| text.get(..span.start));
    let place = before.map_or_else(String::new, |before| {
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("line {}, column {column}: ", before.matches('\n').count() + 1)
    });
    format!("{place}{}", without_value(message).unwrap_or_else(|| message.to_owned()))
}

/// A wrong value in a form that an error may quote: short words and small numbers. Anything else may be a misplaced secret.
pub fn harmless(text: &str) -> &str {
    let is_known = |c: char| c.is_alphanumeric() || " _-.,:'/*?#[]".contains(c);
    let is_plain = |word: &str| {
        let length = word.chars().count();
        let most = match word {
            _ if word.chars().all(char::is_alphabetic) => LONGEST_QUOTED,
            _ if word.bytes().all(|byte| byte.is_ascii_digit()) => LONGEST_NUMBER,
            // Such as 15m or Q4.
            _ => LONGEST_MIX,
        };
        length <= most
    };
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let words = || text.split(|c: char| !c.is_alphanumeric());
    let is_harmless = text.chars().all(is_known) && digits <= LONGEST_QUOTED && words().all(is_plain);
    if is_harmless { text } else { "…" }
}

/// Like [`harmless`], for values of which all valid ones are short.
pub fn short(text: &str) -> &str {
    if text.chars().count() <= LONGEST_QUOTED { harmless(text) } else { "…" }
}

/// An unknown key in a form that an error may quote: spelt like a key, without digits.
pub fn harmless_key(key: &str) -> &str {
    let is_known = |c: char| c.is_ascii_lowercase() || "_-.".contains(c);
    if key.chars().all(is_known) { harmless(key) } else { "…" }
}

/// An excerpt of a path; its last part is the unknown field, if that is the error.
pub fn place(path: &str, message: &str) -> String {
    let field = message.strip_prefix("unknown field `").and_then(|behind| behind.split_once('`'));
    let parent = field.and_then(|(name, _)| Some((path.strip_suffix(name)?, name)));
    parent
        .map_or_else(|| excerpt(path), |(parent, name)| format!("{}{}", excerpt(parent), harmless_key(name)))
}

/// serde's message about a value, without the value. `None` for messages that a type wrote itself.
pub fn without_value(message: &str) -> Option<String> {
    if message.starts_with("missing field `") {
        return Some(message.to_owned());
    }
    let field = |kind: &str| {
        let (name, behind) = message.strip_prefix(kind)?.split_once('`')?;
        Some(format!("{kind}{}`{behind}", harmless_key(name)))
    };
    if let Some(said) = ["duplicate field `", "unknown field `"].into_iter().find_map(field) {
        return Some(said);
    }
    let kind = ["invalid type: ", "invalid value: ", "invalid length ", "unknown variant "]
        .into_iter()
        .find(|kind| message.starts_with(kind))?;
    let got = message[kind.len()..].split(['"', '`', ',']).next().unwrap_or_default().trim();
    let start = format!("{kind}{got}");
    let start = start.trim_end().trim_end_matches(':');
    // The expectation comes last, and no input is part of it.
    Some(
        message
            .rsplit_once(", expected ")
            .map_or_else(|| start.to_owned(), |(_, expected)| format!("{start}, expected {expected}")),
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use config::Span;

    #[test]
    fn what_is_wrong_is_said_without_the_value() {
        let json = |text: &str| {
            from_json::<BTreeMap<String, Vec<bool>>, _>(&mut serde_json::Deserializer::from_str(text))
        };
        for (text, wanted) in [
            (r#"{"a": [true, "s3cr3t"]}"#, "a[1]: invalid type: string, expected a boolean"),
            (r#"{"a": [true, ", expected s3cr3t"]}"#, "a[1]: invalid type: string, expected a boolean"),
            (r#"{"a": [7340261985531]}"#, "a[0]: invalid type: integer, expected a boolean"),
            (r#"{"a": "s3cr3t, `x` \" y"}"#, "a: invalid type: string, expected a sequence"),
            (r#"{"a": null}"#, "a: invalid type: null, expected a sequence"),
            (r#"{"a": [tru s3cr3t"#, "a[0]: it is not valid JSON at line 1 column 11"),
            (r#"{"a": [true"#, "a: it breaks off"),
        ] {
            assert_eq!(json(text).unwrap_err(), wanted, "{text}");
        }
        let own = from_json::<Span, _>(serde_json::json!("s3cr3t")).unwrap_err();
        assert_eq!(own, "it is of another form");
        assert_eq!(
            without_value("unknown variant `s3cr3t`, expected `a` or `b`").unwrap(),
            "unknown variant, expected `a` or `b`"
        );
        assert_eq!(without_value("invalid length 3, expected 2").unwrap(), "invalid length 3, expected 2");
    }

    #[test]
    fn a_value_may_be_a_secret_unless_it_is_short_words_and_small_numbers() {
        for quoted in [
            "8 o'clock",
            "60 sceonds",
            "60x",
            "2024-01-01..2024-13-01",
            "Brand Q4 2026",
            "0 */6 * * *",
            "0,15,30,45 8-18 * * MON#2",
            "the Image Hash of our library",
            "hash_metaproperti",
            "/data/attributes/status",
        ] {
            assert_eq!(harmless(quoted), quoted);
        }
        for secret in [
            "s3cr3t-value-0123456789abc",
            "0123456789abcdef0",
            "my pass w0rd has blanks",
            "correcthorsebattery",
            "correct+horse/battery=",
            "hunter2hunter22",
            "Tr0ub4dor&3xyzzy",
            "s3cr3t",
            "p4ss w0rd",
            "12345678",
            "1234 1234 1234 1234 1234",
        ] {
            assert_eq!(harmless(secret), "…");
            for kind in ["unknown", "duplicate"] {
                let said = without_value(&format!("{kind} field `{secret}`, expected `a`")).unwrap();
                assert!(!said.contains(secret) && said.ends_with("field `…`, expected `a`"), "{said}");
            }
        }
        for (key, shown) in
            [("hash_metaproperti", "hash_metaproperti"), ("Secret", "…"), ("word-7", "…"), ("a b", "…")]
        {
            assert_eq!(harmless_key(key), shown, "{key}");
        }
        let missing = "missing field `requests_per_5_minutes`";
        assert_eq!(without_value(missing).as_deref(), Some(missing));
    }

    #[test]
    fn a_duration_or_a_date_range_is_short_and_a_path_is_cut() {
        let phrase = "correct horse battery staple";
        assert_eq!((short("60 sceonds"), short(phrase)), ("60 sceonds", "…"));
        for said in [
            phrase.parse::<Span>().map(drop).unwrap_err(),
            serde_json::from_value::<config::DateRange>(phrase.into()).map(drop).unwrap_err().to_string(),
        ] {
            assert!(!said.contains("horse") && said.starts_with("\"…\" is no"), "{said}");
        }
        let key = "k".repeat(9000);
        assert!(place(&format!("filters.metaproperties.{key}"), "invalid type: map").len() <= 200);
        let said = from_json::<BTreeMap<String, bool>, _>(serde_json::json!({ key: 1 })).unwrap_err();
        assert!(said.len() < 300 && said.starts_with("kkk"), "{said}");
    }

    /// Wherever a file is cut off or gets a character too many.
    #[test]
    fn no_broken_toml_is_shown() {
        let secret = "s3cr3tW0rd";
        let text =
            format!("[a]\nkey = \"{secret}\"\nother = {{ env = '{secret}' }}\nlist = [\"{secret}\", 1]\n");
        let broken = (0..text.len()).flat_map(|at| {
            let (before, after) = text.split_at(at);
            let more =
                ["\"", "'", "=", "]", "{", "\\", "\n", " x "].map(|more| format!("{before}{more}{after}"));
            more.into_iter().chain([before.to_owned()])
        });
        let mut errors = 0;
        for broken in broken {
            let read = broken
                .parse::<toml::Table>()
                .map_err(|error| of_toml(&broken, error.message(), error.span()));
            let edited = broken.parse::<toml_edit::DocumentMut>();
            let edited = edited.map_err(|error| of_toml(&broken, error.message(), error.span()));
            for said in read.err().into_iter().chain(edited.err()) {
                errors += 1;
                for part in 0..=secret.len() - 5 {
                    assert!(!said.contains(&secret[part..part + 5]), "{broken}\n{said}");
                }
            }
        }
        assert!(errors > 500, "{errors}");
    }
}
