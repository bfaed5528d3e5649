//! Converts the table to the types, and serde's errors to what to write where.

use toml::Table;

use super::{Config, ConfigError};
use common::parse_error::{harmless_key, place, without_value};

/// Converts the table; an error names the key and what to write there.
pub(super) fn parse(table: Table) -> Result<Config, ConfigError> {
    serde_path_to_error::deserialize(toml::Value::Table(table)).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        explain(&place(&path, inner.message()), inner.message())
    })
}

fn explain(path: &str, message: &str) -> ConfigError {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let section = if path == "." { "" } else { path };
    let below = |key: &str| match section {
        "" => key.to_owned(),
        _ if section == key || section.ends_with(&format!(".{key}")) => section.to_owned(),
        _ => format!("{section}.{key}"),
    };
    match quoted.as_slice() {
        [unknown, known @ ..] if message.starts_with("unknown field") => {
            let similar = known.iter().map(|known| (strsim::jaro_winkler(known, unknown), *known));
            let nearest =
                similar.filter(|(score, _)| *score > 0.7).max_by(|left, right| left.0.total_cmp(&right.0));
            let key = below(harmless_key(unknown));
            let parent = key.rsplit_once('.').map(|(parent, _)| format!("{parent}.")).unwrap_or_default();
            let nearest = nearest.map(|(_, name)| format!("{parent}{name}"));
            ConfigError::Unknown { key, nearest }
        }
        [missing, ..] if message.starts_with("missing field") => {
            let key = below(missing);
            let written = match key.rsplit_once('.') {
                Some((section, key)) => format!("{key} = … under [{section}]"),
                None => format!("a section [{key}]"),
            };
            ConfigError::value(&key, format!("is missing; write {written}"))
        }
        _ => {
            let said = without_value(message.trim()).unwrap_or_else(|| message.trim().to_owned());
            ConfigError::value(section, in_words(&said))
        }
    }
}

/// Rewords the errors of serde and other libraries for people.
fn in_words(message: &str) -> String {
    if let Some((got, _)) = message.split_once(", expected parsable string") {
        return format!("{got}; write a size such as \"10KiB\" or \"2GiB\"");
    }
    if let Some((start, _)) = message.split_once("expected struct ") {
        return format!("{start}expected a section");
    }
    if message == "invalid socket address syntax" {
        return "is not a listen address; write for example \"127.0.0.1:9090\"".to_owned();
    }
    ["usize", "u64", "u32", "nonzero u32", "a nonzero u32"]
        .iter()
        .find_map(|kind| message.strip_suffix(&format!("expected {kind}")))
        .map_or_else(|| message.to_owned(), |start| format!("{start}expected a whole number"))
}
