//! Runs over the whole library.

use std::sync::Mutex;

use bytesize::ByteSize;
use common::outcome::FailureClass;
use ledger::LibraryCounts;
use tokio_util::sync::CancellationToken;

use super::super::*;
use super::portal::{at, marked, row};
use super::scene::{Scene, failed, skipped};
use crate::allowance::Limit;
use crate::filter::{FilteredBy, Traits};

fn ids(ids: &[&str]) -> Filter {
    let ids = ids.iter().map(|id| id.parse().unwrap()).collect();
    Filter { include: Traits { ids, ..Traits::default() }, ..Filter::default() }
}

/// How the last run is recorded.
async fn recorded(scene: &Scene) -> (String, u64) {
    let run = scene.environment.ledger.latest_runs(1).await.unwrap().remove(0);
    (run.state, run.unsupported)
}

async fn cursor(scene: &Scene) -> Option<Timestamp> {
    scene.environment.ledger.cursor().await.unwrap()
}

async fn library(scene: &Scene) -> Option<LibraryCounts> {
    scene.environment.ledger.library().await.unwrap().map(|library| library.counts)
}

#[tokio::test]
async fn a_full_run_publishes_what_needs_protection_counts_the_library_and_sets_the_cursor() {
    let mut scene = Scene::new().await;
    scene.environment.sent.content_types = vec!["image/".to_owned()];
    scene.environment.filter.size = (None, Some(ByteSize::kb(1).as_u64()));
    let mut film = row("F1", 4);
    film["extension"] = serde_json::json!(["mp4"]);
    let mut large = row("L1", 5);
    large["fileSize"] = serde_json::json!(2_000);
    scene.portal.has([row("A1", 1), row("A2", 2), marked(row("O1", 3), "opted-out; "), film, large]);
    scene.portal.lock().rows.push(serde_json::json!({"id": "X1"}));
    scene.portal.lock().total = Some(9);
    let report = scene.run(&Options::default()).await;
    assert!(report.run_id.to_string().starts_with("20270115T081640Z-"), "{}", report.run_id);
    assert_eq!((report.mode, report.found.listed, report.found.published), (RunMode::Full, 6, 2));
    let left = [
        (SkipReason::Filtered(FilteredBy::Size), 1),
        (SkipReason::OptedOut, 1),
        (SkipReason::Unreadable, 1),
        (SkipReason::Unsupported, 1),
    ];
    assert_eq!(skipped(&report), left);
    let jobs = scene.taken();
    assert_eq!(
        jobs.iter().map(|job| (job.asset_id.as_str(), job.lane, job.base)).collect::<Vec<_>>(),
        [("A1", Lane::Backlog, 1), ("A2", Lane::Backlog, 1)]
    );
    assert_eq!(scene.portal.lock().requests[0], "/api/v4/media/?limit=1&page=1&total=1");
    assert_eq!(
        (recorded(&scene).await, cursor(&scene).await),
        (("enumerated".to_owned(), 1), Some(at(1_000)))
    );
    let counts = LibraryCounts {
        unprotected: 3,
        opted_out: 1,
        unsupported: 1,
        filtered_out: 4,
        ..LibraryCounts::default()
    };
    assert_eq!(library(&scene).await, Some(counts));
    for line in [
        "connector_assets_listed_total 6",
        "connector_assets_selected_total 2",
        "connector_assets_skipped_total{reason=\"opted_out\"} 1",
        "connector_assets_skipped_total{reason=\"unreadable\"} 1",
    ] {
        assert!(scene.measures(line), "{line}");
    }
}

#[tokio::test]
async fn a_walk_that_is_stopped_goes_on_after_its_last_page_and_counts_each_asset_once() {
    let mut scene = Scene::new().await;
    scene.environment.overlap = Duration::from_secs(1);
    scene.environment.sent.content_types = vec!["image/".to_owned()];
    let mut film = row("F1", 0);
    film["extension"] = serde_json::json!(["mp4"]);
    scene.portal.has((1..=5).map(|number| row(&format!("A{number}"), number * 100)).chain([film]));
    scene.portal.lock().page = 3;
    scene.portal.lock().rows.push(serde_json::json!({"id": "X1"}));
    let stop = CancellationToken::new();
    let (options, patience) = (Options::default(), Patience::until(stop.clone()));
    let stopped = run(&scene.environment, &options, &patience, |found| {
        if found.published >= 2 {
            stop.cancel();
        }
    });
    assert!(matches!(stopped.await, Err(RunError::Stopped(_))));
    let (begun, before) = (scene.taken(), scene.portal.lock().requests.len());
    assert_eq!(recorded(&scene).await, ("enumerating".to_owned(), 1));
    assert_eq!(cursor(&scene).await, None);
    let report = scene.run(&Options::default()).await;
    assert_eq!(report.run_id, begun[0].run_id);
    let asked = scene.portal.lock().requests[before].clone();
    assert!(asked.contains("dateCreated=2027-"), "{asked}");
    let mut all: Vec<_> = begun.iter().map(|job| job.asset_id.to_string()).chain(scene.published()).collect();
    all.sort();
    assert_eq!(all, ["A1", "A2", "A3", "A4", "A5"]);
    let counts = LibraryCounts { unprotected: 6, unsupported: 1, ..LibraryCounts::default() };
    assert_eq!(library(&scene).await, Some(counts));
    assert_eq!(recorded(&scene).await, ("enumerated".to_owned(), 1));
    // The next run is another one.
    let next = scene.run(&Options::default()).await;
    assert_ne!(next.run_id, report.run_id);
    assert_eq!((next.found.published, skipped(&next)[0]), (0, (SkipReason::JobOpen, 5)));
}

#[tokio::test]
async fn a_run_that_was_stopped_on_its_first_page_begins_again_under_its_id() {
    let scene = Scene::new().await;
    scene.portal.has([row("A1", 1), row("A2", 2)]);
    let stop = CancellationToken::new();
    let patience = Patience::until(stop.clone());
    let options = Options::default();
    let mut first = Run::start(&scene.environment, &options, &patience).await.unwrap();
    let page = first.next_page().await.unwrap().unwrap();
    assert_eq!(page.assets.len(), 2);
    let fate = first.consider(&page.assets[0], Lane::Backlog, Cause::Walked).await.unwrap();
    assert_eq!(fate, Fate::Published);
    stop.cancel();
    assert!(matches!(first.next_page().await, Err(RunError::Stopped(_))));
    let id = first.id.clone();
    let report = scene.run(&options).await;
    assert_eq!((report.run_id, report.found.published), (id, 1));
    assert_eq!(scene.published(), ["A1", "A2"]);
    let counts = LibraryCounts { unprotected: 2, ..LibraryCounts::default() };
    assert_eq!(
        library(&scene).await,
        Some(counts),
        "what has a job of this run is counted by the job's outcome"
    );
}

#[tokio::test]
async fn a_dry_run_shows_what_it_would_publish_and_changes_nothing() {
    let scene = Scene::with("limits = { assets_per_run = 5, assets_per_day = 1 }").await;
    scene.portal.has([row("A1", 1), row("A2", 2)]);
    let shown = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&shown);
    let planned = Planned::new(move |asset, base| seen.lock().unwrap().push((asset.id.to_string(), base)));
    assert_eq!(format!("{planned:?}"), "Planned");
    let options = Options { dry_run: true, planned: Some(planned), ..Options::default() };
    let report = scene.run(&options).await;
    assert_eq!((report.found.selected, report.found.published), (1, 0));
    assert_eq!(report.found.limit, Some(Limit::AssetsPerDay(1)));
    assert_eq!(*shown.lock().unwrap(), [("A1".to_owned(), 1)]);
    assert!(scene.taken().is_empty() && scene.environment.ledger.latest_runs(1).await.unwrap().is_empty());
    assert_eq!((cursor(&scene).await, library(&scene).await), (None, None));
    assert_eq!(scene.portal.lock().requests[0], "/api/v4/media/?limit=1&page=1");
    assert!(
        !scene.environment.metrics.render().contains("limit_remaining_assets{limit=\"assets_per_run\"} ")
    );
    // What it counted leaves the day to a run that publishes.
    assert_eq!(scene.run(&Options::default()).await.found.published, 1);
}

#[tokio::test]
async fn a_dry_run_goes_on_with_no_interrupted_run() {
    let scene = Scene::new().await;
    scene.portal.has([row("A1", 1)]);
    let patience = Patience::brief();
    let options = Options::default();
    let id = Run::start(&scene.environment, &options, &patience).await.unwrap().id;
    let dry = scene.run(&Options { dry_run: true, ..Options::default() }).await;
    assert_ne!(dry.run_id, id);
    assert_eq!(scene.run(&options).await.run_id, id);
}

#[tokio::test]
async fn a_run_over_a_part_of_the_library_moves_no_cursor_and_counts_nothing() {
    let scene = Scene::new().await;
    scene.portal.has([row("A1", 1)]);
    let report = scene.run(&Options { is_part: true, ..Options::default() }).await;
    assert_eq!((report.found.published, cursor(&scene).await, library(&scene).await), (1, None, None));
    assert_eq!(recorded(&scene).await.0, "enumerated");
}

#[tokio::test]
async fn what_several_requests_may_list_twice_is_not_counted() {
    let mut scene = Scene::new().await;
    scene.environment.filter.collections = vec!["1".to_owned(), "2".to_owned()];
    scene.portal.has([row("A1", 1)]);
    let report = scene.run(&Options::default()).await;
    assert_eq!((report.found.published, library(&scene).await), (1, None));
    assert!(!scene.portal.asked("collectionId=2").is_empty());
}

#[tokio::test]
async fn a_run_that_a_limit_ends_is_stopped_and_leaves_the_rest_to_the_next() {
    for (more, options, limit) in [
        ("limits = { assets_per_run = 1 }", Options::default(), Limit::AssetsPerRun(1)),
        ("", Options { max_assets: Some(1), ..Options::default() }, Limit::MaxAssets(1)),
        ("", Options { asked_for: Some((7, 1)), ..Options::default() }, Limit::AskedFor(7)),
    ] {
        let scene = Scene::with(more).await;
        scene.portal.has([row("A1", 1), row("A2", 2), row("A3", 3)]);
        let report = scene.run(&options).await;
        assert_eq!((report.found.limit, scene.published()), (Some(limit), vec!["A1".to_owned()]));
        assert_eq!((recorded(&scene).await.0.as_str(), cursor(&scene).await), ("stopped", None));
        assert_eq!((report.found.skipped.len(), library(&scene).await), (0, None));
        scene.run(&options).await;
        assert_eq!(scene.published(), ["A2"]);
    }
}

#[tokio::test]
async fn the_dates_of_the_filter_bound_the_walk_from_a_second_earlier() {
    let mut scene = Scene::new().await;
    scene.environment.filter.created = Some(DateRange { from: Some(at(2)), before: Some(at(9)) });
    scene.portal.has([row("A1", 1), row("A2", 2)]);
    let report = scene.run(&Options::default()).await;
    assert_eq!(scene.published(), ["A2"]);
    assert_eq!(skipped(&report), [(SkipReason::Filtered(FilteredBy::Created), 1)]);
    let asked = scene.portal.asked("dateCreated=2027-01-15T08%3A00%3A01Z");
    assert!(asked[0].contains("dateCreatedTo=2027-01-15T08%3A00%3A09Z"), "{asked:?}");
}

#[tokio::test]
async fn assets_that_were_named_and_did_not_appear_are_logged_unless_a_limit_ended_the_run() {
    for (max_assets, is_logged) in [(None, true), (Some(1), false)] {
        let mut scene = Scene::new().await;
        scene.environment.filter = ids(&["A1", "A2", "B9"]);
        scene.portal.has([row("A1", 1), row("A2", 2)]);
        let (_, log) = scene.logged(&Options { max_assets, ..Options::default() }).await;
        assert_eq!(log.contains("requested assets were not found"), is_logged, "{log}");
        assert_eq!(log.contains("count=1 ids=\"B9\""), is_logged, "{log}");
    }
}

#[tokio::test]
async fn an_asset_that_was_named_is_tried_again_or_logged_if_its_type_is_not_sent() {
    for (retries_named, is_logged) in [(true, true), (false, false)] {
        let mut scene = Scene::new().await;
        scene.environment.sent.content_types = vec!["image/".to_owned()];
        scene.environment.filter = ids(&["A1", "F1"]);
        let mut film = row("F1", 2);
        film["extension"] = serde_json::json!(["mp4"]);
        scene.portal.has([row("A1", 1), film]);
        scene.run(&Options::default()).await;
        scene.ends(failed(FailureClass::Refused)).await;
        let (report, log) = scene.logged(&Options { retries_named, ..Options::default() }).await;
        assert_eq!(report.found.published, u64::from(retries_named));
        assert_eq!(log.contains("an asset that was asked for is left alone"), is_logged, "{log}");
        assert!(!log.contains("requested assets were not found"), "{log}");
    }
}

#[tokio::test]
async fn assets_that_no_person_asked_for_are_held_and_not_published() {
    let scene = Scene::new().await;
    scene.portal.has([row("A1", 1), row("B1", 2)]);
    let report = scene
        .run(&Options { admission: Admission::Under(Box::new(ids(&["A1"]))), ..Options::default() })
        .await;
    assert_eq!(scene.published(), ["A1"]);
    assert_eq!(skipped(&report), [(SkipReason::NotAskedFor, 1)]);
    assert_eq!((report.found.not_asked_for.assets, report.found.not_asked_for.bytes), (1, 9));
    let nothing = scene.run(&Options { admission: Admission::Nothing, ..Options::default() }).await;
    assert_eq!(nothing.found.published, 0);
}

#[tokio::test]
async fn a_walk_that_goes_on_misses_no_named_asset_of_its_earlier_pages() {
    let mut scene = Scene::new().await;
    scene.environment.overlap = Duration::from_secs(1);
    scene.environment.filter = ids(&["A1", "A2", "A3", "A4"]);
    scene.portal.has((1..=4).map(|number| row(&format!("A{number}"), number * 100)));
    let stop = CancellationToken::new();
    let (options, patience) = (Options::default(), Patience::until(stop.clone()));
    let stopped = run(&scene.environment, &options, &patience, |_| stop.cancel()).await;
    assert!(matches!(stopped, Err(RunError::Stopped(_))));
    scene.portal.lock().rows.clear();
    let (report, log) = scene.logged(&options).await;
    assert_eq!((report.found.listed, log.contains("were not found")), (0, false), "{log}");
}

#[tokio::test]
async fn a_run_that_is_stopped_on_a_page_considers_no_further_asset_of_it() {
    let scene = Scene::new().await;
    scene.portal.has([row("A1", 1), row("A2", 2)]);
    let (stop, shown) = (CancellationToken::new(), Arc::new(Mutex::new(0)));
    let (stops, seen) = (stop.clone(), Arc::clone(&shown));
    let planned = Planned::new(move |_, _| {
        *seen.lock().unwrap() += 1;
        stops.cancel();
    });
    let options = Options { dry_run: true, planned: Some(planned), ..Options::default() };
    let stopped = run(&scene.environment, &options, &Patience::until(stop), |_| ()).await;
    assert!(matches!(stopped, Err(RunError::Stopped(_))) && *shown.lock().unwrap() == 1);
}
