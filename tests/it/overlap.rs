//! A large result is uploaded while it is still received, and nothing is made of its parts before it has passed its checks.

use common::outcome::{Failure, FailureClass, Outcome};
use futures::StreamExt;
use sample_files::{Defect, Format, file};
use sandbox::faults::{Action, Moment};
use sandbox::{NewAsset, Options};

use crate::harness::scene::{every, once, unavailable};
use crate::harness::{Bench, assert_clean, is_protected, quick};

const SYNC: [&str; 4] = ["sync", "--full", "--json", "--quiet"];

/// A film of three parts of at most 5 MiB. Its watermark is in its last 16 bytes.
fn film() -> Vec<u8> {
    let mut film = file(Format::Mp4, 3, 160, 120);
    let space = 11_u32 << 20;
    film.extend([&space.to_be_bytes()[..], b"free"].concat());
    film.resize(film.len() + space as usize - 8, 0);
    film
}

/// A library of one film. The last bytes of its result are sent only after this many of its parts have arrived.
async fn bench(mode: &str, parts: u32) -> (Bench, String) {
    let bench = Bench::new(Options { parts_before_results_end: parts, ..quick() }).await;
    bench.set_mode(mode);
    bench.reconfigure("[bynder]\n", "[bynder]\npart_size = '5 MiB'\n");
    // Each request counts here.
    bench.set_request_timeout(15);
    let id = bench.sandbox.add_asset(NewAsset::new("film.mp4", film())).unwrap();
    (bench, id)
}

fn count(bench: &Bench, endpoint: &str) -> u64 {
    bench.sandbox.stats().requests.get(endpoint).copied().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parts_of_a_result_arrive_before_its_last_bytes_are_sent() {
    for mode in ["version", "copy"] {
        let (bench, id) = bench(mode, 2).await;
        bench.sync().await.assert_code(0);
        assert!(is_protected(&bench.asset(&id)), "{mode}");
        assert_clean(&bench.sandbox.audit());
        let stats = bench.sandbox.stats();
        assert_eq!((stats.parts, stats.imports), (3, 1), "{mode}");
        // As many as if the upload had followed: its place, three parts to register, and the whole.
        let calls = ["bynder.upload_init", "bynder.upload_step"].map(|endpoint| count(&bench, endpoint));
        assert_eq!(calls, [1, 4], "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_is_wrong_in_its_last_bytes_is_never_finalised() {
    let (bench, id) = bench("version", 2).await;
    bench.sandbox.set_faults(every("imatag.submit", Moment::After, Action::Defect(Defect::BrokenContainer)));
    bench.sync().await.assert_code(6);
    let outcome = bench.outcome(&id).await;
    let is_bad = |failure: &Failure| failure.class == FailureClass::BadResult;
    assert!(matches!(&outcome, Some(Outcome::Failed(failure)) if is_bad(failure)), "{outcome:?}");
    let stats = bench.sandbox.stats();
    assert!(stats.parts >= 2, "no part was sent: this proves nothing");
    assert_eq!(stats.imports, 0);
    let asset = bench.asset(&id);
    assert_eq!((asset.versions.len(), asset.marker), (1, None));
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_fails_while_the_result_arrives_begins_again_with_the_file_that_is_there() {
    for endpoint in ["bynder.upload_init", "bynder.upload_step"] {
        let (bench, id) = bench("version", 0).await;
        let action = if endpoint == "bynder.upload_init" { unavailable() } else { forbidden() };
        bench.sandbox.set_faults(once(endpoint, Moment::Before, action));
        bench.sync().await.assert_code(0);
        assert!(is_protected(&bench.asset(&id)), "{endpoint}");
        assert_clean(&bench.sandbox.audit());
        assert_eq!(["imatag.storage", "bynder.upload_init"].map(|endpoint| count(&bench, endpoint)), [1, 2]);
        assert_eq!(bench.sandbox.stats().imports, 1);
    }
}

fn forbidden() -> Action {
    Action::Answer { status: 403, body: "{}".to_owned(), content_type: "application/json".to_owned() }
}

/// Returns whether its upload had begun by then.
async fn die_at(point: u64) -> bool {
    let (bench, id) = bench("version", 0).await;
    // A job that may have had a request under way waits it out.
    bench.set_request_timeout(4);
    bench.run_with(&SYNC, &[("CONNECTOR_CRASH_AT", point.to_string())]).await;
    let begun = bench.sandbox.stats().requests.contains_key("bynder.upload_init");
    let again = bench.sync().await;
    assert_eq!(again.code, Some(0), "after dying at {point}: {again:#?}");
    assert_clean(&bench.sandbox.audit());
    let asset = bench.asset(&id);
    assert_eq!((asset.made, asset.media, is_protected(&asset)), (1, 1, true), "after dying at {point}");
    begun
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_point_from_its_upload_on_the_film_ends_protected_once() {
    let points = {
        let (bench, _) = bench("version", 0).await;
        let count = bench.path("count");
        let counting = [("CONNECTOR_CRASH_COUNT", count.display().to_string())];
        bench.run_with(&SYNC, &counting).await.assert_code(0);
        std::fs::read_to_string(count).unwrap().lines().count() as u64
    };
    let mut first = points / 2;
    while die_at(first).await {
        first -= 1;
    }
    let deaths = futures::stream::iter(first..=points).map(|point| tokio::spawn(die_at(point)));
    let ended: Vec<_> = deaths.buffer_unordered(6).collect().await;
    for ended in ended {
        ended.unwrap();
    }
}
