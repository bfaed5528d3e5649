use std::collections::HashSet;

use common::asset::{Asset, samples};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::keyset::Position;

fn asset(number: usize, second: i64) -> Asset {
    let at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second);
    Asset { id: format!("A{number}").parse().unwrap(), created: at, modified: at, ..samples::asset() }
}

/// A portal that lists what lies above the bound, sorted, page by page.
fn list(library: &[Asset], position: &Position, limit: usize, inclusive: bool) -> Vec<Asset> {
    let above = |asset: &&Asset| {
        position.from.is_none_or(|from| if inclusive { asset.created >= from } else { asset.created > from })
    };
    let rows = library.iter().filter(above).skip((position.page as usize - 1) * limit);
    rows.take(limit).cloned().collect()
}

/// Walks the whole library; the ids in the order found, and how many requests it took.
fn walk(library: &[Asset], limit: usize, inclusive: bool) -> (Vec<String>, usize) {
    let (mut found, mut requests) = (Vec::new(), 0);
    let mut position = Some(Position::start());
    while let Some(current) = position {
        let rows = list(library, &current, limit, inclusive);
        let count = rows.len();
        let (fresh, next) = current.advance(rows, count, limit, |asset| asset.created).unwrap();
        found.extend(fresh.into_iter().map(|asset| asset.id.to_string()));
        position = next;
        requests += 1;
        assert!(requests < 10_000, "the walk does not end");
    }
    (found, requests)
}

proptest! {
    #[test]
    fn every_asset_is_found_exactly_once(
        mut seconds in prop::collection::vec(0_i64..30, 0..200),
        limit in 2_usize..12,
        inclusive: bool,
    ) {
        seconds.sort_unstable();
        let library: Vec<_> = seconds.into_iter().enumerate().map(|(number, second)| asset(number, second)).collect();
        let (found, _) = walk(&library, limit, inclusive);
        let unique: HashSet<_> = found.iter().collect();
        prop_assert_eq!(unique.len(), found.len());
        prop_assert_eq!(found.len(), library.len());
    }
}

#[test]
fn more_rows_in_one_second_than_a_page_holds_are_paged() {
    let library: Vec<_> = (0..57).map(|number| asset(number, 5)).collect();
    assert_eq!(walk(&library, 10, true).0.len(), 57);
}

#[test]
fn pages_overlap_by_a_second_and_no_more() {
    let library: Vec<_> = (0..1000).map(|number| asset(number, number as i64 * 10)).collect();
    let (found, requests) = walk(&library, 100, true);
    assert_eq!(found.len(), 1000);
    assert!(requests <= 12, "{requests}");
}

#[test]
fn a_listing_that_is_not_sorted_stops_the_run() {
    let rows = vec![asset(1, 9), asset(2, 3)];
    assert!(Position::start().advance(rows, 2, 10, |asset| asset.created).is_err());
}

#[test]
fn a_position_survives_being_written_down() {
    let rows: Vec<_> = (0..10).map(|number| asset(number, 5)).collect();
    let (_, next) = Position::start().advance(rows, 10, 10, |asset| asset.created).unwrap();
    let next = next.unwrap();
    let text = serde_json::to_string(&next).unwrap();
    assert_eq!(serde_json::from_str::<Position>(&text).unwrap(), next);
}
