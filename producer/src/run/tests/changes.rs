//! Runs over what changed.

use bynder::MOST_IDS;
use common::outcome::{FailureClass, Outcome};

use super::super::*;
use super::portal::{at, marked, row};
use super::scene::{Scene, failed, skipped};
use queue::Depth;

fn since(second: i64) -> Options {
    Options { scope: Scope::Since(at(second)), ..Options::default() }
}

/// As a schedule runs it: at most this many jobs of the fresh lane may wait for a worker.
fn scheduled(most_fresh: u64) -> Options {
    Options { most_fresh: Some(most_fresh), ..since(0) }
}

async fn cursor(scene: &Scene) -> Option<Timestamp> {
    scene.environment.ledger.cursor().await.unwrap()
}

#[tokio::test]
async fn a_delta_run_publishes_what_changed_since_in_the_fresh_lane_and_begins_with_its_first_page() {
    let scene = Scene::new().await;
    scene.portal.has([row("A1", 1), row("A2", 2)]);
    let report = scene.run(&since(2)).await;
    let jobs = scene.taken();
    assert_eq!((report.mode, jobs.len(), jobs[0].lane), (RunMode::Delta, 1, Lane::Fresh));
    assert_eq!((jobs[0].asset_id.as_str(), jobs[0].listed_since), ("A2", Some(at(2))));
    // The page may miss what was added while the portal searched.
    let next = cursor(&scene).await.unwrap();
    assert!((at(900)..at(999)).contains(&next), "{next}");
    assert!(report.run_id.to_string().starts_with("20270115T0816"), "{}", report.run_id);
    let asked = scene.portal.asked("orderBy");
    assert!(
        asked[0].contains("dateModified=2027-01-15T08%3A00%3A02Z") && asked[0].contains("total=1"),
        "{asked:?}"
    );
    assert!(!asked[0].contains("dateModifiedTo"), "{asked:?}");
    assert_eq!(scene.environment.ledger.library().await.unwrap(), None);
}

#[tokio::test]
async fn a_walk_over_changes_ends_at_the_time_of_its_first_page() {
    let scene = Scene::new().await;
    scene
        .portal
        .has((1..=4).map(|number| row(&format!("A{number}"), number * 100)).chain([row("A9", 1_200)]));
    scene.portal.lock().page = 3;
    scene.run(&since(0)).await;
    let asked = scene.portal.asked("orderBy");
    assert!(
        asked[1..].iter().all(|target| target.contains("dateModifiedTo=2027-01-15T08%3A16%3A40Z")),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_portal_without_a_clock_moves_the_cursor_no_further_than_what_was_seen() {
    let scene = Scene::new().await;
    scene.portal.has([row("A1", 1), row("A2", 7)]);
    scene.portal.lock().date = "soon".to_owned();
    scene.run(&Options { scope: Scope::WholeSince(at(0)), ..Options::default() }).await;
    assert_eq!(scene.taken()[0].lane, Lane::Backlog);
    let seen = cursor(&scene).await.unwrap();
    assert!(seen == at(7) || seen < at(7), "{seen}");
}

#[tokio::test]
async fn the_cursor_stays_where_it_is_if_a_run_began_after_it() {
    let scene = Scene::new().await;
    scene.environment.ledger.set_cursor(Some(at(10))).await.unwrap();
    scene.run(&since(500)).await;
    assert_eq!(cursor(&scene).await, Some(at(10)));
}

#[tokio::test]
async fn of_more_changes_than_the_lane_takes_the_newest_go_first_and_the_cursor_stays_for_the_rest() {
    let scene = Scene::new().await;
    let mut bulk: Vec<_> = (1..=6).map(|number| row(&format!("A{number}"), number)).collect();
    bulk[5] = marked(bulk[5].clone(), "opted-out; ");
    scene.portal.has(bulk);
    let (report, log) = scene.logged(&scheduled(2)).await;
    assert!(log.contains("more has changed than is worked on within a minute"), "{log}");
    assert_eq!(scene.published(), ["A5", "A4"]);
    assert_eq!(skipped(&report), [(SkipReason::OptedOut, 1), (SkipReason::Postponed, 3)]);
    assert_eq!(cursor(&scene).await, None);
    // Jobs that wait for a worker take their place in the lane.
    let report = scene.run(&scheduled(3)).await;
    assert_eq!(scene.published(), ["A3"]);
    assert_eq!(report.found.skipped[&SkipReason::Postponed], 2);
    let (report, log) = scene.logged(&scheduled(9)).await;
    assert!(!log.contains("more has changed"), "{log}");
    assert_eq!(scene.published(), ["A2", "A1"]);
    assert!(!report.found.is_postponed() && cursor(&scene).await.is_some());
    assert_eq!(report.found.listed, 8, "the rows, and once more those that are published");
}

#[tokio::test]
async fn a_run_that_may_wait_for_room_or_is_over_the_library_publishes_in_the_order_of_the_listing() {
    for options in [since(0), Options { scope: Scope::WholeSince(at(0)), ..scheduled(1) }] {
        let scene = Scene::new().await;
        scene.portal.has([row("A1", 1), row("A2", 2)]);
        scene.run(&options).await;
        assert_eq!(scene.published(), ["A1", "A2"]);
    }
}

#[tokio::test]
async fn a_change_that_is_out_of_the_listing_again_is_left_to_the_next_run() {
    let scene = Scene::new().await;
    scene.portal.has([row("A1", 1), row("A2", 2)]);
    let (options, patience) = (scheduled(5), Patience::brief());
    let mut run = Run::start(&scene.environment, &options, &patience).await.unwrap();
    scene.portal.lock().rows.pop();
    run.publish_newest(5, &|_| ()).await.unwrap();
    assert_eq!(scene.published(), ["A1"]);
    assert_eq!(run.found.skipped[&SkipReason::Postponed], 1);
    assert_eq!(run.cursor_after(), None);
}

#[tokio::test]
async fn a_full_lane_takes_nothing_and_a_run_without_changes_does_not_look() {
    let scene = Scene::new().await;
    scene.portal.has([row("A1", 1)]);
    scene.jobs.depths.lock().unwrap().push_back(Depth { submit_fresh: 2, ..Depth::default() });
    let report = scene.run(&scheduled(2)).await;
    assert_eq!((scene.taken().len(), report.found.skipped[&SkipReason::Postponed]), (0, 1));
    assert_eq!(scene.portal.asked("ids=").len(), 0);
    let looks = *scene.jobs.looks.lock().unwrap();
    scene.portal.lock().rows.clear();
    scene.run(&scheduled(2)).await;
    assert_eq!(*scene.jobs.looks.lock().unwrap(), looks);
}

#[tokio::test]
async fn of_too_many_changes_the_newest_pages_are_read_until_the_lane_is_full_and_the_cursor_stays() {
    let scene = Scene::new().await;
    scene.portal.has((1..=6).map(|number| row(&format!("A{number}"), number * 100)));
    scene.portal.lock().page = 2;
    scene.portal.lock().total = Some(20_001);
    let report = scene.run(&scheduled(3)).await;
    assert_eq!(scene.published(), ["A6", "A5", "A4"]);
    let asked = scene.portal.asked("dateModified+desc");
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[0].contains("page=1") && asked[1].contains("page=2"), "{asked:?}");
    assert_eq!(report.found.skipped[&SkipReason::Postponed], 2, "one that was read, and the rest");
    assert_eq!(cursor(&scene).await, None);
    // As many as are all read.
    scene.portal.lock().total = Some(20_000);
    scene.run(&scheduled(9)).await;
    assert_eq!(scene.portal.asked("dateModified+desc").len(), 2);
    assert_eq!(scene.taken().len(), 3);
}

#[tokio::test]
async fn a_count_that_was_wrong_ends_the_reading_and_the_cursor_stays() {
    let scene = Scene::new().await;
    let (options, patience) = (scheduled(1), Patience::brief());
    for (listed, dropped) in [(40_000, 0), (40_001, 1)] {
        let mut run = Run::start(&scene.environment, &options, &patience).await.unwrap();
        run.found.listed = listed;
        run.publish_newest(1, &|_| ()).await.unwrap();
        assert_eq!(run.found.skipped.get(&SkipReason::Postponed).copied().unwrap_or_default(), dropped);
    }
}

#[tokio::test]
async fn no_more_changes_are_published_at_once_than_one_request_names() {
    let scene = Scene::new().await;
    scene.portal.has((0..=MOST_IDS).map(|number| row(&format!("A{number}"), 1)));
    let report = scene.run(&scheduled(10_000)).await;
    assert_eq!((scene.taken().len(), report.found.skipped[&SkipReason::Postponed]), (MOST_IDS, 1));
}

#[tokio::test]
async fn what_was_taken_up_by_its_id_is_no_change_any_more_and_a_limit_ends_the_run() {
    let scene = Scene::new().await;
    scene.portal.has([row("A1", 1), row("A2", 2), row("A3", 3)]);
    let report = scene.run(&Options { max_assets: Some(1), ..scheduled(9) }).await;
    assert_eq!((scene.published(), report.found.limit.is_some()), (vec!["A3".to_owned()], true));
    scene.ends(failed(FailureClass::Refused)).await;
    let again = Options { retry_failed: Some(None), ..scheduled(9) };
    let report = scene.run(&again).await;
    assert_eq!(scene.published(), ["A3", "A2", "A1"]);
    assert_eq!(skipped(&report), []);
    scene.ends(Outcome::Gone).await;
}

#[tokio::test]
async fn an_interrupted_delta_run_begins_anew_under_its_id_with_the_newest() {
    let scene = Scene::new().await;
    scene.portal.has([row("A1", 1)]);
    let (options, patience) = (scheduled(1), Patience::brief());
    let id = Run::start(&scene.environment, &options, &patience).await.unwrap().id;
    scene.portal.has([row("A2", 2)]);
    let report = scene.run(&options).await;
    assert_eq!((report.run_id, scene.published()), (id, vec!["A2".to_owned()]));
}

#[tokio::test]
async fn an_interrupted_delta_run_of_a_person_covers_the_same_changes_and_no_later_ones() {
    let scene = Scene::new().await;
    scene.portal.has([row("A1", 1)]);
    let (options, patience) = (since(0), Patience::brief());
    let id = Run::start(&scene.environment, &options, &patience).await.unwrap().id;
    scene.portal.has([row("A2", 1_500)]);
    let report = scene.run(&options).await;
    assert_eq!((report.run_id, scene.published()), (id, vec!["A1".to_owned()]));
}
