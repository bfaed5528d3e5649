//! `connector config check | show | schema`.

use cli::options::GlobalOptions;
use cli::output;
use common::failure::Failure;
use config::Loaded;
use serde_json::{Value, json};
use url::{Position, Url};

use crate::arguments::Config;

pub(crate) fn run(global: &GlobalOptions, command: &Config) -> Result<(), Failure> {
    match command {
        Config::Check => check(global),
        Config::Schema => {
            output::pretty_json(&config::schema());
            Ok(())
        }
        Config::Show => show(global),
    }
}

fn check(global: &GlobalOptions) -> Result<(), Failure> {
    let Loaded { config, warnings, .. } = wiring::load_for(global, &[])?;
    // Reads now what is otherwise read only when it is needed.
    config.bynder.credential()?;
    config.imatag.credential()?;
    config.imatag.wire()?;
    producer::schedule::check(&config.producer)?;
    config.page.named_tokens()?;
    config.trace_export(|name| std::env::var(name).ok())?;
    wiring::notifier(&config)?;
    if config.broker.is_some() {
        wiring::broker(&config, "connector config check")?;
    }
    if global.json {
        output::json(&json!({"valid": true, "warnings": warnings}));
    } else {
        output::data("the configuration can be used");
    }
    Ok(())
}

/// The values of the configuration without secrets.
pub(super) fn shown(loaded: &Loaded) -> Result<Value, Failure> {
    // Validates addresses before anything is shown: a value that is not an address may contain a secret.
    loaded.config.imatag.wire()?;
    let mut values =
        serde_json::to_value(&loaded.config).map_err(|error| Failure::Unexpected(error.to_string()))?;
    hide_constants(&mut values);
    hide_queries(&mut values);
    Ok(values)
}

fn show(global: &GlobalOptions) -> Result<(), Failure> {
    let loaded = wiring::load_for(global, &[])?;
    let values = shown(&loaded)?;
    if global.json {
        output::json(&values);
        return Ok(());
    }
    let mut lines = Vec::new();
    leaves(&values, "", &mut lines);
    for (key, value) in lines {
        let mut origins = loaded.origins.iter();
        // A secret is shown as one value, in whatever form it was given.
        let is_below = |inner: &str, outer: &str| inner.starts_with(&format!("{outer}."));
        let origin =
            origins.find(|(known, _)| key == *known || is_below(&key, known) || is_below(known, &key));
        let origin = origin.map_or_else(|| "default".to_owned(), |(_, origin)| origin.to_string());
        output::data(&format!("{key} = {value}   # {origin}"));
    }
    Ok(())
}

/// Values sent unchanged with each file or search, which may be keys.
const CONSTANTS: [&str; 2] =
    ["/imatag/profile_overrides/submit/extra", "/imatag/profile_overrides/find/query"];

/// Paths of the wire profile, which may contain a query.
const PATHS: [&str; 4] = [
    "/imatag/profile_overrides/submit/path",
    "/imatag/profile_overrides/status/path",
    "/imatag/profile_overrides/download/path",
    "/imatag/profile_overrides/find/path",
];

fn hide_constants(values: &mut Value) {
    for pointer in PATHS {
        if let Some(Value::String(path)) = values.pointer_mut(pointer)
            && let Some(query) = path.find('?')
        {
            path.replace_range(query + 1.., "…");
        }
    }
    for pointer in CONSTANTS {
        let fields = values.pointer_mut(pointer).and_then(Value::as_object_mut);
        for value in fields.into_iter().flat_map(serde_json::Map::values_mut) {
            *value = "(hidden)".into();
        }
    }
}

/// Hides the query of an address, which may contain a key. Addresses are parsed in the same way as when they are used.
fn hide_queries(value: &mut Value) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(hide_queries),
        Value::Array(values) => values.iter_mut().for_each(hide_queries),
        Value::String(text) => {
            if let Some(address) = Url::parse(text).ok().filter(|url| url.query().is_some()) {
                *text = format!("{}?…", &address[..Position::AfterPath]);
            }
        }
        _ => {}
    }
}

fn leaves(value: &Value, prefix: &str, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                leaves(value, &key, lines);
            }
        }
        Value::Null => {}
        other => lines.push((prefix.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_of_an_address_and_constant_fields_are_not_shown() {
        let oddly = [
            "https:a.example/t?s3cr3t",
            "https:/a.example/t?s3cr3t",
            "HTTPS:a.example/t?s3cr3t",
            "https:\\\\a.example\\t?s3cr3t",
            "ht\ttps:/\t/a.example/t?s3cr3t",
            " https://a.example/t?s3cr3t",
        ];
        let mut values = json!({
            "imatag": {
                "oauth": {"token_url": "https://a.example/t?code=s3cr3t"}, "base_url": "https://a.example/",
                "profile_overrides": {
                    "auth": {"token_url": "https:a.example/t?s3cr3t"},
                    "submit": {"extra": {"key": "s3cr3t"}, "path": "a?s3cr3t"}, "status": {"path": "/b/{id}/?k=s3cr3t"},
                    "download": {"path": "/c/{id}/"}, "find": {"path": "d?s3cr3t", "query": {"key": "s3cr3t"}}
                }
            },
            "filters": {"names": ["*_v?.jpg"]}, "list": oddly
        });
        hide_constants(&mut values);
        hide_queries(&mut values);
        let shown = json!({
            "imatag": {
                "oauth": {"token_url": "https://a.example/t?…"}, "base_url": "https://a.example/",
                "profile_overrides": {
                    "auth": {"token_url": "https://a.example/t?…"},
                    "submit": {"extra": {"key": "(hidden)"}, "path": "a?…"}, "status": {"path": "/b/{id}/?…"},
                    "download": {"path": "/c/{id}/"}, "find": {"path": "d?…", "query": {"key": "(hidden)"}}
                }
            },
            "filters": {"names": ["*_v?.jpg"]}, "list": oddly.map(|_| "https://a.example/t?…")
        });
        assert_eq!(values, shown);
    }
}
