//! Which assets a run concerns: the portal applies what filters it can, and every row is checked again here.
//!
//! The portal ignores filters that it does not understand and then returns everything, so its filtering alone
//! cannot be trusted.

mod fingerprint;
mod ids;
mod requests;
mod resolve;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use bynder::ListQuery;
use common::asset::{Asset, AssetId, AssetType, Orientation};
use config::DateRange;
use glob::{MatchOptions, Pattern};
use sha2::{Digest, Sha256};

use ids::same_digits;

pub use ids::Ids;
pub(crate) use ids::{IdKey, digits};
pub use requests::Requests;
pub use resolve::{ResolveError, resolve, resolve_traits};

/// The configured filters with every name resolved against the portal. An asset must match all that are given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// What an asset must have.
    pub include: Traits,
    /// What an asset must not have: any entry excludes it.
    pub exclude: Traits,
    /// Collections, any of which must hold the asset. The listing does not show them, so only the portal can apply
    /// this filter.
    pub collections: Vec<String>,
    /// Words that the portal searches for; only the portal can apply this filter, too.
    pub keyword: Option<String>,
    pub created: Option<DateRange>,
    pub modified: Option<DateRange>,
    /// The minimum and maximum file size, in bytes.
    pub size: (Option<u64>, Option<u64>),
    /// Whether the asset must be public.
    pub public: Option<bool>,
    /// Whether the asset must be archived.
    pub archived: Option<bool>,
    /// Whether the asset's use must be limited.
    pub limited: Option<bool>,
    /// The orientations of a picture; empty for all.
    pub orientation: BTreeSet<Orientation>,
    /// The share of the library to include, chosen by ids.
    pub sample: Option<f64>,
}

/// Traits that include or exclude an asset. An empty one does not matter.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Traits {
    pub types: BTreeSet<AssetType>,
    /// File extensions, lower-case.
    pub extensions: BTreeSet<String>,
    /// Ids of brands.
    pub brands: BTreeSet<String>,
    pub tags: BTreeSet<String>,
    /// Metaproperties, each with values of which at least one must be selected.
    pub metaproperties: Vec<PropertyFilter>,
    /// Patterns for the asset's name or its file's.
    pub names: Vec<Pattern>,
    /// Single assets.
    pub ids: Ids,
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

/// The filter that excluded an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum FilteredBy {
    /// `filters.types`
    Types,
    /// `filters.extensions`
    Extensions,
    /// `filters.brands`
    Brands,
    /// `filters.tags`
    Tags,
    /// `filters.metaproperties`
    Metaproperties,
    /// `filters.names`
    Names,
    /// `filters.ids`
    Ids,
    /// `filters.created`
    Created,
    /// `filters.modified`
    Modified,
    /// `filters.min_size`, `filters.max_size`
    Size,
    /// `filters.public`
    Public,
    /// `filters.archived`
    Archived,
    /// `filters.limited`
    Limited,
    /// `filters.orientation`
    Orientation,
    /// `filters.sample`
    Sample,
    /// `filters.exclude`
    Exclude,
}

impl FilteredBy {
    /// The filter's name in counts.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl Filter {
    /// The listing requests. Dates are not included: the walk itself applies them.
    pub fn push_down(&self) -> Requests {
        let include = &self.include;
        let base = ListQuery {
            types: include.types.iter().copied().collect(),
            // The portal matches several tags as "all of them", so only a single one can be pushed down.
            tags: only(&include.tags).into_iter().cloned().collect(),
            property_option_ids: include.single_option().into_iter().collect(),
            brand_id: only(&include.brands).cloned(),
            keyword: self.keyword.clone(),
            orientation: only(&self.orientation).copied(),
            public: self.public,
            archived: self.archived,
            limited: self.limited,
            include_versions: true,
            ..ListQuery::default()
        };
        Requests { base, ids: include.ids.clone(), collections: self.collections.clone() }
    }

    /// Checks one row; returns the filter that excludes it, if any.
    pub fn check(&self, asset: &Asset) -> Result<(), FilteredBy> {
        if let Some(by) = self.include.trait_missing(asset) {
            return Err(by);
        }
        let is = |wanted: Option<bool>, own: bool| wanted.is_none_or(|wanted| wanted == own);
        let (least, most) = self.size;
        let table = [
            (self.created.is_none_or(|range| range.contains(asset.created)), FilteredBy::Created),
            (self.modified.is_none_or(|range| range.contains(asset.modified)), FilteredBy::Modified),
            (least.is_none_or(|least| least <= asset.bytes), FilteredBy::Size),
            (most.is_none_or(|most| asset.bytes <= most), FilteredBy::Size),
            (is(self.public, asset.public), FilteredBy::Public),
            (is(self.archived, asset.archived), FilteredBy::Archived),
            (is(self.limited, asset.limited), FilteredBy::Limited),
            (
                self.orientation.is_empty()
                    || asset.orientation.is_some_and(|own| self.orientation.contains(&own)),
                FilteredBy::Orientation,
            ),
            (self.sample.is_none_or(|part| place_of(&asset.id) < part), FilteredBy::Sample),
            (!self.exclude.has_any_of(asset), FilteredBy::Exclude),
        ];
        table.into_iter().find(|(passes, _)| !passes).map_or(Ok(()), |(_, by)| Err(by))
    }

    /// The filters that the portal is asked to apply, and those that are applied only here. The former are applied
    /// here again, if a row shows what they need.
    pub fn divided(&self) -> (Vec<&'static str>, Vec<&'static str>) {
        let (include, asked) = (&self.include, self.push_down().get(0).unwrap_or_default());
        let given = [
            ("types", !include.types.is_empty(), true),
            ("extensions", !include.extensions.is_empty(), false),
            ("brands", !include.brands.is_empty(), asked.brand_id.is_some()),
            ("tags", !include.tags.is_empty(), !asked.tags.is_empty()),
            ("collections", !self.collections.is_empty(), true),
            (
                "metaproperties",
                !include.metaproperties.is_empty(),
                include.metaproperties.len() == 1 && !asked.property_option_ids.is_empty(),
            ),
            ("names", !include.names.is_empty(), false),
            ("keyword", self.keyword.is_some(), true),
            ("ids", !include.ids.is_empty(), true),
            ("created", self.created.is_some(), false),
            ("modified", self.modified.is_some(), false),
            ("size", self.size != (None, None), false),
            ("public", self.public.is_some(), true),
            ("archived", self.archived.is_some(), true),
            ("limited", self.limited.is_some(), true),
            ("orientation", !self.orientation.is_empty(), asked.orientation.is_some()),
            ("sample", self.sample.is_some(), false),
            ("exclude", self.exclude != Traits::default(), false),
        ];
        let names = |by_portal: bool| {
            let given = given.iter().filter(|(_, is_given, asked)| *is_given && *asked == by_portal);
            given.map(|(name, ..)| *name).collect()
        };
        (names(true), names(false))
    }

    /// A text that is equal for equal filters: an interrupted run is resumed only under the same ones.
    pub fn fingerprint(&self) -> String {
        fingerprint::of(self)
    }
}

/// The asset's position in a randomly sorted library, from 0 to 1. It depends on the id only, so it never changes.
fn place_of(id: &AssetId) -> f64 {
    let digest = Sha256::digest(id.as_str().replace('-', "").to_ascii_lowercase());
    let first = digest.iter().take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    f64::from(first) / (f64::from(u32::MAX) + 1.0)
}

/// The entry of a set with exactly one entry.
fn only<T: Ord>(set: &BTreeSet<T>) -> Option<&T> {
    set.first().filter(|_| set.len() == 1)
}

impl Traits {
    /// The portal matches several option ids as "all of them", while the values of one metaproperty mean "any of
    /// them". So only a metaproperty with a single wanted option can be pushed down, and one is enough to narrow
    /// the list.
    fn single_option(&self) -> Option<String> {
        let single = self.metaproperties.iter().find(|property| property.option_ids.len() == 1)?;
        single.option_ids.first().cloned()
    }

    /// Each kind of trait, with whether it matters and whether the asset has one of the listed traits.
    fn of(&self, asset: &Asset) -> [(FilteredBy, bool, bool); 6] {
        let brand =
            asset.brand_id.as_deref().is_some_and(|own| self.brands.iter().any(|id| same_digits(id, own)));
        [
            (FilteredBy::Types, !self.types.is_empty(), self.types.contains(&asset.kind)),
            (
                FilteredBy::Extensions,
                !self.extensions.is_empty(),
                asset.extensions.iter().any(|own| self.extensions.contains(&own.to_lowercase())),
            ),
            (FilteredBy::Brands, !self.brands.is_empty(), brand),
            (FilteredBy::Tags, !self.tags.is_empty(), asset.tags.iter().any(|own| self.tags.contains(own))),
            (
                FilteredBy::Names,
                !self.names.is_empty(),
                self.names.iter().any(|pattern| is_named(asset, pattern)),
            ),
            (FilteredBy::Ids, !self.ids.is_empty(), self.ids.contains(&asset.id)),
        ]
    }

    /// The first kind of trait that matters and of which the asset has none; each metaproperty is a kind of its
    /// own.
    fn trait_missing(&self, asset: &Asset) -> Option<FilteredBy> {
        let missing = self.of(asset).into_iter().find(|(_, matters, has)| *matters && !has);
        missing.map(|(by, ..)| by).or_else(|| {
            let has_all = self.metaproperties.iter().all(|property| property.matches(asset));
            (!has_all).then_some(FilteredBy::Metaproperties)
        })
    }

    /// Whether the asset has at least one trait of each kind that matters.
    pub fn suit(&self, asset: &Asset) -> bool {
        self.trait_missing(asset).is_none()
    }

    fn has_any_of(&self, asset: &Asset) -> bool {
        self.of(asset).into_iter().any(|(_, _, has)| has)
            || self.metaproperties.iter().any(|property| property.matches(asset))
    }
}

/// Whether the asset's name or its file's matches this pattern.
fn is_named(asset: &Asset, pattern: &Pattern) -> bool {
    let options = MatchOptions { case_sensitive: false, ..MatchOptions::default() };
    let own = [Some(&asset.name), asset.file_name.as_ref()];
    own.into_iter().flatten().any(|name| pattern.matches_with(name, options))
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
