//! `connector config check | show`.

use common::failure::Failure;
use common::output;
use producer::arguments::{self, Common};
use serde_json::json;

use crate::arguments::Config;

pub(crate) fn run(common: &Common, command: &Config) -> Result<(), Failure> {
    let loaded = arguments::load(common, None)?;
    match command {
        Config::Check => {
            // What is only read when it is needed is read now.
            loaded.config.bynder.credential()?;
            loaded.config.imatag.credential()?;
            loaded.config.imatag.wire()?;
            if common.json {
                output::data(&json!({"valid": true, "warnings": loaded.warnings}).to_string());
            } else {
                output::data("the configuration can be used");
            }
        }
        Config::Show => {
            let values = serde_json::to_value(&loaded.config)
                .map_err(|error| Failure::Unexpected(error.to_string()))?;
            if common.json {
                output::data(&values.to_string());
                return Ok(());
            }
            let mut lines = Vec::new();
            leaves(&values, "", &mut lines);
            for (key, value) in lines {
                let origin = loaded
                    .origins
                    .iter()
                    .find(|(known, _)| key == *known || key.starts_with(&format!("{known}.")));
                let origin = origin.map_or_else(|| "default".to_owned(), |(_, origin)| origin.to_string());
                output::data(&format!("{key} = {value}   # {origin}"));
            }
        }
    }
    Ok(())
}

fn leaves(value: &serde_json::Value, prefix: &str, lines: &mut Vec<(String, String)>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (key, value) in fields {
                let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                leaves(value, &key, lines);
            }
        }
        serde_json::Value::Null => {}
        other => lines.push((prefix.to_owned(), other.to_string())),
    }
}
