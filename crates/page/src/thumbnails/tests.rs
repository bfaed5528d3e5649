//! Thumbnails of a page, and how many calls they cost.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use budget::{OperatorPause, Records};
use bynder::{BynderError, Gate, Picture};
use futures::future::join_all;
use jiff::Timestamp;
use ledger::Ledger;
use ledger::state::State;
use queue::EmbeddedQueue;
use reqwest::Method;
use tempfile::TempDir;

use super::*;
use crate::state::Live;
use crate::tests::Bench;

/// Has a thumbnail of every asset, and counts what it is asked for.
#[derive(Default)]
pub(crate) struct Portal {
    /// The number of assets of each call.
    calls: Mutex<Vec<usize>>,
    downloads: AtomicUsize,
    trouble: Trouble,
}

#[derive(Default, PartialEq)]
enum Trouble {
    #[default]
    None,
    Refuses,
    Hangs,
    HasNoPictures,
}

fn refused() -> BynderError {
    BynderError::Refused { operation: "asking".to_owned(), status: 400, message: "no".to_owned() }
}

#[async_trait]
impl Pictures for Portal {
    async fn links(&self, assets: &[AssetId]) -> Result<HashMap<AssetId, Link>, BynderError> {
        self.calls.lock().unwrap().push(assets.len());
        match self.trouble {
            Trouble::Refuses => return Err(refused()),
            Trouble::Hangs => std::future::pending().await,
            Trouble::None | Trouble::HasNoPictures => {}
        }
        let link = |id: &AssetId| Link::parse(&format!("https://cdn.example/{id}")).unwrap();
        Ok(assets.iter().map(|id| (id.clone(), link(id))).collect())
    }

    async fn picture(&self, _: &Link) -> Result<Picture, BynderError> {
        self.downloads.fetch_add(1, Ordering::Relaxed);
        if self.trouble == Trouble::HasNoPictures {
            return Err(refused());
        }
        Ok(Picture { media_type: "image/png", bytes: b"picture".as_slice().into() })
    }
}

impl Portal {
    fn with(trouble: Trouble) -> Arc<Self> {
        Arc::new(Self { trouble, ..Self::default() })
    }

    fn calls(&self) -> Vec<usize> {
        self.calls.lock().unwrap().clone()
    }
}

async fn live(state: State, portal: Arc<Portal>, records: &Records) -> Live {
    let queue = Arc::new(EmbeddedQueue::open(state.clone()).await.unwrap());
    Live {
        ledger: Ledger::new(state),
        failed: queue.clone(),
        jobs: queue,
        pause: Arc::new(records.clone()),
        budget: Budget::alone(1000.try_into().unwrap(), Some(records.clone())),
        pictures: portal,
    }
}

/// The thumbnails in a page.
fn images(page: &str) -> Vec<String> {
    page.split("<img src=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

async fn statuses(bench: &Bench, images: &[String]) -> Vec<u16> {
    let status = async |path: &String| bench.send(Method::GET, path).await.status().as_u16();
    join_all(images.iter().map(status)).await
}

#[tokio::test]
async fn a_page_of_a_hundred_failed_assets_costs_one_call_however_often_it_is_shown() {
    let bench = Bench::new().await;
    bench.fail(0..100).await;
    let (portal, folder) = (Portal::with(Trouble::None), TempDir::new().unwrap());
    let _attached =
        bench.state.attach(live(bench.open(), portal.clone(), &Records::new(folder.path())).await);
    for _ in 0..3 {
        let images = images(&bench.get("/failed").await);
        assert_eq!(images.len(), 50);
        assert_eq!(statuses(&bench, &images).await, [200; 50]);
        assert_eq!((portal.calls(), portal.downloads.load(Ordering::Relaxed)), (vec![50], 50));
    }
    let picture = bench.send(Method::GET, "/thumbnails/A-0").await;
    for (name, value) in
        [("content-type", "image/png"), ("x-content-type-options", "nosniff"), ("cache-control", "no-store")]
    {
        assert_eq!(picture.headers()[name], value);
    }
    assert_eq!(picture.text().await.unwrap(), "picture");
    let images = images(&bench.get("/assets/A-0").await);
    assert_eq!((statuses(&bench, &images).await, portal.calls().len()), (vec![200], 1));
}

#[tokio::test]
async fn an_asset_that_no_page_showed_has_no_thumbnail_and_a_page_alone_none_at_all() {
    let bench = Bench::new().await;
    bench.fail(0..1).await;
    let none = async |path: &str| {
        let answer = bench.send(Method::GET, path).await;
        assert_eq!((answer.status().as_u16(), answer.text().await.unwrap()), (404, String::new()), "{path}");
    };
    assert!(images(&bench.get("/failed").await).is_empty());
    none("/thumbnails/A-0").await;
    let (portal, folder) = (Portal::with(Trouble::None), TempDir::new().unwrap());
    let attached = bench.state.attach(live(bench.open(), portal.clone(), &Records::new(folder.path())).await);
    for path in ["/thumbnails/A-1", "/thumbnails/unknown", "/thumbnails/%3Cscript%3E", "/thumbnails/..%2Fa"] {
        none(path).await;
    }
    drop(attached);
    none("/thumbnails/A-0").await;
    assert!(portal.calls().is_empty());
}

#[tokio::test]
async fn what_cannot_be_had_is_tried_once_for_a_page() {
    for (trouble, downloads) in [(Trouble::Refuses, 0), (Trouble::HasNoPictures, 7)] {
        let bench = Bench::new().await;
        bench.fail(0..7).await;
        let (portal, folder) = (Portal::with(trouble), TempDir::new().unwrap());
        let _attached =
            bench.state.attach(live(bench.open(), portal.clone(), &Records::new(folder.path())).await);
        for _ in 0..2 {
            let images = images(&bench.get("/failed").await);
            assert_eq!(statuses(&bench, &images).await, [404; 7]);
            assert_eq!((portal.calls(), portal.downloads.load(Ordering::Relaxed)), (vec![7], downloads));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_portal_that_does_not_answer_is_waited_for_once_and_not_for_long() {
    let (portal, folder) = (Portal::with(Trouble::Hangs), TempDir::new().unwrap());
    let state = State::open(folder.path()).unwrap();
    let live = live(state, portal.clone(), &Records::new(folder.path())).await;
    let (thumbnails, begun) = (Thumbnails::default(), Instant::now());
    let assets: Vec<AssetId> = (0..50).map(|number| format!("A-{number}").parse().unwrap()).collect();
    thumbnails.show(&assets);
    let found = join_all(assets.iter().map(|asset| thumbnails.of(&live, asset))).await;
    assert!(found.iter().all(Option::is_none) && begun.elapsed() <= STEP + Duration::from_millis(10));
    assert_eq!(portal.calls(), [50]);
}

#[tokio::test]
async fn a_request_that_waits_for_the_call_of_another_gets_the_picture_that_is_there_by_then() {
    let (portal, folder) = (Portal::with(Trouble::None), TempDir::new().unwrap());
    let state = State::open(folder.path()).unwrap();
    let live = live(state, portal.clone(), &Records::new(folder.path())).await;
    let (thumbnails, asset) = (Thumbnails::default(), "A-1".parse().unwrap());
    thumbnails.show([&asset]);
    let turn = thumbnails.calls.lock().await;
    let mut waits = std::pin::pin!(thumbnails.of(&live, &asset));
    assert!(futures::poll!(waits.as_mut()).is_pending());
    let link = Link::parse("https://cdn.example/A-1").unwrap();
    let picture = portal.picture(&link).await;
    {
        let mut known = thumbnails.known();
        known.looked_up(std::slice::from_ref(&asset), HashMap::from([(asset.clone(), link)]), Instant::now());
        known.keep(&asset, picture.as_ref().unwrap());
    }
    drop(turn);
    assert_eq!((waits.await, portal.calls()), (picture.ok(), vec![]));
}

#[tokio::test]
async fn no_call_is_made_while_bynder_refuses_calls_or_a_person_paused_the_work() {
    let asset = "A-1".parse().unwrap();
    for by_a_person in [false, true] {
        let (portal, folder) = (Portal::with(Trouble::None), TempDir::new().unwrap());
        let records = Records::new(folder.path());
        let state = State::open(folder.path()).unwrap();
        if by_a_person {
            records.pause(&OperatorPause { since: Timestamp::now(), reason: None }).unwrap();
        }
        let live = live(state, portal.clone(), &records).await;
        if !by_a_person {
            live.budget.refused();
        }
        let thumbnails = Thumbnails::default();
        thumbnails.show([&asset]);
        assert_eq!((thumbnails.of(&live, &asset).await, portal.calls()), (None, vec![]));
    }
}

#[tokio::test]
async fn a_person_who_leafs_through_all_pages_does_not_spend_the_budget() {
    let (portal, folder) = (Portal::with(Trouble::None), TempDir::new().unwrap());
    let state = State::open(folder.path()).unwrap();
    let live = live(state, portal.clone(), &Records::new(folder.path())).await;
    let thumbnails = Thumbnails::default();
    for page in 0..100 {
        let asset: AssetId = format!("A-{page}").parse().unwrap();
        thumbnails.show([&asset]);
        thumbnails.of(&live, &asset).await;
    }
    assert_eq!(portal.calls().len(), 5);
}
