//! Which assets a run concerns: what the portal can filter is pushed down, and every row is checked again here.
//!
//! The portal ignores filters it does not understand and then returns everything, so its word alone counts for
//! nothing.

mod resolve;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use common::asset::{Asset, AssetId, AssetType};
use common::bynder::ListQuery;

pub use resolve::{ResolveError, resolve};

/// Ids that go into one listing request: 36 characters each, so that the URL stays below 4 KiB.
const MOST_IDS_A_REQUEST: usize = 100;

/// The configured filters with every name resolved against the portal. All given ones must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Kinds of asset; empty for all.
    pub types: BTreeSet<AssetType>,
    /// File extensions, lower-case; empty for all.
    pub extensions: BTreeSet<String>,
    /// Tags, any of which must be present; empty for all.
    pub tags: BTreeSet<String>,
    /// Collections, any of which must hold the asset; the listing does not show them, so this one is the portal's word.
    pub collections: Vec<String>,
    /// Metaproperties, each with values any of which must be selected.
    pub metaproperties: Vec<PropertyFilter>,
    /// Single assets; empty for all.
    pub ids: Vec<AssetId>,
}

/// One metaproperty and the values that match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyFilter {
    /// The metaproperty's database name.
    pub name: String,
    /// The wanted values: names of options, or the text of a text field.
    pub values: BTreeSet<String>,
    /// Ids of the wanted options; empty for a text field.
    pub option_ids: BTreeSet<String>,
}

/// The filter that left an asset out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FilteredBy {
    /// `filters.types`
    Types,
    /// `filters.extensions`
    Extensions,
    /// `filters.tags`
    Tags,
    /// `filters.metaproperties`
    Metaproperties,
    /// `filters.ids`
    Ids,
}

impl FilteredBy {
    /// The filter's name in counts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Types => "types",
            Self::Extensions => "extensions",
            Self::Tags => "tags",
            Self::Metaproperties => "metaproperties",
            Self::Ids => "ids",
        }
    }
}

impl Filter {
    /// The listing requests' common part; several when one request cannot carry all ids or collections.
    pub fn push_down(&self) -> Vec<ListQuery> {
        let base = ListQuery {
            types: self.types.iter().copied().collect(),
            // Several tags mean "all of them" to the portal, so only a single one can be pushed down.
            tags: if self.tags.len() == 1 { self.tags.iter().cloned().collect() } else { Vec::new() },
            property_option_ids: self.single_option().into_iter().collect(),
            include_versions: true,
            ..ListQuery::default()
        };
        if !self.ids.is_empty() {
            let chunks = self.ids.chunks(MOST_IDS_A_REQUEST);
            return chunks.map(|ids| ListQuery { ids: ids.to_vec(), ..base.clone() }).collect();
        }
        if self.collections.is_empty() {
            return vec![base];
        }
        let one = |id: &String| ListQuery { collection_ids: vec![id.clone()], ..base.clone() };
        self.collections.iter().map(one).collect()
    }

    /// Several option ids mean "all of them" to the portal, while the values of one metaproperty mean "any":
    /// only a metaproperty with a single wanted option can be pushed down, and one is enough to narrow the list.
    fn single_option(&self) -> Option<String> {
        let single = self.metaproperties.iter().find(|property| property.option_ids.len() == 1)?;
        single.option_ids.first().cloned()
    }

    /// Checks one row; the reason if it is left out.
    pub fn check(&self, asset: &Asset) -> Result<(), FilteredBy> {
        if !self.types.is_empty() && !self.types.contains(&asset.kind) {
            return Err(FilteredBy::Types);
        }
        if !self.extensions.is_empty() && !asset.extensions.iter().any(|own| self.extensions.contains(own)) {
            return Err(FilteredBy::Extensions);
        }
        if !self.tags.is_empty() && !asset.tags.iter().any(|own| self.tags.contains(own)) {
            return Err(FilteredBy::Tags);
        }
        if !self.metaproperties.iter().all(|property| property.matches(asset)) {
            return Err(FilteredBy::Metaproperties);
        }
        if !self.ids.is_empty() && !self.ids.iter().any(|id| same_id(id, &asset.id)) {
            return Err(FilteredBy::Ids);
        }
        Ok(())
    }

    /// A text that is equal for equal filters: an interrupted run is resumed only under the same ones.
    pub fn fingerprint(&self) -> String {
        format!("{self:?}")
    }
}

impl PropertyFilter {
    fn matches(&self, asset: &Asset) -> bool {
        let by_name = asset
            .properties
            .get(&self.name)
            .is_some_and(|own| own.iter().any(|value| self.values.contains(value)));
        by_name || asset.option_ids.iter().any(|id| self.option_ids.contains(id))
    }
}

/// Bynder writes one id in two forms; the digits are the same.
fn same_id(left: &AssetId, right: &AssetId) -> bool {
    let digits = |id: &AssetId| id.as_str().replace('-', "").to_ascii_lowercase();
    digits(left) == digits(right)
}
