use std::collections::BTreeMap;

use common::asset::{Asset, AssetType, Orientation};
use jiff::Timestamp;

use super::*;

fn asset() -> Asset {
    Asset {
        id: "1F0A9C2E-77B1-4D3C-9E5512AB34CD56EF".parse().unwrap(),
        name: "lake".to_owned(),
        file_name: Some("scan_07.TIF".to_owned()),
        kind: AssetType::Image,
        extensions: vec!["tif".to_owned()],
        bytes: 10,
        active_version: Some(1),
        created: Timestamp::UNIX_EPOCH,
        modified: Timestamp::UNIX_EPOCH,
        archived: false,
        public: false,
        limited: false,
        brand_id: Some("B-1".to_owned()),
        orientation: Some(Orientation::Landscape),
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

fn including(include: Traits) -> Filter {
    Filter { include, ..Filter::default() }
}

/// Each trait by itself: the filter that excluded, whether the asset has the trait, and the trait.
fn traits() -> Vec<(FilteredBy, bool, Traits)> {
    let pattern = |text: &str| vec![Pattern::new(text).unwrap()];
    let ids = |text: &str| Ids::from_iter([text.parse().unwrap()]);
    let none = Traits::default;
    vec![
        (FilteredBy::Types, false, Traits { types: [AssetType::Video].into(), ..none() }),
        (FilteredBy::Types, true, Traits { types: [AssetType::Video, AssetType::Image].into(), ..none() }),
        (FilteredBy::Extensions, false, Traits { extensions: set(&["jpg"]), ..none() }),
        (FilteredBy::Extensions, true, Traits { extensions: set(&["jpg", "tif"]), ..none() }),
        (FilteredBy::Brands, false, Traits { brands: set(&["B-2"]), ..none() }),
        (FilteredBy::Brands, true, Traits { brands: set(&["b1", "B-2"]), ..none() }),
        (FilteredBy::Tags, false, Traits { tags: set(&["autumn"]), ..none() }),
        (FilteredBy::Tags, true, Traits { tags: set(&["autumn", "lake"]), ..none() }),
        (FilteredBy::Names, false, Traits { names: pattern("lak"), ..none() }),
        (FilteredBy::Names, true, Traits { names: pattern("LA*"), ..none() }),
        (FilteredBy::Names, true, Traits { names: pattern("*_0?.tif"), ..none() }),
        (FilteredBy::Ids, false, Traits { ids: ids("OTHER"), ..none() }),
        (FilteredBy::Ids, true, Traits { ids: ids("1f0a9c2e-77b1-4d3c-9e55-12ab34cd56ef"), ..none() }),
        (
            FilteredBy::Metaproperties,
            false,
            Traits { metaproperties: vec![country(&["Spain"], &["O2"])], ..none() },
        ),
        (
            FilteredBy::Metaproperties,
            true,
            Traits { metaproperties: vec![country(&["Spain", "France"], &["O2"])], ..none() },
        ),
        (
            FilteredBy::Metaproperties,
            true,
            Traits { metaproperties: vec![country(&["renamed"], &["O1"])], ..none() },
        ),
    ]
}

#[test]
fn each_trait_that_is_wanted_leaves_out_what_does_not_have_it_and_says_so() {
    for (by, is_its_own, wanted) in traits() {
        let checked = including(wanted).check(&asset());
        assert_eq!(checked, if is_its_own { Ok(()) } else { Err(by) });
    }
    let both = vec![country(&["France"], &[]), country(&["Spain"], &[])];
    let both = including(Traits { metaproperties: both, ..Traits::default() });
    assert_eq!(both.check(&asset()), Err(FilteredBy::Metaproperties));
}

#[test]
fn each_trait_that_is_unwanted_leaves_out_what_has_it() {
    for (by, is_its_own, unwanted) in traits() {
        let filter = Filter { exclude: unwanted, ..Filter::default() };
        let wanted = if is_its_own { Err(FilteredBy::Exclude) } else { Ok(()) };
        assert_eq!(filter.check(&asset()), wanted, "{by:?}");
    }
}

#[test]
fn each_limit_leaves_out_what_lies_beyond_it() {
    let none = Filter::default;
    let range = |text: &str| Some(DateRange::try_from(text.to_owned()).unwrap());
    let table = [
        (Filter { created: range("1970-01-01..1970-01-01"), ..none() }, Ok(())),
        (Filter { created: range("1970-01-02.."), ..none() }, Err(FilteredBy::Created)),
        (Filter { modified: range("..1969-12-31"), ..none() }, Err(FilteredBy::Modified)),
        (Filter { size: (Some(10), Some(10)), ..none() }, Ok(())),
        (Filter { size: (Some(11), None), ..none() }, Err(FilteredBy::Size)),
        (Filter { size: (None, Some(9)), ..none() }, Err(FilteredBy::Size)),
        (Filter { public: Some(false), archived: Some(false), limited: Some(false), ..none() }, Ok(())),
        (Filter { public: Some(true), ..none() }, Err(FilteredBy::Public)),
        (Filter { archived: Some(true), ..none() }, Err(FilteredBy::Archived)),
        (Filter { limited: Some(true), ..none() }, Err(FilteredBy::Limited)),
        (Filter { orientation: [Orientation::Landscape].into(), ..none() }, Ok(())),
        (Filter { orientation: [Orientation::Square].into(), ..none() }, Err(FilteredBy::Orientation)),
    ];
    for (filter, wanted) in table {
        assert_eq!(filter.check(&asset()), wanted, "{filter:?}");
    }
}

#[test]
fn what_means_any_here_but_all_to_the_portal_is_not_pushed_down() {
    let filter = including(Traits {
        tags: set(&["a", "b"]),
        brands: set(&["B1", "B2"]),
        metaproperties: vec![country(&["France", "Spain"], &["O1", "O2"])],
        ..Traits::default()
    });
    let queries: Vec<_> = filter.push_down().iter().collect();
    assert_eq!(queries.len(), 1);
    assert!(queries[0].tags.is_empty() && queries[0].brand_id.is_none());
    assert!(queries[0].property_option_ids.is_empty());
}

#[test]
fn many_ids_are_asked_for_in_several_requests() {
    let ids: Vec<AssetId> = (0..250).map(|number| format!("A{number}").parse().unwrap()).collect();
    let filter = including(Traits { ids: ids.iter().cloned().collect(), ..Traits::default() });
    let asked: Vec<_> = filter.push_down().iter().flat_map(|query| query.ids).collect();
    assert_eq!(asked, ids);
}

#[test]
fn each_of_a_hundred_thousand_ids_is_found_at_once_in_either_form() {
    let written: Vec<AssetId> =
        (0..100_000).map(|n| format!("{n:08X}-AB-{n:04X}").parse().unwrap()).collect();
    let filter = including(Traits { ids: written.iter().cloned().collect(), ..Traits::default() });
    for n in 0..100_000 {
        let id = format!("{n:08x}ab{n:04x}").parse().unwrap();
        assert_eq!(filter.check(&Asset { id, ..asset() }), Ok(()));
    }
    assert_eq!(filter.check(&asset()), Err(FilteredBy::Ids));
    let few: Ids = written[..2].iter().cloned().collect();
    assert_eq!(
        format!("{few:?}"),
        format!("{:?}", &written[..2]),
        "the recorded fingerprints are of the list"
    );
}

#[test]
fn of_a_name_that_the_portal_suggests_only_prose_is_shown() {
    let said = |nearest: &str| {
        let [key, name] = ["filters.brands", "Acme"].map(str::to_owned);
        ResolveError::Unknown { key, name, nearest: Some(nearest.to_owned()) }.to_string()
    };
    assert!(said("Acme France").ends_with("did you mean \"Acme France\"?"), "{}", said("Acme France"));
    let link = said("Acme https://x.example/f.jpg?X-Amz-Signature=s3cr3tS1gn4ture0123");
    assert!(!link.contains("s3cr3t") && !link.contains("x.example"), "{link}");
}
