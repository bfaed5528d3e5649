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
mod tests {
    use std::collections::BTreeMap;

    use bynder::Words;
    use common::asset::{Asset, AssetType, FileVersion};
    use common::hash::ContentHash;

    use super::*;

    fn template() -> Template {
        let version =
            FileVersion { number: 1, active: Some(true), bytes: Some(400), file_name: None, added: None };
        let properties =
            [("Country", vec!["France", "Belgium"]), ("Source", vec!["x, y"]), ("Imatag", vec!["text"])];
        let texts = |values: Vec<&str>| values.into_iter().map(str::to_owned).collect::<Vec<_>>();
        let asset = Asset {
            id: "A".parse().unwrap(),
            name: "lake".to_owned(),
            file_name: None,
            kind: AssetType::Image,
            extensions: Vec::new(),
            bytes: 400,
            active_version: Some(1),
            created: Timestamp::UNIX_EPOCH,
            modified: Timestamp::UNIX_EPOCH,
            archived: false,
            brand_id: None,
            limited: false,
            orientation: None,
            public: false,
            tags: vec!["spring".to_owned(), "lake".to_owned()],
            properties: properties
                .map(|(name, values)| (name.to_owned(), texts(values)))
                .into_iter()
                .collect(),
            option_ids: vec!["F".to_owned(), "B".to_owned(), "other".to_owned()],
        };
        let words =
            Words { description: String::new(), copyright: "c".to_owned(), brand: "BRAND".to_owned() };
        let detail = AssetDetail { asset, versions: vec![version] };
        Template { detail, words, restrictions: Vec::new(), additional: Vec::new() }
    }

    fn definitions() -> Vec<Metaproperty> {
        let options = r#"[{"id":"F","name":"France"},{"id":"B","name":"Belgium"},{"id":"C","name":"Chad"}]"#;
        let text = format!(
            r#"[{{"id":"1","name":"Country","type":"select2","options":{options}}},
                {{"id":"2","name":"Source","type":"text"}},{{"id":"3","name":"Imatag","type":"text"}}]"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn fields(template: &Template) -> Result<BTreeMap<String, String>, CannotCopy> {
        let fields = copy_fields(template, &definitions(), &["3"], Timestamp::UNIX_EPOCH)?;
        Ok(fields.into_iter().collect())
    }

    #[test]
    fn a_copy_has_everything_but_the_connectors_own_texts() {
        let wanted = [
            ("name", "lake"),
            ("copyright", "c"),
            ("brandId", "BRAND"),
            ("tags", "spring,lake"),
            ("metaproperty.1", "F,B"),
            ("metaproperty.2", "x, y"),
        ];
        let wanted = wanted.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(fields(&template()), Ok(BTreeMap::from(wanted)));
    }

    #[test]
    fn what_a_copy_cannot_have_from_its_first_moment_refuses_it() {
        let time = "2030-01-01T00:00:00Z".to_owned();
        let with = |restriction| fields(&Template { restrictions: vec![restriction], ..template() });
        for restriction in [
            Restriction::Limited,
            Restriction::LimitedFrom(time.clone()),
            Restriction::Archived,
            Restriction::Watermarked,
            Restriction::ArchivedFrom("soon".to_owned()),
        ] {
            assert_eq!(with(restriction.clone()), Err(CannotCopy::Restricted(restriction)));
        }
        for (restriction, field) in [
            (Restriction::ArchivedFrom(time.clone()), "archiveDate"),
            (Restriction::WatermarkedFrom(time.clone()), "watermarkDate"),
            (Restriction::PublishedFrom(time.clone()), "ISOPublicationDate"),
        ] {
            assert_eq!(with(restriction).unwrap().get(field), Some(&time));
        }
        let published = with(Restriction::PublishedFrom("1960-01-01T00:00:00Z".to_owned())).unwrap();
        assert!(!published.contains_key("ISOPublicationDate"));
        let mut odd = template();
        odd.detail.asset.tags.push("a,b".to_owned());
        assert_eq!(fields(&odd), Err(CannotCopy::Tag("a,b".into())));
        let mut newer = template();
        newer.detail.asset.properties.insert("Country".to_owned(), vec!["Nauru".to_owned(); 3]);
        assert_eq!(fields(&newer), Err(CannotCopy::Unknown("Country".into())));
        let mut unknown = template();
        unknown.detail.asset.properties.insert("Newest".to_owned(), vec!["1".to_owned()]);
        assert_eq!(fields(&unknown), Err(CannotCopy::Unknown("Newest".into())));
    }

    #[test]
    fn what_a_refusal_says_of_the_portals_texts_is_short_prose() {
        let link = || format!("a,https://bucket.example/o.jpg?sig=s3cr3tS1gnature {}", "A".repeat(9000));
        for refusal in [
            CannotCopy::Tag(link().into()),
            CannotCopy::Unknown(link().into()),
            CannotCopy::Kind { name: link().into(), kind: link().into() },
        ] {
            let said = refusal.to_string();
            assert!(!said.contains("bucket.example") && !said.contains("s3cr3t"), "{said}");
            assert!(said.len() < 1000, "{}", said.len());
        }
    }

    /// With comparisons of each option with each id, this takes a minute.
    #[test]
    fn many_options_and_ids_are_compared_in_an_instant() {
        const MANY: usize = 60_000;
        let mut large = template();
        large.detail.asset.option_ids = (0..MANY).map(|id| format!("of-another-metaproperty-{id}")).collect();
        large.detail.asset.option_ids.extend(["F".to_owned(), "B".to_owned()]);
        let options: Vec<_> = (0..MANY).map(|id| serde_json::json!({"id": format!("option-{id}")})).collect();
        let mut definitions = definitions();
        let more = serde_json::json!({"id": "4", "name": "Large", "type": "select2", "options": options});
        definitions.push(serde_json::from_value(more).unwrap());
        large.detail.asset.properties.insert("Large".to_owned(), vec!["1".to_owned()]);
        large.detail.asset.option_ids.push("option-7".to_owned());
        let started = std::time::Instant::now();
        let fields = copy_fields(&large, &definitions, &["3"], Timestamp::UNIX_EPOCH).unwrap();
        assert!(fields.contains(&("metaproperty.4".to_owned(), "option-7".to_owned())));
        assert!(started.elapsed() < std::time::Duration::from_secs(5), "{:?}", started.elapsed());
    }

    #[test]
    fn what_a_copy_did_not_keep_is_named() {
        let mut copy = template();
        assert_eq!(differences(&template(), &copy, &["Imatag"]), Vec::<&str>::new());
        copy.detail.asset.tags.reverse();
        copy.detail.asset.properties.remove("Imatag");
        assert_eq!(differences(&template(), &copy, &["Imatag"]), Vec::<&str>::new());
        copy.detail.asset.properties.remove("Source");
        copy.words.brand.clear();
        assert_eq!(differences(&template(), &copy, &["Imatag"]), ["brand", "metaproperties"]);
    }

    #[test]
    fn a_copy_is_known_by_its_original_and_by_its_file() {
        let hash = |byte| ContentHash::from_bytes([byte; 32]);
        let record = Record { original: hash(1), watermarked: hash(2), version: 1, bytes: 400 };
        let is = |text: String| is_copy(&Marker::parse(Some(&text)), &"A".parse().unwrap(), hash(2));
        assert!(is(format!("copy-of A; {record}")));
        assert!(!is(format!("copy-of B; {record}")));
        assert!(!is(format!("copied-to A; {record}")));
        assert!(!is(record.to_string()));
        assert!(!is(format!("copy-of A; {}", Record { watermarked: hash(3), ..record })));
    }

    #[test]
    fn an_original_is_gone_on_with_only_while_nobody_worked_on_it() {
        let hash = |byte| ContentHash::from_bytes([byte; 32]);
        let record = Record { original: hash(1), watermarked: hash(2), version: 1, bytes: 400 };
        let check = |record: &Record, marker: &str| {
            check_original(record, &template().detail, &Marker::parse(Some(marker)))
        };
        assert_eq!(check(&record, ""), OriginalCheck::Untouched(Records::default()));
        assert_eq!(check(&record, &record.to_string()), OriginalCheck::Done);
        assert_eq!(check(&record, "opted-out; "), OriginalCheck::OptedOut);
        assert_eq!(check(&record, "hands off"), OriginalCheck::Foreign("hands off".to_owned()));
        let other = Record { version: 2, ..record };
        assert!(matches!(check(&other, ""), OriginalCheck::Restart { base: 1, top: 1, .. }));
    }
}
