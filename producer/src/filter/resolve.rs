//! Resolves the names that a person wrote against the portal, or reports the name that it does not know.

use std::collections::{BTreeMap, BTreeSet};

use bynder::{Bynder, BynderError, Metaproperty, Named};
use common::asset::{AssetId, AssetType};
use config::Filters;
use glob::Pattern;

use super::{Filter, PropertyFilter, Traits};
use common::nearest::nearest;
use common::parse_error::harmless;
use common::prose::prose;

/// Why a filter cannot be resolved at this portal.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The portal does not know the name.
    #[error("{key}: {:?} is unknown to the portal{}", harmless(.name), suggestion(.nearest.as_deref()))]
    Unknown {
        /// The configuration key.
        key: String,
        /// The name as written.
        name: String,
        /// The nearest existing name.
        nearest: Option<String>,
    },
    /// The text does not have the form of an id.
    #[error("{key}: {source}")]
    Id {
        /// The configuration key.
        key: String,
        /// What is wrong with it.
        source: common::asset::InvalidAssetId,
    },
    /// The text is not a valid pattern.
    #[error("{key}: {:?} is not a pattern ({reason}); * matches anything, ? one character", harmless(.text))]
    Pattern {
        /// The configuration key.
        key: String,
        /// The text as written.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The portal could not be asked.
    #[error("cannot look up the names in [filters] and [[imatag.directories]]: {0}")]
    Bynder(#[from] BynderError),
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean {:?}?", prose(name)))
}

/// Resolves every name at the portal. `known` are the portal's metaproperties.
pub async fn resolve(
    filters: &Filters,
    bynder: &Bynder,
    known: &[Metaproperty],
) -> Result<Filter, ResolveError> {
    let mut collections = Vec::new();
    if !filters.collections.is_empty() {
        let all = bynder.collections().await?;
        for name in &filters.collections {
            collections.push(id_of("filters.collections", name, &all)?);
        }
    }
    let wanted = Wanted {
        key: "filters",
        types: &filters.types,
        extensions: &filters.extensions,
        brands: &filters.brands,
        tags: &filters.tags,
        metaproperties: &filters.metaproperties,
        names: &filters.names,
        ids: &filters.ids,
    };
    let exclude = &filters.exclude;
    let unwanted = Wanted {
        key: "filters.exclude",
        types: &exclude.types,
        extensions: &exclude.extensions,
        brands: &exclude.brands,
        tags: &exclude.tags,
        metaproperties: &exclude.metaproperties,
        names: &exclude.names,
        ids: &exclude.ids,
    };
    Ok(Filter {
        include: wanted.resolve(bynder, known).await?,
        exclude: unwanted.resolve(bynder, known).await?,
        collections,
        keyword: filters.keyword.clone(),
        created: filters.created,
        modified: filters.modified,
        size: (filters.min_size.map(|size| size.as_u64()), filters.max_size.map(|size| size.as_u64())),
        public: filters.public,
        archived: filters.archived,
        limited: filters.limited,
        orientation: filters.orientation.iter().copied().collect(),
        sample: filters.sample,
    })
}

/// Resolves the brands and metaproperties of a key other than `filters`.
///
/// # Errors
/// As [`resolve`].
pub async fn resolve_traits(
    key: &str,
    brands: &[String],
    metaproperties: &BTreeMap<String, Vec<String>>,
    bynder: &Bynder,
    known: &[Metaproperty],
) -> Result<Traits, ResolveError> {
    let none: &[String] = &[];
    let wanted = Wanted {
        key,
        types: &[],
        extensions: none,
        brands,
        tags: none,
        metaproperties,
        names: none,
        ids: none,
    };
    wanted.resolve(bynder, known).await
}

/// Traits as a person wrote them, and under which key.
struct Wanted<'a> {
    key: &'a str,
    types: &'a [AssetType],
    extensions: &'a [String],
    brands: &'a [String],
    tags: &'a [String],
    metaproperties: &'a BTreeMap<String, Vec<String>>,
    names: &'a [String],
    ids: &'a [String],
}

impl Wanted<'_> {
    async fn resolve(&self, bynder: &Bynder, known: &[Metaproperty]) -> Result<Traits, ResolveError> {
        let key = |name: &str| format!("{}.{name}", self.key);
        let mut brands = BTreeSet::new();
        if !self.brands.is_empty() {
            let all = bynder.brands().await?;
            for name in self.brands {
                brands.insert(id_of(&key("brands"), name, &all)?);
            }
        }
        for name in self.tags {
            let similar = bynder.tags(name).await?;
            if !similar.iter().any(|tag| tag == name) {
                return Err(unknown(&key("tags"), name, similar.iter().map(String::as_str)));
            }
        }
        let names = self.names.iter().map(|text| {
            Pattern::new(text).map_err(|error| ResolveError::Pattern {
                key: key("names"),
                text: text.clone(),
                reason: error.msg.to_owned(),
            })
        });
        let ids = self
            .ids
            .iter()
            .map(|id| id.parse::<AssetId>().map_err(|source| ResolveError::Id { key: key("ids"), source }));
        Ok(Traits {
            types: self.types.iter().copied().collect(),
            extensions: self
                .extensions
                .iter()
                .map(|own| own.trim_start_matches('.').to_lowercase())
                .collect(),
            brands,
            tags: self.tags.iter().cloned().collect(),
            metaproperties: properties(&key("metaproperties"), self.metaproperties, known)?,
            names: names.collect::<Result<_, _>>()?,
            ids: ids.collect::<Result<_, _>>()?,
        })
    }
}

/// The id of the entry with this name or id.
fn id_of(key: &str, name: &str, all: &[Named]) -> Result<String, ResolveError> {
    let found = all.iter().find(|known| known.name == name || known.id == name);
    let names = all.iter().map(|known| known.name.as_str());
    found.map(|known| known.id.clone()).ok_or_else(|| unknown(key, name, names))
}

fn properties(
    key: &str,
    wanted: &BTreeMap<String, Vec<String>>,
    known: &[Metaproperty],
) -> Result<Vec<PropertyFilter>, ResolveError> {
    wanted.iter().map(|(name, values)| property(key, name, values, known)).collect()
}

fn property(
    key: &str,
    name: &str,
    values: &[String],
    known: &[Metaproperty],
) -> Result<PropertyFilter, ResolveError> {
    let names = known.iter().map(|property| property.name.as_str());
    let found = known.iter().find(|property| property.name == name);
    let found = found.ok_or_else(|| unknown(key, name, names))?;
    let mut option_ids = Vec::new();
    if found.has_options() {
        for value in values {
            let option = found.options.iter().find(|option| &option.name == value || &option.id == value);
            let options = found.options.iter().map(|option| option.name.as_str());
            let key = format!("{key}.{name}");
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
