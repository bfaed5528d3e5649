//! What a copy must have, and what a check of the original and of the copy means. Pure.

use std::collections::{HashMap, HashSet};
use std::fmt;

use bynder::{Metaproperty, Restriction, Template};
use common::asset::{AssetDetail, AssetId};
use common::hash::ContentHash;
use common::marker::{Kin, Marker, Record, Records};
use common::prose::Said;
use jiff::Timestamp;

/// What to do about an original whose watermarked file goes elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginalCheck {
    /// No person changed the active version: continue, and build the marker on these records.
    Untouched(Records),
    /// The marker already says that this file protects this version.
    Done,
    /// A person activated another version: start over with it.
    Restart {
        /// The version to protect now.
        base: u32,
        /// The highest version now.
        top: u32,
        /// The records in the marker.
        records: Records,
    },
    /// A person opted the asset out while the job was running.
    OptedOut,
    /// The marker holds text that the connector did not write.
    Foreign(String),
    /// The portal does not show which versions exist or which one is active.
    VersionsUnknown,
}

/// Decides by one single-asset GET. `record` is what the job will write on the original.
pub fn check_original(record: &Record, detail: &AssetDetail, marker: &Marker) -> OriginalCheck {
    let (Some(active), Some(top)) = (detail.active(), detail.top()) else {
        return OriginalCheck::VersionsUnknown;
    };
    let records = match marker.clone().into_records() {
        Ok(records) => records,
        Err(foreign) => return OriginalCheck::Foreign(foreign.0),
    };
    if active != record.version {
        return OriginalCheck::Restart { base: active, top, records };
    }
    if marker.opted_out() {
        return OriginalCheck::OptedOut;
    }
    if records.contains(record) { OriginalCheck::Done } else { OriginalCheck::Untouched(records) }
}

/// Why an asset cannot be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CannotCopy {
    /// A restriction that a new asset cannot have from its first moment.
    Restricted(Restriction),
    /// A tag with a comma: the portal would split it in two.
    Tag(Said),
    /// A metaproperty, or one of its options, that the portal did not list.
    Unknown(Said),
    /// A kind of metaproperty whose values cannot be written.
    Kind { name: Said, kind: Said },
}

impl fmt::Display for CannotCopy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restricted(restriction) => {
                let what = match restriction {
                    Restriction::Limited | Restriction::LimitedFrom(_) => "it is limited, or will be",
                    Restriction::Archived => "it is archived",
                    Restriction::Watermarked => "downloads of it carry the portal's own watermark",
                    Restriction::ArchivedFrom(_)
                    | Restriction::WatermarkedFrom(_)
                    | Restriction::PublishedFrom(_) => "one of its dates cannot be read",
                };
                write!(formatter, "{what}, and a new asset cannot be so from its first moment")
            }
            Self::Tag(tag) => {
                write!(formatter, "its tag \"{tag}\" holds a comma, which would make two tags of it")
            }
            Self::Unknown(name) => {
                write!(formatter, "Bynder does not show the id of its value of the metaproperty {name}")
            }
            Self::Kind { name, kind } => {
                write!(
                    formatter,
                    "its metaproperty {name} is of the kind {kind}, whose values cannot be copied"
                )
            }
        }
    }
}

/// The fields that a copy is saved with, except the connector's own texts in the metaproperties `own`.
///
/// # Errors
/// The copy would not be complete from its first moment.
pub fn copy_fields(
    template: &Template,
    definitions: &[Metaproperty],
    own: &[&str],
    now: Timestamp,
) -> Result<Vec<(String, String)>, CannotCopy> {
    let (asset, words) = (&template.detail.asset, &template.words);
    if let Some(tag) = asset.tags.iter().find(|tag| tag.contains(',')) {
        return Err(CannotCopy::Tag(tag.into()));
    }
    let texts = [
        ("name", asset.name.clone()),
        ("description", words.description.clone()),
        ("copyright", words.copyright.clone()),
        ("brandId", words.brand.clone()),
        ("tags", asset.tags.join(",")),
    ];
    let mut fields: Vec<_> = texts
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    for restriction in &template.restrictions {
        fields.extend(restricted(restriction, now)?);
    }
    // A library may have thousands of options. The first of several definitions counts.
    let by_name: HashMap<_, _> = definitions.iter().rev().map(|known| (&known.name, known)).collect();
    let option_ids: HashSet<_> = asset.option_ids.iter().collect();
    for (name, values) in &asset.properties {
        let Some(definition) = by_name.get(name) else {
            return Err(CannotCopy::Unknown(name.into()));
        };
        if own.contains(&definition.id.as_str()) {
            continue;
        }
        let value = if definition.has_options() {
            let options = definition.options.iter().map(|option| &option.id);
            let chosen: Vec<_> = options.filter(|id| option_ids.contains(id)).map(String::as_str).collect();
            if chosen.len() != values.len() {
                return Err(CannotCopy::Unknown(name.into()));
            }
            chosen.join(",")
        } else if definition.is_text() || definition.kind == "date" {
            values.join(",")
        } else {
            return Err(CannotCopy::Kind { name: name.into(), kind: (&definition.kind).into() });
        };
        fields.push((format!("metaproperty.{}", definition.id), value));
    }
    Ok(fields)
}

/// The field that gives a new asset this restriction, if it needs one.
fn restricted(restriction: &Restriction, now: Timestamp) -> Result<Option<(String, String)>, CannotCopy> {
    let (field, time) = match restriction {
        Restriction::Limited
        | Restriction::LimitedFrom(_)
        | Restriction::Archived
        | Restriction::Watermarked => return Err(CannotCopy::Restricted(restriction.clone())),
        Restriction::ArchivedFrom(time) => ("archiveDate", time),
        Restriction::WatermarkedFrom(time) => ("watermarkDate", time),
        Restriction::PublishedFrom(time) => ("ISOPublicationDate", time),
    };
    let Ok(at) = time.parse::<Timestamp>() else {
        return Err(CannotCopy::Restricted(restriction.clone()));
    };
    // A publication date in the past restricts nothing.
    let past = matches!(restriction, Restriction::PublishedFrom(_)) && at <= now;
    Ok((!past).then(|| (field.to_owned(), time.clone())))
}

/// Names what the copy did not take over; `own` are the names of the connector's own metaproperties.
pub fn differences(original: &Template, copy: &Template, own: &[&str]) -> Vec<&'static str> {
    let (asset, copied) = (&original.detail.asset, &copy.detail.asset);
    let sorted = |values: &[String]| {
        let mut values = values.to_vec();
        values.sort();
        values
    };
    let properties = |template: &Template| {
        let mut properties = template.detail.asset.properties.clone();
        properties.retain(|name, _| !own.contains(&name.as_str()));
        for values in properties.values_mut() {
            values.sort();
        }
        properties
    };
    let dates = |template: &Template| {
        let mut dates = template.restrictions.clone();
        dates.retain(|restriction| !matches!(restriction, Restriction::PublishedFrom(_)));
        dates
    };
    let all = [
        ("name", asset.name == copied.name),
        ("description", original.words.description == copy.words.description),
        ("copyright", original.words.copyright == copy.words.copyright),
        ("brand", original.words.brand == copy.words.brand),
        ("tags", sorted(&asset.tags) == sorted(&copied.tags)),
        ("metaproperties", properties(original) == properties(copy)),
        ("restrictions", dates(original) == dates(copy)),
    ];
    all.into_iter().filter(|(_, same)| !same).map(|(word, _)| word).collect()
}

/// Whether this is the marker of the copy of this asset that holds this file.
pub fn is_copy(marker: &Marker, of: &AssetId, watermarked: ContentHash) -> bool {
    marker.kin() == Some(&Kin::CopyOf(of.clone()))
        && matches!(marker, Marker::Ours(records) if records.iter().any(|record| record.watermarked == watermarked))
}

/// The records of the original once its copy holds the file, without those of the copy's previous file.
pub fn records_of_original(records: Records, record: Record, copy: Kin, before: Option<&Records>) -> Records {
    let records = before.map_or(records.clone(), |before| records.without_those_of(before));
    records.with(record).with_kin(copy)
}

#[cfg(test)]
mod tests;
