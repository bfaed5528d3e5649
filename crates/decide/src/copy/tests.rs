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
        properties: properties.map(|(name, values)| (name.to_owned(), texts(values))).into_iter().collect(),
        option_ids: vec!["F".to_owned(), "B".to_owned(), "other".to_owned()],
    };
    let words = Words { description: String::new(), copyright: "c".to_owned(), brand: "BRAND".to_owned() };
    let detail = AssetDetail { asset, versions: vec![version] };
    Template { detail, words, restrictions: Vec::new(), additional: Vec::new() }
}

fn definitions() -> Vec<Metaproperty> {
    let options = r#"[{"id":"F","name":"France"},{"id":"B","name":"Belgium"},{"id":"C","name":"Chad"}]"#;
    let text = format!(
        r#"[{{"id":"1","name":"Country","type":"select2","options":{options}}},
            {{"id":"2","name":"Source","type":"text"}},{{"id":"3","name":"Imatag","type":"text"}},
            {{"id":"4","name":"Taken","type":"date"}},{{"id":"5","name":"Place","type":"geo"}}]"#
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
fn a_date_is_copied_and_a_kind_of_value_that_cannot_be_written_refuses_the_copy() {
    let with = |name: &str| {
        let mut template = template();
        template.detail.asset.properties.insert(name.to_owned(), vec!["1".to_owned()]);
        fields(&template)
    };
    assert_eq!(with("Taken").unwrap()["metaproperty.4"], "1");
    assert_eq!(with("Place"), Err(CannotCopy::Kind { name: "Place".into(), kind: "geo".into() }));
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
    let archived = CannotCopy::Restricted(Restriction::Archived).to_string();
    assert_eq!(archived, "it is archived, and a new asset cannot be so from its first moment");
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
    let changed = |copy: &mut Template, name: &str| {
        copy.detail.asset.properties.insert(name.to_owned(), vec!["other".to_owned()])
    };
    changed(&mut copy, "Imatag");
    assert_eq!(differences(&template(), &copy, &["Imatag"]), Vec::<&str>::new());
    changed(&mut copy, "Source");
    assert_eq!(differences(&template(), &copy, &["Imatag"]), ["metaproperties"]);
    copy.detail.asset.properties.remove("Source");
    copy.words.brand.clear();
    assert_eq!(differences(&template(), &copy, &["Imatag"]), ["brand", "metaproperties"]);
    let restricted = |of: fn(String) -> Restriction| {
        let copy = Template { restrictions: vec![of("2030-01-01T00:00:00Z".to_owned())], ..template() };
        differences(&template(), &copy, &["Imatag"])
    };
    assert_eq!(restricted(Restriction::ArchivedFrom), ["restrictions"]);
    assert_eq!(restricted(Restriction::PublishedFrom), Vec::<&str>::new(), "one in the past is not copied");
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

#[test]
fn an_original_keeps_its_records_but_for_those_of_its_copys_previous_file() {
    let hash = |byte| ContentHash::from_bytes([byte; 32]);
    let record =
        |file, version| Record { original: hash(file), watermarked: hash(file + 100), version, bytes: 400 };
    let (old, other, new) = (record(1, 1), record(2, 2), record(3, 3));
    let (records, tie) = (Records::default().with(old).with(other), Kin::CopiedTo("C".parse().unwrap()));
    let kept = |before| {
        let records = records_of_original(records.clone(), new, tie.clone(), before);
        assert_eq!(records.kin(), Some(&tie));
        records.iter().copied().collect::<Vec<_>>()
    };
    assert_eq!(kept(None), [new, other, old]);
    assert_eq!(kept(Some(&Records::default().with(record(1, 1)))), [new, other]);
}
