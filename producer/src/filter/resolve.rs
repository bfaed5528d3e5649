//! Turning the names a person wrote into what the portal knows, or saying which name it does not know.

use std::collections::BTreeMap;

use common::asset::AssetId;
use common::bynder::{Bynder, BynderError, Metaproperty};
use common::config::Filters;

use super::{Filter, PropertyFilter};
use common::nearest::nearest;

/// A filter that means nothing to this portal.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The portal has no such thing.
    #[error("{key}: {name:?} is unknown to the portal{}", suggestion(.nearest.as_deref()))]
    Unknown {
        /// The configuration key.
        key: String,
        /// What was written.
        name: String,
        /// The nearest name that exists.
        nearest: Option<String>,
    },
    /// Not the form of an id.
    #[error("filters.ids: {0}")]
    Id(#[from] common::asset::InvalidAssetId),
    /// The portal could not be asked.
    #[error("cannot look up the names in [filters]: {0}")]
    Bynder(#[from] BynderError),
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean {name:?}?"))
}

/// Looks every name up at the portal. `known` are the portal's metaproperties.
pub async fn resolve(
    filters: &Filters,
    bynder: &Bynder,
    known: &[Metaproperty],
) -> Result<Filter, ResolveError> {
    let mut collections = Vec::new();
    if !filters.collections.is_empty() {
        let all = bynder.collections().await?;
        for name in &filters.collections {
            let found = all.iter().find(|collection| &collection.name == name || &collection.id == name);
            let names = all.iter().map(|collection| collection.name.as_str());
            let found = found.ok_or_else(|| unknown("filters.collections", name, names))?;
            collections.push(found.id.clone());
        }
    }
    for name in &filters.tags {
        let similar = bynder.tags(name).await?;
        if !similar.iter().any(|tag| tag == name) {
            return Err(unknown("filters.tags", name, similar.iter().map(String::as_str)));
        }
    }
    Ok(Filter {
        types: filters.types.iter().copied().collect(),
        extensions: filters.extensions.iter().map(|own| own.trim_start_matches('.').to_lowercase()).collect(),
        tags: filters.tags.iter().cloned().collect(),
        collections,
        metaproperties: properties(&filters.metaproperties, known)?,
        ids: filters.ids.iter().map(|id| id.parse::<AssetId>()).collect::<Result<_, _>>()?,
    })
}

fn properties(
    wanted: &BTreeMap<String, Vec<String>>,
    known: &[Metaproperty],
) -> Result<Vec<PropertyFilter>, ResolveError> {
    wanted.iter().map(|(name, values)| property(name, values, known)).collect()
}

fn property(name: &str, values: &[String], known: &[Metaproperty]) -> Result<PropertyFilter, ResolveError> {
    let names = known.iter().map(|property| property.name.as_str());
    let found = known.iter().find(|property| property.name == name);
    let found = found.ok_or_else(|| unknown("filters.metaproperties", name, names))?;
    let mut option_ids = Vec::new();
    if found.has_options() {
        for value in values {
            let option = found.options.iter().find(|option| &option.name == value || &option.id == value);
            let options = found.options.iter().map(|option| option.name.as_str());
            let key = format!("filters.metaproperties.{name}");
            option_ids.push(option.ok_or_else(|| unknown(&key, value, options))?.id.clone());
        }
    }
    Ok(PropertyFilter {
        name: found.name.clone(),
        values: values.iter().cloned().collect(),
        option_ids: option_ids.into_iter().collect(),
    })
}

fn unknown<'a>(key: &str, name: &str, candidates: impl Iterator<Item = &'a str>) -> ResolveError {
    let nearest = nearest(name, candidates).map(str::to_owned);
    ResolveError::Unknown { key: key.to_owned(), name: name.to_owned(), nearest }
}
