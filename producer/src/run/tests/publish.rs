//! How a run publishes one job.

use common::asset::samples;
use common::job::Job;
use common::outcome::Outcome;
use queue::{Depth, QueueError};

use super::super::*;
use super::scene::{Scene, failed};
use common::outcome::FailureClass;

fn job_of(asset: &Asset, lane: Lane) -> Job {
    Job::new(RunId("other".to_owned()), asset.id.clone(), "", lane, 1, None, Timestamp::now())
}

/// A run that has not asked the portal for anything yet.
async fn run_of<'a>(environment: &'a Environment, options: &'a Options, patience: &'a Patience) -> Run<'a> {
    let (id, ledger) = (RunId("run".to_owned()), &environment.ledger);
    let day = Arc::clone(&environment.day);
    let most = options.max_assets;
    let allowance = Allowance::of(&id, &environment.limits, most, None, ledger, day).await.unwrap();
    let stretch = Stretch { field: DateField::Created, from: None, to: None };
    let requests = environment.filter.push_down();
    Run {
        environment,
        options,
        patience,
        id,
        walked: Walked {
            scope: options.scope,
            started: Timestamp::now(),
            by_portal: true,
            latest_change: None,
        },
        cursor: None,
        walk: Walk::new(environment.bynder.clone(), requests, stretch, Duration::ZERO, None),
        first: None,
        found: RunCounts::default(),
        allowance,
        named: RequestedIds::default(),
        recorded: 0,
        taken_up: HashMap::new(),
        census: None,
        is_page_again: false,
    }
}

#[tokio::test]
async fn an_asset_that_gets_a_job_from_another_run_during_the_wait_for_room_gets_no_second_one() {
    for (lane, others, fate) in [
        (Lane::Backlog, Lane::Fresh, Fate::Left(SkipReason::JobOpen)),
        (Lane::Backlog, Lane::Backlog, Fate::Left(SkipReason::JobOpen)),
        // A job that waits in the backlog does not delay a change.
        (Lane::Fresh, Lane::Backlog, Fate::Published),
    ] {
        let (scene, asset) = (Scene::new().await, samples::asset());
        *scene.jobs.meanwhile.lock().unwrap() = Some(job_of(&asset, others));
        let (options, patience) = (Options::default(), Patience::brief());
        let mut run = run_of(&scene.environment, &options, &patience).await;
        let known = run.known_of(std::slice::from_ref(&asset)).await.unwrap();
        assert!(known.is_empty());
        let found = run.consider_row(&asset, lane, Cause::Walked, ledger::Known::default()).await.unwrap();
        assert_eq!(found, fate, "{others:?} meanwhile");
        let published = if fate == Fate::Published { 2 } else { 1 };
        assert_eq!(scene.environment.queue.depth().await.unwrap().open(), published, "{others:?} meanwhile");
        assert_eq!(run.found.published, published - 1);
    }
}

#[tokio::test]
async fn what_the_ledger_knows_of_the_assets_of_a_page_is_known_of_each() {
    let (scene, asset) = (Scene::new().await, samples::asset());
    scene.environment.queue.publish(&job_of(&asset, Lane::Fresh)).await.unwrap();
    let (options, patience) = (Options::default(), Patience::brief());
    let run = run_of(&scene.environment, &options, &patience).await;
    let other = Asset { id: "B".parse().unwrap(), ..samples::asset() };
    let known = run.known_of(&[asset.clone(), other]).await.unwrap();
    assert_eq!((known.len(), known[&asset.id].open), (1, Some(Lane::Fresh)));
}

/// The fate of an asset in a run over this scene.
async fn fate(scene: &Scene, options: &Options, cause: Cause) -> (Fate, RunCounts) {
    let patience = Patience::brief();
    let mut run = run_of(&scene.environment, options, &patience).await;
    let fate = run.consider(&samples::asset(), Lane::Backlog, cause).await.unwrap();
    (fate, run.found)
}

#[tokio::test(start_paused = true)]
async fn a_run_waits_for_room_in_the_queue_and_looks_only_now_and_then() {
    let scene = Scene::new().await;
    let full = |open| Depth { waiting: open, ..Depth::default() };
    scene.jobs.depths.lock().unwrap().extend([full(6000), full(5000), full(4999)]);
    assert_eq!(fate(&scene, &Options::default(), Cause::Walked).await.0, Fate::Published);
    assert_eq!(*scene.jobs.looks.lock().unwrap(), 3);
    // A run that has published one job does not look again before the next one.
    let (options, patience) = (Options::default(), Patience::brief());
    let mut run = run_of(&scene.environment, &options, &patience).await;
    for (published, looks) in [(1, 3), (49, 3), (50, 4)] {
        run.found.published = published;
        let other = Asset { id: format!("B{published}").parse().unwrap(), ..samples::asset() };
        let found = run.consider(&other, Lane::Backlog, Cause::Walked).await.unwrap();
        assert_eq!((found, run.found.published), (Fate::Published, published + 1));
        assert_eq!(*scene.jobs.looks.lock().unwrap(), looks, "{published}");
    }
    assert!(scene.measures("connector_jobs_published_total{lane=\"backlog\"} 4"));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_stopped_waits_no_longer_for_room_or_for_the_queue() {
    let stop = tokio_util::sync::CancellationToken::new();
    let (scene, options, patience) = (Scene::new().await, Options::default(), Patience::until(stop.clone()));
    stop.cancel();
    let mut run = run_of(&scene.environment, &options, &patience).await;
    scene.jobs.depths.lock().unwrap().push_back(Depth { waiting: 5000, ..Depth::default() });
    let stopped = run.consider(&samples::asset(), Lane::Backlog, Cause::Walked).await;
    assert!(matches!(stopped, Err(RunError::Stopped(_))), "{stopped:?}");
    scene.jobs.fails.lock().unwrap().push_back(QueueError::Unavailable("away".to_owned()));
    assert!(matches!(run.has_room().await, Err(RunError::Stopped(_))));
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_away_is_waited_for_and_one_that_is_broken_ends_the_run() {
    let scene = Scene::new().await;
    let away = || QueueError::Unavailable("away".to_owned());
    scene.jobs.fails.lock().unwrap().extend([away(), away()]);
    assert_eq!(fate(&scene, &Options::default(), Cause::Walked).await.0, Fate::Published);
    scene.jobs.fails.lock().unwrap().push_back(QueueError::Broken("broken".to_owned()));
    let (options, patience) = (Options::default(), Patience::brief());
    let mut run = run_of(&scene.environment, &options, &patience).await;
    let other = Asset { id: "B".parse().unwrap(), ..samples::asset() };
    let error = run.consider(&other, Lane::Backlog, Cause::Walked).await.unwrap_err();
    assert!(matches!(error, RunError::Queue(QueueError::Broken(_))), "{error}");
}

#[tokio::test]
async fn another_batch_has_room_while_it_fits_below_the_most_open_jobs() {
    let scene = Scene::new().await;
    let (options, patience) = (Options::default(), Patience::brief());
    let run = run_of(&scene.environment, &options, &patience).await;
    for (waiting, has_room) in [(0, true), (4949, true), (4950, false), (9000, false)] {
        scene.jobs.depths.lock().unwrap().push_back(Depth { waiting, ..Depth::default() });
        assert_eq!(run.has_room().await.unwrap(), has_room, "{waiting}");
    }
}

#[tokio::test]
async fn a_job_of_an_asset_that_may_have_been_worked_on_is_suspect_and_no_other() {
    let scene = Scene::new().await;
    let again = async |cause| {
        let fate = fate(&scene, &Options::default(), cause).await.0;
        (fate, scene.taken().pop().map(|job| job.suspect))
    };
    assert_eq!(again(Cause::Walked).await, (Fate::Published, Some(false)));
    scene.environment.ledger.give_up_run(&RunId("run".to_owned())).await.unwrap();
    let other = async |id: &str, cause| {
        let (options, patience) = (Options::default(), Patience::brief());
        let mut run = run_of(&scene.environment, &options, &patience).await;
        run.id = RunId(id.to_owned());
        let fate = run.consider(&samples::asset(), Lane::Backlog, cause).await.unwrap();
        (fate, scene.taken().pop().map(|job| job.suspect))
    };
    assert_eq!(other("second", Cause::Walked).await, (Fate::Published, Some(true)), "its job was lost");
    scene.ends(Outcome::Gone).await;
    scene.ends(failed(FailureClass::Refused)).await;
    let before = Fate::Left(SkipReason::FailedBefore);
    assert_eq!(other("third", Cause::Walked).await, (before, None));
    assert_eq!(other("fourth", Cause::Again).await, (Fate::Published, Some(true)), "its job failed");
}

#[tokio::test]
async fn a_limit_that_is_spent_leaves_no_room() {
    let scene = Scene::with("limits = { assets_per_run = 1 }").await;
    let (options, patience) = (Options::default(), Patience::brief());
    let mut run = run_of(&scene.environment, &options, &patience).await;
    let first = run.consider(&samples::asset(), Lane::Backlog, Cause::Walked).await.unwrap();
    let other = Asset { id: "B".parse().unwrap(), ..samples::asset() };
    let second = run.consider(&other, Lane::Backlog, Cause::Walked).await.unwrap();
    assert_eq!((first, second), (Fate::Published, Fate::Limited));
    assert_eq!(run.found.limit, Some(crate::allowance::Limit::AssetsPerRun(1)));
    assert!(scene.measures("connector_limit_remaining_assets{limit=\"assets_per_run\"} 0"));
    // The job of an interrupted run is counted already.
    let mut again = run_of(&scene.environment, &options, &patience).await;
    scene.environment.ledger.give_up_run(&again.id).await.unwrap();
    let published = again.consider(&samples::asset(), Lane::Backlog, Cause::Walked).await.unwrap();
    assert_eq!((published, again.found.limit), (Fate::Published, None));
}
