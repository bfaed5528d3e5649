//! Faults on every endpoint change neither what becomes of an asset nor how often it is touched.

use std::time::Duration;

use common::outcome::{FailureClass, Outcome};
use ledger::Ledger;
use ledger::state::State;
use sandbox::faults::{Action, Faults, Moment, Rule, of_all_kinds};
use sandbox::{NewAsset, NewFile};

use crate::harness::scene::{every, lost_once, once};
use crate::harness::{Bench, MODES, assert_clean, is_protected, picture, quick, saved_versions};

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_assets_under_random_faults_end_as_planted() {
    let seed = rand::random();
    println!("seed {seed}");
    let bench = Bench::new(sandbox::Options { assets: 300, ..quick() }).await;
    run_under_faults(&bench, seed).await;
    bench.assert_ended_as_planted().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mode_makes_its_file_once_under_random_faults_with_two_jobs_of_some_assets() {
    for mode in MODES {
        let seed = rand::random();
        println!("seed {seed}");
        let bench = Bench::new(quick()).await;
        bench.set_mode(mode);
        for number in 0..60 {
            let id = bench.sandbox.add_asset(picture(&format!("{number}.jpg"), number)).unwrap();
            if number.is_multiple_of(4) {
                bench.take_in_again(&id, "another").await;
            }
        }
        run_under_faults(&bench, seed).await;
        for asset in bench.sandbox.audit().assets.iter().filter(|asset| asset.copy_of.is_none()) {
            assert_eq!((asset.made, asset.media, is_protected(asset)), (1, 1, true), "{asset:#?}");
        }
    }
}

pub(crate) async fn run_under_faults(bench: &Bench, seed: u64) {
    // Enough of them time out by fault.
    bench.set_request_timeout(4);
    bench.sandbox.set_faults(of_all_kinds(seed, 0.03));
    let mut runs = 0;
    loop {
        let ran = bench.sync().await;
        runs += 1;
        // What is asked before any job runs is not repeated: the person runs the command again.
        if matches!(ran.code, Some(0 | 6)) {
            break;
        }
        assert!(runs < 40, "it never gets through: {ran:#?}");
    }
    bench.sandbox.set_faults(Faults::default());
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_any_effect_is_looked_up_and_not_repeated() {
    for mode in MODES {
        let effects = match mode {
            "version" => {
                ["imatag.submit", "bynder.save", "bynder.modify", "bynder.upload_step", "bynder.upload_init"]
                    .as_slice()
            }
            "copy" => &["bynder.save_new", "bynder.modify"],
            _ => &["bynder.save_additional", "bynder.modify"],
        };
        for endpoint in effects {
            let late = Action::Delay(Duration::from_millis(1300));
            for action in [Action::Reset, Action::Truncate, late] {
                let (bench, id) = Bench::with_asset_in(mode, picture("one.jpg", 1)).await;
                bench.sandbox.set_faults(once(endpoint, Moment::After, action.clone()));
                let ran = bench.sync().await;
                let asset = bench.asset(&id);
                assert_eq!(ran.code, Some(0), "{mode} {endpoint} {action:?}: {ran:#?}");
                assert_clean(&bench.sandbox.audit());
                let counted = (saved_versions(&asset), asset.media, is_protected(&asset));
                assert_eq!(counted, (1, 1, true), "{mode} {endpoint} {action:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_breaks_off_goes_on_and_nothing_that_arrived_is_sent_again() {
    for (mode, endpoint, moment, action) in [
        ("version", "s3.file", Moment::After, Action::Truncate),
        ("version", "imatag.storage", Moment::After, Action::Truncate),
        ("version", "s3.part", Moment::Before, Action::Reset),
        ("copy", "s3.part", Moment::Before, Action::Reset),
        ("additional", "s3.part", Moment::Before, Action::Reset),
    ] {
        // Three parts of at most 5 MiB; of them, the second that arrives is hit.
        let file = NewFile::Large(11 << 20);
        let bench = Bench::new(quick()).await;
        bench.set_mode(mode);
        bench.reconfigure("[bynder]\n", "[bynder]\npart_size = '5 MiB'\n");
        // Each request counts here.
        bench.set_request_timeout(15);
        let id =
            bench.sandbox.add_asset(NewAsset { file: Some(file), ..NewAsset::new("film.tif", Vec::new()) });
        let id = id.unwrap();
        let skip = u64::from(endpoint == "s3.part");
        let mut faults = once(endpoint, moment, action);
        faults.rules[0].skip = skip;
        bench.sandbox.set_faults(faults);
        let ran = bench.sync().await;
        assert_eq!(ran.code, Some(0), "{endpoint}: {ran:#?}");
        assert!(is_protected(&bench.asset(&id)), "{endpoint}");
        let requests = bench.sandbox.stats().requests;
        let count = |name: &str| requests.get(name).copied().unwrap_or_default();
        // The place of the file, of the upload; three parts to register, and the whole to finish where it becomes an import.
        let once_each = ["bynder.download", "bynder.upload_init", "imatag.submit"].map(count);
        let steps = if mode == "additional" { 3 } else { 4 };
        assert_eq!((once_each, count("bynder.upload_step")), ([1, 1, 1], steps), "{mode} {endpoint}");
        let transfers = ["s3.file", "imatag.storage", "s3.part"];
        let expected =
            transfers.map(|name| u64::from(name == endpoint) + if name == "s3.part" { 3 } else { 1 });
        assert_eq!(transfers.map(count), expected, "{endpoint}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_without_an_announced_length_wait_for_the_spool_one_after_another_at_no_cost() {
    let bench = Bench::new(sandbox::Options { announces_no_length: true, ..quick() }).await;
    bench.set_request_timeout(15);
    // Each takes more than half of it.
    bench.reconfigure("[worker]\n", "[worker]\nspool_max = '256 KiB'\nconcurrency = 4\n");
    let file = |seed| sample_files::file(sample_files::Format::Tiff, seed, 300, 200);
    let ids: Vec<_> =
        (0..8).map(|seed| bench.sandbox.add_asset(NewAsset::new("one.tif", file(seed))).unwrap()).collect();
    bench.sync().await.assert_code(0);
    let ledger = Ledger::new(State::open_to_read(&bench.path("state")).unwrap().unwrap());
    for id in &ids {
        assert!(is_protected(&bench.asset(id)));
        let events = ledger.outcomes_of(&id.parse().unwrap()).await.unwrap();
        assert_eq!(events.iter().map(|event| event.attempts).collect::<Vec<_>>(), [0], "{events:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_page_in_the_place_of_a_file_of_unknown_length_is_not_taken_for_it() {
    let missing = NewAsset { file: None, ..NewAsset::new("one.jpg", Vec::new()) };
    let (bench, id) = Bench::with_asset(missing).await;
    let page = Action::Answer {
        status: 200,
        body: "<p>maintenance</p>".to_owned(),
        content_type: "text/html".to_owned(),
    };
    bench.sandbox.set_faults(once("bynder.download", Moment::Before, page.clone()));
    bench.sync().await.assert_code(6);
    let Some(Outcome::Failed(failure)) = bench.outcome(&id).await else { panic!("it has no file") };
    assert_eq!(failure.class, FailureClass::NoOriginal, "{failure:?}");
    let empty = bench.sandbox.add_asset(NewAsset::new("two.jpg", Vec::new())).unwrap();
    bench.sandbox.set_faults(once("s3.file", Moment::After, page));
    bench.sync().await.assert_code(6);
    let Some(Outcome::Failed(failure)) = bench.outcome(&empty).await else { panic!("its file is empty") };
    assert_eq!(failure.class, FailureClass::NoOriginal, "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_page_in_the_place_of_a_saved_version_does_not_make_it_a_persons() {
    let (bench, id) = Bench::with_asset(picture("one.jpg", 1)).await;
    let page = Action::Answer {
        status: 200,
        body: "<p>maintenance</p>".to_owned(),
        content_type: "text/html".to_owned(),
    };
    let mut faults = lost_once("bynder.save");
    // After the original, the file is fetched to learn whose the version is that the save may have made.
    faults.rules.push(Rule { skip: 1, ..once("s3.file", Moment::Before, page).rules.remove(0) });
    bench.set_request_timeout(5);
    bench.sandbox.set_faults(faults);
    bench.sync().await.assert_code(0);
    let outcome = bench.outcome(&id).await;
    assert!(matches!(outcome, Some(Outcome::Watermarked { version: 2 })), "{outcome:?}");
    assert_eq!(bench.sandbox.stats().requests["s3.file"], 3);
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_takes_longer_than_its_client_is_not_done_twice() {
    let effects = [
        ("version", "imatag.submit"),
        ("version", "bynder.save"),
        ("copy", "bynder.save_new"),
        ("additional", "bynder.save_additional"),
    ];
    for (mode, endpoint) in effects {
        let (bench, id) = Bench::with_asset_in(mode, picture("one.jpg", 1)).await;
        // The client gives up after a second; the effect comes later, and the suspect wait outlasts it.
        let late = Action::Delay(Duration::from_millis(1200));
        bench.sandbox.set_faults(once(endpoint, Moment::Before, late));
        bench.sync().await.assert_code(0);
        let asset = bench.asset(&id);
        assert_clean(&bench.sandbox.audit());
        assert_eq!((saved_versions(&asset), asset.media), (1, 1), "{endpoint}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_stops_the_run_at_once_and_keeps_its_jobs() {
    let bench = Bench::new(sandbox::Options { assets: 20, ..quick() }).await;
    let refused = Action::Answer {
        status: 401,
        body: "Invalid or expired token.\n".to_owned(),
        content_type: "text/plain".to_owned(),
    };
    bench.sandbox.set_faults(every("bynder.download", Moment::Before, refused));
    let stopped = bench.sync().await;
    stopped.assert_code(4);
    assert!(stopped.talk.contains("does not accept the token"), "{stopped:#?}");
    assert!(stopped.talk.contains("jobs are kept"), "{stopped:#?}");
    bench.sandbox.set_faults(Faults::default());
    bench.sync().await.assert_code(6);
    assert_clean(&bench.sandbox.audit());
    bench.assert_ended_as_planted().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_may_not_write_stops_the_run_before_the_library_is_paid_for() {
    let bench = Bench::new(quick()).await;
    for seed in 0..60 {
        bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap();
    }
    let refused =
        Action::Answer { status: 403, body: "{}".to_owned(), content_type: "application/json".to_owned() };
    bench.sandbox.set_faults(every("bynder.modify", Moment::Before, refused));
    let stopped = bench.sync().await;
    stopped.assert_code(4);
    let submitted = bench.sandbox.stats().requests.get("imatag.submit").copied().unwrap_or_default();
    assert!(submitted <= 40, "{submitted} of 60 files were submitted");
    bench.sandbox.set_faults(Faults::default());
    bench.run(&["failed", "replay", "--yes"]).await.assert_code(0);
    bench.sync().await.assert_code(0);
    assert_clean(&bench.sandbox.audit());
    assert!(bench.sandbox.audit().assets.iter().all(is_protected));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_for_too_many_requests_silences_the_program() {
    let (bench, id) = Bench::with_asset(picture("one.jpg", 1)).await;
    let refused = Action::Answer { status: 429, body: String::new(), content_type: "text/plain".to_owned() };
    bench.sandbox.set_faults(once("bynder.upload_init", Moment::Before, refused));
    let mut child = bench.spawn(&["sync", "--full", "--quiet"]);
    crate::harness::until(|| bench.sandbox.stats().requests.contains_key("bynder.upload_init")).await;
    let calls = bench.sandbox.stats().portal_calls;
    // Long enough for every rung of the queue to come round.
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.sandbox.stats().portal_calls, calls);
    child.kill().await.unwrap();
    assert_clean(&bench.sandbox.audit());
    assert!(!is_protected(&bench.asset(&id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_is_not_the_same_picture_never_reaches_the_library() {
    let other = Action::Answer {
        status: 200,
        body: "GIF89a, not a JPEG at all".to_owned(),
        content_type: "image/jpeg".to_owned(),
    };
    let empty = Action::Answer { status: 200, body: String::new(), content_type: "image/jpeg".to_owned() };
    for wrong in [other, empty] {
        let (bench, id) = Bench::with_asset(picture("one.jpg", 1)).await;
        bench.sandbox.set_faults(once("imatag.storage", Moment::After, wrong));
        bench.sync().await.assert_code(6);
        let outcome = bench.outcome(&id).await;
        assert!(
            matches!(&outcome, Some(Outcome::Failed(failure)) if failure.class == FailureClass::BadResult),
            "{outcome:?}"
        );
        let asset = bench.asset(&id);
        assert_eq!((asset.versions.len(), asset.marker), (1, None));
    }
}
