//! What a run asks for about one asset, and what follows.

use common::hash::ContentHash;
use common::marker::{Kin, Record, Records};
use common::outcome::{Outcome, Placed};
use serde_json::{Value, json};

use super::super::*;
use super::portal::{detail, marked, row};
use super::scene::{Scene, skipped};

/// The record of a file of 9 bytes as this version.
fn record(version: u32) -> Record {
    let [original, watermarked] = [1, 2].map(|byte| ContentHash::from_bytes([byte; 32]));
    Record { original, watermarked, version, bytes: 9 }
}

fn kin(kin: Kin) -> String {
    Records::default().with_kin(kin).to_string()
}

fn id(id: &str) -> AssetId {
    id.parse().unwrap()
}

/// The row without the number of its active version.
fn unnumbered(mut row: Value) -> Value {
    row["activeVersion"] = Value::Null;
    row
}

#[tokio::test]
async fn a_version_that_no_row_shows_is_asked_for_once() {
    let scene = Scene::new().await;
    let shown = unnumbered(row("A1", 1));
    scene.portal.has([shown.clone()]);
    scene.portal.shows(&shown, 3);
    let dry = Options { dry_run: true, ..Options::default() };
    for asked in 1..=2 {
        assert_eq!(scene.run(&dry).await.found.selected, 1);
        assert_eq!(scene.portal.asked("/A1/").len(), asked, "a dry run remembers nothing");
    }
    scene.run(&Options::default()).await;
    assert_eq!(scene.taken()[0].base, 3);
    scene.ends(Outcome::Watermarked { version: 4 }).await;
    let asked = scene.portal.asked("/A1/").len();
    scene.run(&Options::default()).await;
    assert_eq!(scene.portal.asked("/A1/").len(), asked, "the version is remembered");
}

#[tokio::test]
async fn an_asset_that_is_gone_gets_no_job_and_one_without_versions_is_skipped() {
    for (answer, left) in [
        (Err(404), vec![]),
        (Ok(unnumbered(row("A1", 1))), vec![(SkipReason::VersionUnknown, 1)]),
        (Err(403), vec![(SkipReason::Unreadable, 1)]),
    ] {
        let scene = Scene::new().await;
        scene.portal.has([unnumbered(row("A1", 1)), row("B1", 2)]);
        scene.portal.lock().assets.insert("A1".to_owned(), answer.clone());
        let report = scene.run(&Options::default()).await;
        assert_eq!((skipped(&report), scene.published()), (left, vec!["B1".to_owned()]), "{answer:?}");
    }
}

#[tokio::test]
async fn an_error_that_concerns_every_asset_ends_the_run() {
    let scene = Scene::new().await;
    scene.portal.has([unnumbered(row("A1", 1))]);
    scene.portal.lock().assets.insert("A1".to_owned(), Err(401));
    let ended = run(&scene.environment, &Options::default(), &Patience::brief(), |_| ()).await;
    assert!(matches!(ended, Err(RunError::Bynder(bynder::BynderError::Unauthorized { .. }))), "{ended:?}");
}

#[tokio::test]
async fn a_copy_is_an_original_unless_the_asset_that_it_names_names_it() {
    for (of_original, is_copy) in [
        (Some(kin(Kin::CopiedTo(id("C1")))), true),
        (Some(kin(Kin::CopiedTo(id("C2")))), false),
        (Some(String::new()), false),
        (None, false),
    ] {
        let scene = Scene::new().await;
        scene.portal.has([marked(row("C1", 1), &kin(Kin::CopyOf(id("O1"))))]);
        if let Some(marker) = &of_original {
            let original = marked(row("O1", 1), marker);
            scene.portal.shows(&original, 1);
        }
        let report = scene.run(&Options::default()).await;
        let left = if is_copy { vec![(SkipReason::Copy, 1)] } else { vec![] };
        assert_eq!(
            (skipped(&report), report.found.published),
            (left, u64::from(!is_copy)),
            "{of_original:?}"
        );
    }
}

/// A scene with one asset, whose job waits for approval over its first version.
async fn awaiting(placed: Option<Placed>) -> Scene {
    let scene = Scene::new().await;
    scene.portal.has([row("A1", 1)]);
    scene.run(&Options::default()).await;
    scene.ends_with(Outcome::AwaitingApproval, placed).await;
    scene.taken();
    scene
}

#[tokio::test]
async fn an_asset_whose_copy_waits_for_approval_is_left_alone_until_the_copy_shows_what_was_saved() {
    let scene = awaiting(None).await;
    scene.portal.lock().rows[0] = marked(row("A1", 1), &kin(Kin::CopiedTo(id("C1"))));
    let left = async || skipped(&scene.run(&Options::default()).await);
    assert_eq!(left().await, [(SkipReason::AwaitingApproval, 1)]);
    let copy = |record: Record| marked(row("C1", 1), &Records::default().with(record).to_string());
    scene.portal.shows(&copy(record(2)), 1);
    assert_eq!(left().await, [(SkipReason::AwaitingApproval, 1)]);
    scene.portal.shows(&copy(record(1)), 1);
    assert_eq!(left().await, []);
    assert_eq!(scene.published(), ["A1"]);
}

#[tokio::test]
async fn an_asset_whose_additional_file_waits_for_approval_is_left_alone_until_the_file_shows() {
    let scene = awaiting(Some(Placed::Additional { file_name: "lake.jpg".to_owned().into() })).await;
    let ahead = marked(row("A1", 1), &Records::default().with(record(2)).to_string());
    scene.portal.lock().rows[0] = ahead.clone();
    let left = async || skipped(&scene.run(&Options::default()).await);
    scene.portal.lock().assets.clear();
    assert_eq!(left().await, [(SkipReason::AwaitingApproval, 1)]);
    scene.portal.shows(&ahead, 1);
    assert_eq!(left().await, [(SkipReason::AwaitingApproval, 1)]);
    let mut with = detail(&ahead, 1);
    let name = format!("lake_{}.jpg", record(2).watermarked.short());
    with["mediaItems"].as_array_mut().unwrap().push(json!({"type": "additional", "fileName": name}));
    scene.portal.lock().assets.insert("A1".to_owned(), Ok(with));
    assert_eq!(left().await, []);
    assert_eq!(scene.published(), ["A1"]);
}

#[tokio::test]
async fn an_approved_version_counts_as_watermarked_from_the_run_that_first_sees_it() {
    let scene = awaiting(None).await;
    let outcomes = async || {
        let events = scene.environment.ledger.outcomes_of(&id("A1")).await.unwrap();
        events.into_iter().map(|event| event.outcome).collect::<Vec<_>>()
    };
    let protected = |version: u32| {
        let mut row = marked(row("A1", 1), &Records::default().with(record(version)).to_string());
        row["activeVersion"] = json!(version);
        row
    };
    // A record of the version that was to be protected approves nothing.
    scene.portal.lock().rows[0] = protected(1);
    assert_eq!(skipped(&scene.run(&Options::default()).await), [(SkipReason::Unchanged, 1)]);
    assert!(!outcomes().await.contains(&Outcome::Watermarked { version: 1 }));
    scene.portal.lock().rows[0] = protected(2);
    let dry = Options { dry_run: true, ..Options::default() };
    for (options, is_noted) in [(dry, false), (Options::default(), true)] {
        assert_eq!(skipped(&scene.run(&options).await), [(SkipReason::Unchanged, 1)]);
        assert_eq!(outcomes().await.contains(&Outcome::Watermarked { version: 2 }), is_noted);
    }
}

#[tokio::test]
async fn the_listing_is_behind_for_a_while_after_a_save() {
    let mut scene = Scene::new().await;
    scene.portal.has([row("A1", 1)]);
    scene.run(&Options::default()).await;
    scene.ends(Outcome::Watermarked { version: 2 }).await;
    scene.environment.listing_settles_in = Duration::from_mins(1);
    assert_eq!(skipped(&scene.run(&Options::default()).await), [(SkipReason::ListingBehind, 1)]);
    scene.environment.listing_settles_in = Duration::ZERO;
    assert_eq!(scene.run(&Options::default()).await.found.published, 1);
}
