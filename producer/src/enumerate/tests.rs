use std::collections::HashSet;
use std::time::Duration;

use common::asset::{Asset, samples};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::keyset::{NotWalkable, Position};

fn asset(number: usize, second: i64) -> Asset {
    let at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second);
    Asset { id: format!("A{number}").parse().unwrap(), created: at, modified: at, ..samples::asset() }
}

/// A portal that lists the rows above the bound, sorted, page by page.
fn list(library: &[Asset], position: &Position, limit: usize, inclusive: bool) -> Vec<Asset> {
    let above = |asset: &&Asset| {
        position.from.is_none_or(|from| if inclusive { asset.created >= from } else { asset.created > from })
    };
    let rows = library.iter().filter(above).skip((position.page as usize - 1) * limit);
    rows.take(limit).cloned().collect()
}

const LAG: Duration = Duration::from_mins(15);

/// Walks the whole library. Returns the ids in the order found, and the number of requests. After each page,
/// `leaves` of the rows found so far leave the listing, as when workers change them.
fn walk_while(library: Vec<Asset>, limit: usize, inclusive: bool, leaves: usize) -> (Vec<String>, usize) {
    walk_killed(library, limit, inclusive, leaves, None)
}

/// The same, with the process killed after this page.
fn walk_killed(
    mut library: Vec<Asset>,
    limit: usize,
    inclusive: bool,
    leaves: usize,
    killed: Option<usize>,
) -> (Vec<String>, usize) {
    let (mut found, mut requests) = (Vec::new(), 0);
    let mut position = Some(Position::start());
    while let Some(current) = position {
        let rows = list(&library, &current, limit, inclusive);
        let count = rows.len();
        let (fresh, next) = current.advance(rows, count, LAG, |asset| asset.created).unwrap();
        found.extend(fresh.into_iter().map(|asset| asset.id.to_string()));
        let mut left = 0;
        library.retain(|asset| {
            let stays = left == leaves || !found.contains(&asset.id.to_string());
            left += usize::from(!stays);
            stays
        });
        position = next;
        requests += 1;
        if killed == Some(requests) {
            position = serde_json::from_str(&serde_json::to_string(&position).unwrap()).unwrap();
        }
        assert!(requests < 10_000, "the walk does not end");
    }
    (found, requests)
}

fn walk(library: &[Asset], limit: usize, inclusive: bool) -> (Vec<String>, usize) {
    walk_while(library.to_vec(), limit, inclusive, 0)
}

proptest! {
    #[test]
    fn every_asset_is_found_exactly_once(
        mut seconds in prop::collection::vec(0_i64..30, 0..200),
        limit in 1_usize..12,
        inclusive: bool,
        leaves in 0_usize..9,
    ) {
        seconds.sort_unstable();
        let library: Vec<_> = seconds.into_iter().enumerate().map(|(number, second)| asset(number, second)).collect();
        let (found, _) = walk_while(library.clone(), limit, inclusive, leaves);
        let unique: HashSet<_> = found.iter().collect();
        prop_assert_eq!(unique.len(), found.len());
        prop_assert_eq!(found.len(), library.len());
    }

    #[test]
    fn every_asset_is_found_by_a_walk_that_is_killed_and_resumed(
        mut seconds in prop::collection::vec(0_i64..30, 0..200),
        limit in 1_usize..12,
        inclusive: bool,
        leaves in 0_usize..9,
        killed in 1_usize..60,
    ) {
        seconds.sort_unstable();
        let library: Vec<_> = seconds.into_iter().enumerate().map(|(number, second)| asset(number, second)).collect();
        let (found, _) = walk_killed(library.clone(), limit, inclusive, leaves, Some(killed));
        prop_assert_eq!(found.into_iter().collect::<HashSet<_>>().len(), library.len());
    }
}

#[test]
fn more_rows_in_one_second_than_a_page_holds_are_paged() {
    let library: Vec<_> = (0..57).map(|number| asset(number, 5)).collect();
    assert_eq!(walk(&library, 10, true).0.len(), 57);
}

#[test]
fn rows_of_one_second_that_do_not_end_are_refused() {
    let page = |from: usize, count: usize| (from..from + count).map(|number| asset(number, 5)).collect();
    let advance = |position: Position, rows: Vec<Asset>| {
        let count = rows.len();
        position.advance(rows, count, LAG, |asset| asset.created)
    };
    let (_, most) = advance(Position::start(), page(0, 200_000)).unwrap();
    let refused = advance(most.unwrap(), page(200_000, 1)).unwrap_err();
    let said = refused.to_string();
    assert!(said.contains("more than 200000 assets within a second of 1970-01-01T00:00:04Z"), "{said}");
}

#[test]
fn pages_overlap_by_a_second_and_no_more() {
    let library: Vec<_> = (0..1000).map(|number| asset(number, number as i64 * 10)).collect();
    let (found, requests) = walk(&library, 100, true);
    assert_eq!(found.len(), 1000);
    assert!(requests <= 14, "{requests}");
}

#[test]
fn a_walk_that_finds_nothing_is_one_request_and_only_an_empty_page_ends_one() {
    assert_eq!(walk(&[], 10, true), (Vec::new(), 1));
    // The page; the last second again, the page after that, and back.
    assert_eq!(walk(&[asset(1, 3), asset(2, 9)], 10, true).1, 4);
}

#[test]
fn a_row_is_tolerated_that_is_out_of_order_by_the_lag_and_none_that_is_by_more() {
    let rows = vec![asset(1, 900), asset(2, 0), asset(3, 901)];
    let (fresh, _) = Position::start().advance(rows, 3, LAG, |asset| asset.created).unwrap();
    assert_eq!(fresh.len(), 3);
    let rows = vec![asset(1, 901), asset(2, 900), asset(3, 0)];
    let refused = Position::start().advance(rows, 3, LAG, |asset| asset.created);
    assert!(matches!(refused, Err(NotWalkable::Unsorted { .. })));
}

#[test]
fn a_portal_that_knows_no_pages_is_found_out() {
    let rows = vec![asset(1, 5), asset(2, 5)];
    let mut position = Position::start();
    let refused =
        (0..9).find_map(|_| match position.clone().advance(rows.clone(), 2, LAG, |asset| asset.created) {
            Ok((_, next)) => {
                position = next.unwrap();
                None
            }
            Err(error) => Some(error),
        });
    assert!(matches!(refused, Some(NotWalkable::Endless(_))), "{position:?}");
}

#[test]
fn a_portal_whose_rows_cannot_be_read_is_not_said_to_repeat_them() {
    let advance = |position: Position| position.advance(Vec::new(), 2, LAG, |asset| asset.created);
    let (_, second) = advance(Position::start()).unwrap();
    let refused = advance(second.unwrap()).unwrap_err();
    assert!(matches!(refused, NotWalkable::Unreadable(2)), "{refused}");
    assert!(refused.to_string().contains("cannot be read, up to page 2"), "{refused}");
}

#[test]
fn a_position_of_the_release_before_is_continued_from_its_bound() {
    let text =
        r#"{"from":"2026-01-02T03:04:05Z","page":3,"seen":{"A1":"2026-01-02T03:04:05Z"},"back":"end"}"#;
    let position: Position = serde_json::from_str(text).unwrap();
    let from = Some("2026-01-02T03:04:05Z".parse().unwrap());
    assert_eq!(position, Position { from, ..Position::start() });
}

#[test]
fn what_is_written_of_a_walk_is_as_short_among_many_equal_dates_as_anywhere() {
    let library: Vec<_> = (0..10_000).map(|number| asset(number, 5)).collect();
    let (mut position, mut pages, mut written) = (Some(Position::start()), 0, 0);
    while let Some(current) = position {
        let rows = list(&library, &current, 100, true);
        let count = rows.len();
        position = current.advance(rows, count, LAG, |asset| asset.created).unwrap().1;
        written += serde_json::to_string(&position).unwrap().len();
        pages += 1;
    }
    assert!(pages > 200 && written < pages * 50, "{written} bytes for {pages} pages");
}
