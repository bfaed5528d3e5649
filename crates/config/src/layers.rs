//! Merges file, environment and command line into one table, and records the origin of each value.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use toml::{Table, Value};

use super::validate::SECRETS;
use super::{ConfigError, schema};
use common::parse_error::{harmless_key, of_toml};
use files::written::{self, Chosen, NotRead};
use imatag::profile::BUILTIN_NAME;

const PREFIX: &str = "CONNECTOR_";
const SEPARATOR: &str = "__";

/// A value given on the command line.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    pub key: String,
    pub value: Value,
}

/// The origin of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    File(PathBuf),
    Environment(String),
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(formatter),
            Self::Environment(name) => formatter.write_str(name),
            Self::CommandLine => formatter.write_str("command line"),
        }
    }
}

pub(super) struct Layers {
    pub(super) table: Table,
    pub(super) origins: Vec<(String, Origin)>,
    /// Variables that look like keys but lack an underscore, and other users who may change the file.
    pub(super) warnings: Vec<String>,
}

/// The top level of the configuration, in capitals: its keys, and the prefixes of variables for a section's keys.
struct Top {
    keys: Vec<String>,
    sections: Vec<String>,
}

static TOP: LazyLock<Top> = LazyLock::new(|| {
    let schema = schema();
    let properties = schema.get("properties").and_then(serde_json::Value::as_object).into_iter().flatten();
    let is_key = |(_, schema): &(&String, &serde_json::Value)| {
        matches!(schema["type"].as_str(), Some("array" | "boolean" | "string" | "integer" | "number"))
    };
    let (keys, sections): (Vec<_>, Vec<_>) = properties.partition(is_key);
    let names = |found: Vec<(&String, _)>| found.into_iter().map(|(name, _)| name.to_uppercase()).collect();
    Top { keys: names(keys), sections: names(sections) }
});

impl Layers {
    pub(super) fn read(
        file: Option<&Path>,
        chosen: Chosen,
        environment: Vec<(String, String)>,
        overrides: &[Override],
    ) -> Result<Self, ConfigError> {
        let mut layers = Self { table: Table::new(), origins: Vec::new(), warnings: Vec::new() };
        let mut text = String::new();
        if let Some(path) = file {
            let (read, doubt) =
                written::read_to_string(path, chosen).map_err(|error| unreadable(path, error))?;
            layers.warnings.extend(doubt.map(|doubt| format!("{}: {doubt}", path.display())));
            text = read;
            layers.table = text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax {
                path: path.to_owned(),
                reason: of_toml(&text, error.message(), error.span()),
            })?;
            // A pipe's folder is unrelated to it.
            if let Some(folder) = path.parent().filter(|_| path.is_file()) {
                place(&mut layers.table, "", folder);
            }
            let mut keys = Vec::new();
            leaves(&layers.table, "", &mut keys);
            layers.origins = keys.into_iter().map(|key| (key, Origin::File(path.to_owned()))).collect();
        }
        // A variable that provides a secret is read whatever its name.
        let mentioned: String =
            environment.iter().map(|(_, value)| value.as_str()).chain([text.as_str()]).collect();
        for (name, value) in environment {
            if let Some(key) = key_of(&name) {
                layers.set(&key, value_of(&value), Origin::Environment(name))?;
            } else if let Some(meant) = meant_by(&name).filter(|_| !mentioned.contains(&name)) {
                layers.warnings.push(format!("the variable {name} is not read; did you mean {meant}?"));
            }
        }
        for Override { key, value } in overrides {
            layers.set(key, value.clone(), Origin::CommandLine)?;
        }
        Ok(layers)
    }

    fn set(&mut self, key: &str, value: Value, origin: Origin) -> Result<(), ConfigError> {
        let mut table = &mut self.table;
        let mut path: Vec<&str> = key.split('.').collect();
        let last = path.pop().unwrap_or(key);
        for part in path {
            let below = table.entry(part).or_insert_with(|| Value::Table(Table::new()));
            table = below.as_table_mut().ok_or_else(|| {
                ConfigError::value(part, format!("{} needs a table here", harmless_key(key)))
            })?;
        }
        table.insert(last.to_owned(), value);
        self.origins.retain(|(known, _)| known != key);
        self.origins.push((key.to_owned(), origin));
        Ok(())
    }
}

/// `CONNECTOR_BYNDER__DOMAIN` means `bynder.domain`. A name without the separator is a variable of the program
/// itself, unless it names a key outside all sections.
fn key_of(name: &str) -> Option<String> {
    let rest = name.strip_prefix(PREFIX)?;
    if !rest.contains(SEPARATOR) && !TOP.keys.iter().any(|key| key == rest) {
        return None;
    }
    Some(rest.to_lowercase().replace(SEPARATOR, "."))
}

/// The variable that `CONNECTOR_LIMITS_ASSETS_PER_RUN`, with one underscore instead of two, was meant to be.
fn meant_by(name: &str) -> Option<String> {
    let rest = name.strip_prefix(PREFIX)?;
    let section = TOP.sections.iter().find(|section| rest.starts_with(&format!("{section}_")))?;
    Some(format!("{PREFIX}{section}{SEPARATOR}{}", &rest[section.len() + 1..]))
}

/// A TOML value if it parses as one, else a text: people do not quote a domain in a variable.
fn value_of(text: &str) -> Value {
    let document = format!("value = {text}").parse::<Table>();
    document
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

fn unreadable(path: &Path, error: NotRead) -> ConfigError {
    let path = path.to_owned();
    let error = match error {
        NotRead::Doubtful(doubt) => return ConfigError::Doubt { path, doubt },
        NotRead::Failed(error) => error,
    };
    let remedy = match error.kind() {
        std::io::ErrorKind::NotFound => "`connector init` writes a first one",
        std::io::ErrorKind::InvalidData => "save it as UTF-8 without BOM, not as UTF-16",
        _ => "name a file that this user may read",
    };
    ConfigError::File { path, reason: format!("{error}; {remedy}") }
}

/// Resolves the files that a configuration file names against its own folder: in the working directory, another
/// user may have placed them.
fn place(table: &mut Table, prefix: &str, folder: &Path) {
    for (key, value) in table.iter_mut() {
        let dotted = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(below) => place(below, &dotted, folder),
            Value::Array(entries) => {
                entries
                    .iter_mut()
                    .filter_map(Value::as_table_mut)
                    .for_each(|below| place(below, &dotted, folder));
            }
            Value::String(path)
                if dotted == "broker.ca_file"
                    || (dotted == "imatag.profile" && path != BUILTIN_NAME)
                    || dotted.strip_suffix(".file").is_some_and(is_secret) =>
            {
                // Both were texts, so nothing is lost.
                *path = folder.join(&*path).to_string_lossy().into_owned();
            }
            _ => {}
        }
    }
}

/// Whether a secret has this key, written without the index of a list's entry.
fn is_secret(key: &str) -> bool {
    SECRETS.contains(&key) || key == "page.tokens.token"
}

fn leaves(table: &Table, prefix: &str, keys: &mut Vec<String>) {
    for (key, value) in table {
        let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(below) => leaves(below, &key, keys),
            _ => keys.push(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_a_configuration_file_names_are_in_its_own_folder() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("connector.toml");
        let text = "imatag.profile = 'wire.toml'\nbroker.ca_file = '/etc/ca.pem'\nbynder.api_token.file = 'in/token'\n\
                    producer.state_dir = 'state'\nimatag.profile_overrides.submit.extra.file = 'a'\n\
                    [[page.tokens]]\nname = 'Anna'\ntoken.file = 'in/anna'";
        std::fs::write(&path, text).unwrap();
        let environment = vec![("CONNECTOR_IMATAG__API_KEY__FILE".to_owned(), "key".to_owned())];
        let read = Layers::read(Some(&path), Chosen::Named, environment, &[]).unwrap();
        let beside = |name: &str| outer.path().join(name).display().to_string();
        let wanted: Table = [
            format!("imatag.profile = '{}'", beside("wire.toml")),
            format!("bynder.api_token.file = '{}'", beside("in/token")),
            "broker.ca_file = '/etc/ca.pem'\nproducer.state_dir = 'state'\nimatag.api_key.file = 'key'"
                .to_owned(),
            "imatag.profile_overrides.submit.extra.file = 'a'".to_owned(),
            format!("[[page.tokens]]\nname = 'Anna'\ntoken.file = '{}'", beside("in/anna")),
        ]
        .join("\n")
        .parse()
        .unwrap();
        assert_eq!(read.table, wanted);
        std::fs::write(&path, "imatag.profile = 'imatag'").unwrap();
        let read = Layers::read(Some(&path), Chosen::Named, Vec::new(), &[]).unwrap();
        assert_eq!(read.table["imatag"]["profile"].as_str(), Some("imatag"));
    }
}
