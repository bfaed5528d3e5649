//! Whether the portal has a metaproperty that can hold the marker.

use super::Metaproperty;

/// The hash metaproperty cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MetapropertyError {
    /// The portal has none of that name.
    #[error("bynder.hash_metaproperty: the portal has no metaproperty {name:?}{}; create a text metaproperty of that name", nearest_text(.nearest.as_deref()))]
    Missing {
        /// What was asked for.
        name: String,
        /// The nearest name there is.
        nearest: Option<String>,
    },
    /// It cannot hold free text.
    #[error(
        "bynder.hash_metaproperty: the metaproperty {name:?} is of type {kind:?}; it must be a text field"
    )]
    NotText {
        /// Its name.
        name: String,
        /// Its type.
        kind: String,
    },
    /// The API does not show it.
    #[error(
        "bynder.hash_metaproperty: the metaproperty {name:?} is no API field, so it could never be read back; switch on \"API field\" in its settings"
    )]
    NotShown {
        /// Its name.
        name: String,
    },
    /// It cannot be written.
    #[error(
        "bynder.hash_metaproperty: the metaproperty {name:?} is not editable; switch on \"editable\" in its settings"
    )]
    NotEditable {
        /// Its name.
        name: String,
    },
}

fn nearest_text(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(" (did you mean {name:?}?)"))
}

/// Finds the hash metaproperty among the portal's, and checks that it can serve.
pub fn hash_metaproperty<'a>(
    known: &'a [Metaproperty],
    name: &str,
) -> Result<&'a Metaproperty, MetapropertyError> {
    let Some(found) = known.iter().find(|property| property.name == name) else {
        let names = known.iter().map(|property| property.name.as_str());
        let nearest = crate::nearest::nearest(name, names).map(str::to_owned);
        return Err(MetapropertyError::Missing { name: name.to_owned(), nearest });
    };
    let name = name.to_owned();
    if !found.is_text() {
        return Err(MetapropertyError::NotText { name, kind: found.kind.clone() });
    }
    if !found.is_api_field() {
        return Err(MetapropertyError::NotShown { name });
    }
    if !found.is_editable() {
        return Err(MetapropertyError::NotEditable { name });
    }
    Ok(found)
}
