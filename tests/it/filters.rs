//! Filters: what the portal is asked for never decides more or less than what is decided here.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use bynder::{Bynder, Credential, Gate, ListQuery, Metaproperty, Paused, Settings};
use common::asset::{Asset, AssetType, Orientation};
use common::job::Lane;
use config::DateRange;
use producer::filter::{Filter, Ids, PropertyFilter, Traits};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use telemetry::Metrics;

use crate::harness::{Bench, quick};

#[derive(Debug)]
struct Open;

#[async_trait]
impl Gate for Open {
    async fn admit(&self, _: Lane, calls: u32) -> Result<u32, Paused> {
        Ok(calls)
    }

    fn check(&self) -> Result<(), Paused> {
        Ok(())
    }

    fn refund(&self, _: u32) {}

    fn interval(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }

    fn refused(&self) {}

    fn answered(&self) {}
}

fn client(bench: &Bench) -> Bynder {
    let announcement = bench.sandbox.announcement();
    let settings = Settings {
        portal: announcement.bynder.parse().unwrap(),
        allow_http: false,
        storage_hosts: http_client::LinkHosts::Any,
        credential: Credential::Token(announcement.token.clone().into()),
        request_timeout: std::time::Duration::from_secs(10),
        part_size: 32 << 20,
        parts_at_once: 1,
        observer: Arc::new(Metrics::new()),
    };
    Bynder::new(settings, Arc::new(Open)).unwrap()
}

/// The ids that a query lists, in one page.
async fn listed(bynder: &Bynder, query: ListQuery) -> Vec<Asset> {
    let query = ListQuery { limit: 1000, ..query };
    bynder.list(&query).await.unwrap().assets
}

/// Up to two of what the library has, or of what it has not.
fn some<T: Ord + Clone>(random: &mut StdRng, all: &[T]) -> BTreeSet<T> {
    let count = random.random_range(0..3);
    (0..count).filter_map(|_| all.choose(random).cloned()).collect()
}

fn texts(random: &mut StdRng, all: &[&str]) -> BTreeSet<String> {
    some(random, all).into_iter().map(str::to_owned).collect()
}

fn traits(random: &mut StdRng, library: &[Asset], countries: &Metaproperty) -> Traits {
    let brands: Vec<_> = library.iter().filter_map(|asset| asset.brand_id.clone()).collect();
    let values = texts(random, &["France", "Belgium"]);
    let option =
        |name: &String| countries.options.iter().find(|option| &option.name == name).unwrap().id.clone();
    let option_ids = values.iter().map(option).collect();
    let wanted =
        (!values.is_empty()).then(|| PropertyFilter { name: countries.name.clone(), values, option_ids });
    let metaproperties = wanted.into_iter().collect();
    let ids: Vec<_> = library.iter().map(|asset| asset.id.as_str().to_owned()).collect();
    let patterns = texts(random, &["*.jpg", "00*", "?1*", "*LAND*"]);
    Traits {
        types: some(random, &[AssetType::Image, AssetType::Video, AssetType::Audio]),
        extensions: texts(random, &["jpg", "png", "tif"]),
        brands: some(random, &brands),
        tags: texts(random, &["spring", "autumn", "landscape"]),
        metaproperties,
        names: patterns.iter().map(|text| text.parse().unwrap()).collect(),
        ids: if random.random_ratio(1, 4) {
            ids.sample(random, 20).map(|id| id.parse().unwrap()).collect()
        } else {
            Ids::default()
        },
    }
}

fn filter(random: &mut StdRng, library: &[Asset], countries: &Metaproperty) -> Filter {
    let maybe = |random: &mut StdRng| random.random_ratio(1, 4).then(|| random.random());
    let (one, other) = (random.random_range(0..library.len()), random.random_range(0..library.len()));
    let range = DateRange { from: Some(library[one].created), before: Some(library[other].created) };
    // Each of several wishes leaves little; so most of them are not made.
    let mut include = traits(random, library, countries);
    let kept = random.random_range(0..7);
    let none = Traits::default();
    include = match kept {
        0 => Traits { types: include.types, tags: include.tags, ..none },
        1 => Traits { extensions: include.extensions, brands: include.brands, ..none },
        2 => Traits { metaproperties: include.metaproperties, ..none },
        3 => Traits { names: include.names, ..none },
        4 => Traits { ids: include.ids, ..none },
        _ => none,
    };
    let exclude =
        if random.random_ratio(1, 3) { traits(random, library, countries) } else { Traits::default() };
    Filter {
        include,
        exclude,
        created: random.random_ratio(1, 4).then_some(range),
        size: (random.random_ratio(1, 4).then_some(4000), random.random_ratio(1, 4).then_some(40_000)),
        public: random.random_ratio(1, 8).then_some(false),
        archived: maybe(random),
        limited: maybe(random),
        orientation: some(random, &[Orientation::Landscape, Orientation::Portrait, Orientation::Square]),
        ..Filter::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_down_selects_neither_less_nor_more_than_deciding_here() {
    let seed = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let bench = Bench::new(sandbox::Options { assets: 90, ..quick() }).await;
    let bynder = client(&bench);
    let everything = ListQuery { include_versions: true, ..ListQuery::default() };
    let library = listed(&bynder, everything).await;
    let known = bynder.metaproperties().await.unwrap();
    let countries = known.iter().find(|property| property.name == "Country").unwrap();
    let (mut narrowed, mut selected) = (0, 0);
    for _ in 0..300 {
        let filter = filter(&mut random, &library, countries);
        let passes = |asset: &&Asset| filter.check(asset).is_ok();
        let here: BTreeSet<_> = library.iter().filter(passes).map(|asset| asset.id.clone()).collect();
        let mut pushed = Vec::new();
        for query in filter.push_down().iter() {
            pushed.extend(listed(&bynder, query).await);
        }
        narrowed += usize::from(pushed.len() < library.len());
        let both: BTreeSet<_> = pushed.iter().filter(passes).map(|asset| asset.id.clone()).collect();
        assert_eq!(both, here, "{filter:?}");
        selected += here.len();
    }
    // The portal did decide something, and something was left to select.
    assert!(narrowed > 100 && selected > 300, "{narrowed} {selected}");
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_of_every_kind_are_taken_from_the_command_line_and_wrong_ones_named() {
    let bench = Bench::new(sandbox::Options { assets: 60, ..quick() }).await;
    let plan = async |filters: &[&str]| {
        let mut arguments = vec!["plan", "--full", "--json"];
        arguments.extend(filters.iter().flat_map(|filter| ["--filter", filter]));
        bench.run(&arguments).await
    };
    for filters in [
        &["brands=Nordlicht", "exclude.types=video"][..],
        &["names=*.jpg,*.png", "min_size=1KB", "max_size=1 GiB"],
        &["created=2001-01-01..", "modified=..2099-12-31", "orientation=portrait,square"],
        &["limited=false", "archived=false", "public=false", "keyword=landscape"],
        &["exclude.names=00*", "exclude.tags=spring", "exclude.metaproperties.Country=France"],
    ] {
        let planned = plan(filters).await.assert_code(0).summary();
        let listed = planned["selected"].as_u64().unwrap();
        assert!(listed > 0 && listed < 48, "{filters:?}: {planned}");
    }
    for (filter, said) in [
        ("brands=Nordlich", "did you mean \"Nordlicht\"?"),
        (
            "exclude.brands=Akme",
            "filters.exclude.brands: \"Akme\" is unknown to the portal; did you mean \"Acme\"?",
        ),
        ("created=yesterday", "is not a date range; write FROM..TO"),
        ("modified=2024-02-01..2024-01-01", "ends before it begins"),
        ("min_size=big", "filters.min_size"),
        ("public=maybe", "filters.public"),
        ("orientation=upright", "filters.orientation"),
        ("names=[", "filters.names: \"[\" is not a pattern"),
        ("exclude.metaproperties.Contry=France", "did you mean \"Country\"?"),
        ("exclude.collections=Spring", "unknown"),
    ] {
        let refused = plan(&[filter]).await;
        assert!(refused.assert_code(3).talk.contains(said), "{filter}: {refused:?}");
    }
}
