use std::collections::BTreeMap;

use common::asset::{Asset, AssetType};
use jiff::Timestamp;

use super::*;

fn asset() -> Asset {
    Asset {
        id: "1F0A9C2E-77B1-4D3C-9E5512AB34CD56EF".parse().unwrap(),
        name: "lake".to_owned(),
        file_name: None,
        kind: AssetType::Image,
        extensions: vec!["tif".to_owned()],
        bytes: 10,
        active_version: Some(1),
        created: Timestamp::UNIX_EPOCH,
        modified: Timestamp::UNIX_EPOCH,
        archived: false,
        tags: vec!["spring".to_owned(), "lake".to_owned()],
        properties: BTreeMap::from([("Country".to_owned(), vec!["France".to_owned()])]),
        option_ids: vec!["O1".to_owned()],
    }
}

fn set(values: &[&str]) -> BTreeSet<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn country(values: &[&str], option_ids: &[&str]) -> PropertyFilter {
    PropertyFilter { name: "Country".to_owned(), values: set(values), option_ids: set(option_ids) }
}

#[test]
fn no_filter_takes_everything() {
    assert_eq!(Filter::default().check(&asset()), Ok(()));
}

#[test]
fn each_filter_leaves_out_what_does_not_match_and_says_so() {
    let table = [
        (Filter { types: [AssetType::Video].into(), ..Filter::default() }, Err(FilteredBy::Types)),
        (Filter { types: [AssetType::Video, AssetType::Image].into(), ..Filter::default() }, Ok(())),
        (Filter { extensions: set(&["jpg"]), ..Filter::default() }, Err(FilteredBy::Extensions)),
        (Filter { extensions: set(&["jpg", "tif"]), ..Filter::default() }, Ok(())),
        (Filter { tags: set(&["autumn"]), ..Filter::default() }, Err(FilteredBy::Tags)),
        (Filter { tags: set(&["autumn", "lake"]), ..Filter::default() }, Ok(())),
        (
            Filter { metaproperties: vec![country(&["Spain"], &["O2"])], ..Filter::default() },
            Err(FilteredBy::Metaproperties),
        ),
        (
            Filter { metaproperties: vec![country(&["Spain", "France"], &["O2"])], ..Filter::default() },
            Ok(()),
        ),
        (Filter { metaproperties: vec![country(&["renamed"], &["O1"])], ..Filter::default() }, Ok(())),
        (
            Filter {
                metaproperties: vec![country(&["France"], &[]), country(&["Spain"], &[])],
                ..Filter::default()
            },
            Err(FilteredBy::Metaproperties),
        ),
        (Filter { ids: vec!["OTHER".parse().unwrap()], ..Filter::default() }, Err(FilteredBy::Ids)),
        (
            Filter {
                ids: vec!["1f0a9c2e-77b1-4d3c-9e55-12ab34cd56ef".parse().unwrap()],
                ..Filter::default()
            },
            Ok(()),
        ),
    ];
    for (filter, wanted) in table {
        assert_eq!(filter.check(&asset()), wanted, "{filter:?}");
    }
}

#[test]
fn what_means_any_here_but_all_to_the_portal_is_not_pushed_down() {
    let filter = Filter {
        tags: set(&["a", "b"]),
        metaproperties: vec![country(&["France", "Spain"], &["O1", "O2"])],
        ..Filter::default()
    };
    let queries = filter.push_down();
    assert_eq!(queries.len(), 1);
    assert!(queries[0].tags.is_empty());
    assert!(queries[0].property_option_ids.is_empty());
}

#[test]
fn many_ids_are_asked_for_in_several_requests() {
    let ids: Vec<AssetId> = (0..250).map(|number| format!("A{number}").parse().unwrap()).collect();
    let filter = Filter { ids: ids.clone(), ..Filter::default() };
    let asked: Vec<_> = filter.push_down().into_iter().flat_map(|query| query.ids).collect();
    assert_eq!(asked, ids);
}
