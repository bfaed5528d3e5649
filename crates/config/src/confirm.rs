//! Records in a configuration file that its wire profile was tried; comments and order stay.

use toml_edit::{DocumentMut, Item, Table, value};

use super::ConfigError;
use common::parse_error::of_toml;

/// The file's text with `imatag.profile_overrides.confirmed = true`.
///
/// # Errors
/// The text is not TOML, or has a value other than a table there.
pub fn confirm_profile(text: &str, day: &str) -> Result<String, ConfigError> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        ConfigError::value("(the file)", of_toml(text, error.message(), error.span()))
    })?;
    let mut overrides = Table::new();
    overrides.set_implicit(false);
    let section = document.entry("imatag").or_insert(Item::Table(Table::new()));
    let section =
        section.as_table_like_mut().ok_or_else(|| ConfigError::value("imatag", "has to be a table"))?;
    let held = section.entry("profile_overrides").or_insert(Item::Table(overrides));
    let held = held
        .as_table_like_mut()
        .ok_or_else(|| ConfigError::value("imatag.profile_overrides", "has to be a table"))?;
    held.insert("confirmed", value(true));
    if let Some(confirmed) = held.get_mut("confirmed").and_then(Item::as_value_mut) {
        confirmed.decor_mut().set_suffix(format!("  # by `connector trial` on {day}"));
    }
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_the_file_stays_as_it_is() {
        let text =
            "[imatag] # the watermarks\ndirectory = \"acme\"\n\n[filters] # all\ntypes = [\"image\"]\n";
        let noted = confirm_profile(text, "2026-01-31").unwrap();
        assert!(
            noted.contains("[imatag] # the watermarks\n") && noted.contains("[filters] # all\n"),
            "{noted}"
        );
        let line = "[imatag.profile_overrides]\nconfirmed = true  # by `connector trial` on 2026-01-31\n";
        assert!(noted.contains(line), "{noted}");
        let again = confirm_profile(&noted, "2026-02-01").unwrap();
        assert_eq!(again.matches("confirmed = true").count(), 1, "{again}");
        assert!(confirm_profile("imatag = 3", "2026-01-31").is_err());
    }
}
