//! Assets that a run takes up by their ids.

use common::outcome::{FailureClass, Outcome};
use queue::{Depth, FailedFilter};
use serde_json::Value;

use super::super::*;
use super::portal::{at, marked, row};
use super::scene::{Scene, failed, skipped};

/// A scene with these assets, whose jobs were all lost.
async fn lost(rows: impl IntoIterator<Item = Value>) -> Scene {
    let scene = Scene::new().await;
    scene.portal.has(rows);
    let report = scene.run(&Options::default()).await;
    scene.environment.ledger.give_up_run(&report.run_id).await.unwrap();
    scene.taken();
    scene
}

async fn still_lost(scene: &Scene) -> usize {
    scene.environment.ledger.lost_jobs(None, 10).await.unwrap().len()
}

/// A run that lists nothing by itself.
fn of_nothing() -> Options {
    Options { scope: Scope::Since(at(2_000)), ..Options::default() }
}

#[tokio::test]
async fn a_lost_job_is_published_again_as_suspect_in_its_lane_and_the_walk_passes_over_its_asset() {
    let scene = lost([row("A1", 1), row("A2", 2)]).await;
    let report = scene.run(&Options::default()).await;
    let jobs = scene.taken();
    assert!(jobs.iter().all(|job| job.suspect && job.lane == Lane::Backlog && job.base == 1), "{jobs:?}");
    assert_eq!((report.found.listed, report.found.published, jobs.len()), (4, 2, 2));
    assert_eq!(skipped(&report), []);
    assert!(scene.measures("connector_assets_listed_total 6"));
    let asked = &scene.portal.asked("ids=A1%2CA2")[0];
    assert!(asked.contains("limit=2&page=1") && asked.contains("includeVersionNumber=1"), "{asked}");
    assert_eq!(scene.environment.ledger.library().await.unwrap().unwrap().counts.unprotected, 2);
}

#[tokio::test]
async fn a_run_over_a_part_and_a_run_beside_another_take_up_nothing() {
    let scene = lost([row("A1", 1)]).await;
    scene.run(&Options { is_part: true, ..of_nothing() }).await;
    let taking_up = scene.environment.taking_up.lock().await;
    scene.run(&of_nothing()).await;
    drop(taking_up);
    assert_eq!((scene.taken().len(), still_lost(&scene).await), (0, 1));
    scene.run(&of_nothing()).await;
    assert_eq!(scene.published(), ["A1"]);
}

#[tokio::test]
async fn lost_jobs_wait_for_room_in_the_queue() {
    let scene = lost([row("A1", 1)]).await;
    scene.jobs.depths.lock().unwrap().push_back(Depth { waiting: 5_000, ..Depth::default() });
    scene.run(&of_nothing()).await;
    assert_eq!((scene.taken().len(), still_lost(&scene).await), (0, 1));
    let dry = Options { dry_run: true, ..of_nothing() };
    scene.jobs.depths.lock().unwrap().push_back(Depth { waiting: 5_000, ..Depth::default() });
    assert_eq!(scene.run(&dry).await.found.selected, 1, "a dry run needs no room");
}

#[tokio::test]
async fn an_asset_that_the_listing_omits_is_read_by_itself_and_one_that_is_gone_ends() {
    let scene = lost([row("A1", 1), row("A2", 2)]).await;
    scene.portal.lock().rows.clear();
    scene.portal.shows(&row("A1", 1), 3);
    scene.portal.lock().assets.remove("A2");
    let dry = Options { dry_run: true, ..of_nothing() };
    scene.run(&dry).await;
    assert_eq!(still_lost(&scene).await, 2, "a dry run settles nothing");
    scene.run(&of_nothing()).await;
    let jobs = scene.taken();
    assert_eq!(jobs.iter().map(|job| (job.asset_id.as_str(), job.base)).collect::<Vec<_>>(), [("A1", 3)]);
    let ended = scene.environment.ledger.outcomes_of(&"A2".parse().unwrap()).await.unwrap();
    assert_eq!(ended.into_iter().map(|event| event.outcome).collect::<Vec<_>>(), [Outcome::Gone]);
}

#[tokio::test]
async fn an_asset_that_needs_no_job_is_settled_and_one_that_nothing_is_known_of_stays() {
    for (marker, versions, reason, left) in
        [("opted-out; ", true, SkipReason::OptedOut, 0), ("", false, SkipReason::VersionUnknown, 1)]
    {
        let scene = lost([row("A1", 1)]).await;
        let mut shown = marked(row("A1", 1), marker);
        if !versions {
            shown["activeVersion"] = Value::Null;
            scene.portal.lock().assets.insert("A1".to_owned(), Ok(shown.clone()));
        }
        scene.portal.lock().rows[0] = shown;
        let report = scene.run(&of_nothing()).await;
        assert_eq!((skipped(&report), still_lost(&scene).await), (vec![(reason, 1)], left));
    }
}

#[tokio::test]
async fn a_limit_ends_the_taking_up() {
    let scene = lost([row("A1", 1), row("A2", 2)]).await;
    let report = scene.run(&Options { max_assets: Some(1), ..of_nothing() }).await;
    assert_eq!((scene.published(), report.found.skipped.len()), (vec!["A1".to_owned()], 0));
    scene.ends(Outcome::Gone).await;
}

/// How many failed jobs the queue keeps.
async fn kept(scene: &Scene) -> usize {
    scene.environment.failed_jobs.list(&FailedFilter::default()).await.unwrap().len()
}

#[tokio::test]
async fn failed_assets_of_a_class_are_tried_again_and_their_old_jobs_discarded() {
    let scene = Scene::new().await;
    scene.portal.has([row("A1", 1), row("A2", 2)]);
    scene.run(&Options::default()).await;
    scene.ends(failed(FailureClass::Refused)).await;
    scene.ends(failed(FailureClass::Marker)).await;
    scene.taken();
    let retry = |class, dry_run| Options { retry_failed: Some(class), dry_run, ..of_nothing() };
    let dry = scene.run(&retry(None, true)).await;
    assert_eq!((dry.found.selected, kept(&scene).await), (2, 2));
    scene.run(&retry(Some(FailureClass::Permission), false)).await;
    assert_eq!((scene.taken().len(), kept(&scene).await), (0, 2));
    let limited = Options { max_assets: Some(1), ..retry(None, false) };
    scene.run(&limited).await;
    let first = scene.taken();
    assert_eq!((first.len(), first[0].suspect, kept(&scene).await), (1, true, 1));
    scene.run(&retry(None, false)).await;
    assert_eq!((scene.taken().len(), kept(&scene).await), (1, 0));
}
