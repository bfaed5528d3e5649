//! Finds the metaproperties that the connector writes, and checks that they are suitable.

use bynder::Metaproperty;
use common::excerpt::excerpt;
use common::parse_error::harmless;
use common::prose::prose;
use config::Config;

/// Why a configured metaproperty cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MetapropertyError {
    /// The portal has no metaproperty of that name.
    #[error("{key}: the portal has no metaproperty {:?}{}; create a text metaproperty of that name", harmless(.name), nearest_text(.nearest.as_deref()))]
    Missing {
        /// The configuration key that names it.
        key: &'static str,
        name: String,
        /// The most similar existing name.
        nearest: Option<String>,
    },
    /// It is not a text field.
    #[error("{key}: the metaproperty {name:?} is of type {:?}; it must be a text field", excerpt(&prose(.kind)))]
    NotText {
        /// The configuration key that names it.
        key: &'static str,
        /// Its name.
        name: String,
        /// Its type.
        kind: String,
    },
    /// It is not an API field.
    #[error(
        "{key}: the metaproperty {name:?} is not an API field, so it could never be read back; switch on \"API field\" in its settings"
    )]
    NotShown {
        /// The configuration key that names it.
        key: &'static str,
        /// Its name.
        name: String,
    },
    /// It cannot be written.
    #[error("{key}: the metaproperty {name:?} is not editable; switch on \"editable\" in its settings")]
    NotEditable {
        /// The configuration key that names it.
        key: &'static str,
        /// Its name.
        name: String,
    },
}

fn nearest_text(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(" (did you mean {name:?}?)"))
}

/// The metaproperties that the connector writes.
#[derive(Debug, Clone, Copy)]
pub struct WrittenFields<'a> {
    /// Holds the marker.
    pub hash: &'a Metaproperty,
    /// Shows people the asset's status.
    pub status: Option<&'a Metaproperty>,
    /// Links a copy and its original.
    pub link: Option<&'a Metaproperty>,
}

/// Finds the metaproperties to write among the portal's, and checks them.
pub fn written_fields<'a>(
    known: &'a [Metaproperty],
    config: &Config,
) -> Result<WrittenFields<'a>, MetapropertyError> {
    let hash = text_field(known, "bynder.hash_metaproperty", &config.bynder.hash_metaproperty)?;
    let optional = |key, name: Option<&str>| name.map(|name| text_field(known, key, name)).transpose();
    let status = optional("bynder.status_metaproperty", config.bynder.status_metaproperty.as_deref())?;
    let link = optional("output.link_metaproperty", config.output.link_metaproperty.as_deref())?;
    Ok(WrittenFields { hash, status, link })
}

fn text_field<'a>(
    known: &'a [Metaproperty],
    key: &'static str,
    name: &str,
) -> Result<&'a Metaproperty, MetapropertyError> {
    let Some(found) = known.iter().find(|property| property.name == name) else {
        let names = known.iter().map(|property| property.name.as_str());
        let nearest = common::nearest::nearest(name, names).map(str::to_owned);
        return Err(MetapropertyError::Missing { key, name: name.to_owned(), nearest });
    };
    let name = name.to_owned();
    if !found.is_text() {
        return Err(MetapropertyError::NotText { key, name, kind: http_client::excerpt(&found.kind) });
    }
    if !found.is_api_field() {
        return Err(MetapropertyError::NotShown { key, name });
    }
    if !found.is_editable() {
        return Err(MetapropertyError::NotEditable { key, name });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_type_only_prose_is_shown() {
        let said = |kind: &str| {
            let (key, name, kind) = ("bynder.hash_metaproperty", "imatag_hash".to_owned(), kind.to_owned());
            MetapropertyError::NotText { key, name, kind }.to_string()
        };
        assert!(said("select2").contains("is of type \"select2\""), "{}", said("select2"));
        let link = said("https://x.example/f.jpg?X-Amz-Signature=s3cr3tS1gn4ture0123");
        assert!(!link.contains("s3cr3t") && !link.contains("x.example"), "{link}");
    }
}
