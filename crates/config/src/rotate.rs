//! Encrypts the secrets of a configuration file for another recipient; comments and order stay.

use secrecy::SecretString;
use toml_edit::{DocumentMut, Item, TableLike, Value, value};

use super::ConfigError;
use super::secret::{decrypt, encrypt};
use common::parse_error::of_toml;

/// The only key in an encrypted secret's table.
const KEY: &str = "encrypted";

/// The file's text with each encrypted secret encrypted for another recipient, and the keys of those secrets.
///
/// # Errors
/// The text is not TOML, the available identity cannot decrypt a secret, or the recipient is not valid.
pub fn rotate(text: &str, recipient: &str) -> Result<(String, Vec<String>), ConfigError> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        ConfigError::value("(the file)", of_toml(text, error.message(), error.span()))
    })?;
    let mut rotated = Vec::new();
    walk(document.as_table_mut(), "", recipient, &mut rotated)?;
    Ok((document.to_string(), rotated))
}

fn walk(
    table: &mut dyn TableLike,
    prefix: &str,
    recipient: &str,
    rotated: &mut Vec<String>,
) -> Result<(), ConfigError> {
    for (key, item) in table.iter_mut() {
        let dotted = if prefix.is_empty() { key.to_string() } else { format!("{prefix}.{key}") };
        if let Some(armour) = encrypted(item) {
            let wrong = |reason| ConfigError::Secret { key: dotted.clone(), reason };
            let secret = SecretString::from(decrypt(&armour).map_err(wrong)?);
            let armour = encrypt(recipient, &secret).map_err(wrong)?;
            if let Some(holder) = item.as_table_like_mut() {
                holder.insert(KEY, value(armour));
            }
            rotated.push(dotted);
        } else if let Some(inner) = item.as_table_like_mut() {
            walk(inner, &dotted, recipient, rotated)?;
        } else {
            for (index, entry) in entries(item).into_iter().enumerate() {
                walk(entry, &format!("{dotted}[{index}]"), recipient, rotated)?;
            }
        }
    }
    Ok(())
}

/// The tables of a list, in either notation.
fn entries(item: &mut Item) -> Vec<&mut dyn TableLike> {
    match item {
        Item::ArrayOfTables(tables) => tables.iter_mut().map(|table| table as &mut dyn TableLike).collect(),
        Item::Value(Value::Array(values)) => values
            .iter_mut()
            .filter_map(|value| Some(value.as_inline_table_mut()? as &mut dyn TableLike))
            .collect(),
        Item::None | Item::Value(_) | Item::Table(_) => Vec::new(),
    }
}

/// The armour, if the item is an encrypted secret.
fn encrypted(item: &Item) -> Option<String> {
    let table = item.as_table_like().filter(|table| table.len() == 1)?;
    table.get(KEY).and_then(Item::as_value).and_then(Value::as_str).map(str::to_owned)
}
