//! Three wires with other paths, field names and styles of answer, told apart by the profile file alone.

use common::outcome::{FailureClass, Outcome};
use nix::sys::signal::Signal;
use sandbox::faults::{Action, Faults, Moment};
use sandbox::{Edit, NewAsset, NewFile, NewVersion, Options};

use crate::faults::run_under_faults;
use crate::harness::broker::free_ports;
use crate::harness::fleet::{Fleet, signal};
use crate::harness::page::shows;
use crate::harness::scene::{every, once};
use crate::harness::{Bench, assert_clean, is_protected, picture, profile, quick, until, until_async};

/// As short as a request: a suspect submit waits for as long as its answer may take.
const DEADLINE: &str = "[imatag.profile_overrides]\npolling.deadline = '1s'";

pub(crate) fn bytes(bench: &Bench) -> String {
    let (announcement, address) = (bench.sandbox.announcement(), bench.sandbox.address());
    format!(
        "api_key = '{}'\ndirectory = '{}'\nbase_url = 'http://{address}/wire-b'\nprofile = '{}'\n{DEADLINE}",
        announcement.api_key,
        announcement.directory,
        profile("bytes.toml").display()
    )
}

pub(crate) fn link(bench: &Bench) -> String {
    let (announcement, address) = (bench.sandbox.announcement(), bench.sandbox.address());
    format!(
        "directory = '{}'\nbase_url = 'http://{address}/wire-c'\nprofile = '{}'\n\
         oauth = {{ client_id = '{}', client_secret = '{}', token_url = 'http://{address}/wire-c/token' }}\n{DEADLINE}",
        announcement.directory,
        profile("link.toml").display(),
        announcement.client_id,
        announcement.client_secret,
    )
}

fn answer(status: u16, body: &str) -> Action {
    Action::Answer { status, body: body.to_owned(), content_type: "application/json".to_owned() }
}

/// Imatag is done as soon as it has the file.
fn at_once() -> Options {
    Options { watermark_time: std::time::Duration::ZERO, ..quick() }
}

async fn library(options: Options, wire: fn(&Bench) -> String) -> Bench {
    let bench = Bench::new(Options { assets: 30, ..options }).await;
    bench.configure_imatag(&wire(&bench), "");
    // Without `find`, a request that times out ends its job.
    bench.set_request_timeout(15);
    bench.sync().await.assert_code(6);
    assert_clean(&bench.sandbox.audit());
    bench.assert_ended_as_planted().await;
    bench
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wire_that_answers_with_the_bytes_ends_as_planted() {
    library(quick(), bytes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wire_that_answers_with_a_link_at_once_or_later_ends_as_planted() {
    library(quick(), link).await;
    library(at_once(), link).await;
}

/// Where a result comes with the answer to a submit, whatever breaks afterwards is repeated without another submit.
#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_came_at_once_and_was_lost_is_fetched_again_and_not_paid_for_twice() {
    for (wire, endpoint, moment, action) in [
        (link as fn(&Bench) -> String, "imatag.storage", Moment::Before, Action::Reset),
        (link, "imatag.storage", Moment::After, Action::Truncate),
        (link, "bynder.upload_init", Moment::Before, answer(503, "")),
        (bytes, "imatag.submit", Moment::After, Action::Truncate),
        (bytes, "bynder.upload_init", Moment::Before, answer(503, "")),
    ] {
        let bench = Bench::new(at_once()).await;
        let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
        bench.configure_imatag(&wire(&bench), "");
        bench.set_request_timeout(3);
        bench.sandbox.set_faults(once(endpoint, moment, action.clone()));
        let ran = bench.sync().await;
        let asset = bench.asset(&id);
        assert_eq!((asset.media, is_protected(&asset)), (1, true), "{endpoint} {action:?}: {ran:#?}");
        assert_clean(&bench.sandbox.audit());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_imatag_knows_already_is_not_submitted_again_when_its_record_is_not_confirmed() {
    for wire in [link as fn(&Bench) -> String, bytes] {
        let bench = Bench::new(at_once()).await;
        let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
        bench.configure_imatag(&wire(&bench), "");
        bench.set_request_timeout(3);
        bench.sync().await.assert_code(0);
        let submits = || bench.sandbox.stats().requests["imatag.submit"];
        assert_eq!(submits(), 1);
        // The watermarked file without its record, as after a person emptied the metaproperty.
        bench.sandbox.edit(&id, Edit { marker: Some(String::new()), ..Edit::default() }).unwrap();
        std::fs::remove_dir_all(bench.path("state")).unwrap();
        bench.sandbox.set_faults(once("bynder.modify", Moment::After, Action::Reset));
        until_async(async || {
            bench.sync().await.assert_code(0);
            bench.outcome(&id).await == Some(Outcome::AlreadyProtected)
        })
        .await;
        assert_eq!(submits(), 2);
        assert_clean(&bench.sandbox.audit());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wires_of_every_kind_under_random_faults_pay_for_nothing_twice() {
    for (options, wire) in
        [(quick(), bytes as fn(&Bench) -> String), (at_once(), bytes), (quick(), link), (at_once(), link)]
    {
        let seed = rand::random();
        println!("seed {seed}");
        let bench = Bench::new(Options { assets: 60, ..options }).await;
        bench.configure_imatag(&wire(&bench), "");
        bench.set_request_timeout(3);
        run_under_faults(&bench, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_result_that_nobody_can_ask_for_again_is_not_paid_for_twice() {
    for (endpoint, moment, action) in [
        ("imatag.submit", Moment::After, Action::Truncate),
        ("bynder.upload_init", Moment::Before, answer(503, "")),
        ("bynder.save", Moment::Before, answer(404, r#"{"message": "no such import"}"#)),
    ] {
        let bench = Bench::new(at_once()).await;
        let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
        let whole = std::fs::read_to_string(profile("bytes.toml")).unwrap();
        let (before, rest) = whole.split_once("[find]").unwrap();
        let (_, after) = rest.split_once("[response]").unwrap();
        let nameless = format!("{before}[response]{after}").replace("id_header", "# id_header");
        std::fs::write(bench.path("nameless.toml"), nameless).unwrap();
        let known = profile("bytes.toml").display().to_string();
        let wire = bytes(&bench).replace(&known, &bench.path("nameless.toml").display().to_string());
        bench.configure_imatag(&wire, "");
        bench.sandbox.set_faults(once(endpoint, moment, action.clone()));
        bench.sync().await.assert_code(6);
        let outcome = bench.outcome(&id).await;
        let Some(Outcome::Failed(failure)) = &outcome else { panic!("{endpoint}: {outcome:?}") };
        assert_eq!(failure.class, FailureClass::Ambiguous, "{endpoint}: {failure:?}");
        bench.until_listed().await;
        let asset = bench.asset(&id);
        // What was written ahead of the save that did not come is taken back.
        assert_eq!((asset.media, asset.marker.unwrap_or_default()), (1, String::new()), "{endpoint}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_original_below_a_version_as_long_as_its_watermarked_file_is_paid_for_once() {
    let bench = Bench::new(quick()).await;
    let long = Some(1 << 20);
    let file = long.map(NewFile::Striped);
    let id = bench.sandbox.add_asset(NewAsset { file, ..picture("one.tif", 1) }).unwrap();
    for work in [
        NewVersion { large: long, seed: Some(9), ..NewVersion::default() },
        NewVersion { restore: Some(1), ..NewVersion::default() },
    ] {
        bench.sandbox.new_version(&id, &work).unwrap().unwrap();
    }
    // Nobody can be asked here whether the file was submitted before.
    bench.configure_imatag(&link(&bench), "");
    bench.set_request_timeout(15);
    bench.until_listed().await;
    bench.sync().await.assert_code(0);
    assert_eq!(bench.outcome(&id).await, Some(Outcome::Watermarked { version: 3 }));
    let lengths: Vec<_> = bench.asset(&id).versions.iter().map(|version| version.bytes).collect();
    assert_eq!(lengths[1], lengths[2], "it shows nothing");
    assert_eq!(bench.asset(&id).media, 1);
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_find_an_ambiguous_submit_parks_the_job_and_names_the_way_out() {
    let (bench, id) = Bench::with_asset(picture("one.jpg", 1)).await;
    bench.configure_imatag(&link(&bench), "");
    bench.sandbox.set_faults(once("imatag.submit", Moment::After, Action::Reset));
    bench.sync().await.assert_code(6);
    let outcome = bench.outcome(&id).await;
    let Some(Outcome::Failed(failure)) = &outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.class, FailureClass::Ambiguous);
    assert!(failure.reason.contains("imatag.resubmit_unknown"), "{}", failure.reason);
    let asset = bench.asset(&id);
    assert_eq!((asset.media, is_protected(&asset)), (1, false));
    let listed = bench.run(&["failed", "list", "--class", "ambiguous"]).await;
    assert!(listed.out.contains(&id), "{listed:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_does_not_exist_stops_the_run_instead_of_failing_every_job() {
    let bench = Bench::new(Options { assets: 30, ..quick() }).await;
    let wrong = bytes(&bench).replace("/wire-b", "/wire-b/old");
    bench.configure_imatag(&wrong, "");
    let ran = bench.sync().await;
    ran.assert_code(3);
    assert!(ran.talk.contains("the wire profile does not fit this service"), "{ran:#?}");
    bench.configure_imatag(&bytes(&bench), "");
    bench.sync().await.assert_code(6);
    bench.assert_ended_as_planted().await;
}

/// The assumed wire with an OAuth2 application in place of a key.
fn assumed_with_oauth(bench: &Bench, secret: &str) -> String {
    let (announcement, address) = (bench.sandbox.announcement(), bench.sandbox.address());
    format!(
        "directory = '{}'\nbase_url = '{}'\n\
         oauth = {{ client_id = '{}', client_secret = '{secret}', token_url = 'http://{address}/wire-c/token' }}\n{DEADLINE}",
        announcement.directory, announcement.imatag, announcement.client_id,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_builtin_profile_signs_a_token_with_its_own_word_and_renews_one_that_is_refused_with_403() {
    let options = Options { refuses_credentials_with_403: true, ..quick() };
    let bench = Bench::new(options).await;
    let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    let secret = bench.sandbox.announcement().client_secret.clone();
    bench.configure_imatag(&assumed_with_oauth(&bench, &secret), "");
    bench.set_request_timeout(15);
    bench.sandbox.set_faults(once(
        "imatag.find",
        Moment::Before,
        answer(403, r#"{"detail": "Invalid token."}"#),
    ));
    bench.sync().await.assert_code(0);
    assert!(is_protected(&bench.asset(&id)));
    assert_eq!(bench.sandbox.stats().requests["imatag.token"], 2);
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_refused_with_403_is_a_credential_and_no_directory() {
    let options = Options { refuses_credentials_with_403: true, ..quick() };
    let bench = Bench::new(options).await;
    bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    bench.reconfigure("api_key = '", "api_key = 'x");
    let ran = bench.sync().await;
    assert!(ran.assert_code(4).talk.contains("check imatag.api_key or imatag.oauth"), "{ran:#?}");
}

const MISSING_FIELD: &str = r#"{"file_name": ["This field is required."]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_field_name_that_the_service_does_not_know_stops_the_run_fails_no_job_and_a_trial_lifts_it() {
    for status in [400, 415, 422] {
        let bench = Bench::new(quick()).await;
        bench.set_request_timeout(15);
        let add = |seed| bench.sandbox.add_asset(picture(&format!("{seed}.jpg"), seed)).unwrap();
        let ids: Vec<_> = (1..=25).map(add).collect();
        bench.sandbox.set_faults(every("imatag.submit", Moment::Before, answer(status, MISSING_FIELD)));
        // Neither run does what the profile does not allow, and neither fails a job for it.
        for _ in 0..2 {
            let ran = bench.sync().await;
            let talk = &ran.assert_code(3).talk;
            assert!(
                talk.contains("This field is required.") && talk.contains("25 jobs are kept"),
                "{ran:#?}"
            );
        }
        for id in &ids {
            assert_eq!(bench.outcome(id).await, None);
        }
        bench.sandbox.set_faults(Faults::default());
        let sample = bench.path("sample.jpg");
        std::fs::write(&sample, sample_files::file(sample_files::Format::Jpeg, 99, 64, 48)).unwrap();
        bench.run(&["trial", sample.to_str().unwrap(), "--yes"]).await.assert_code(0);
        // From here on a refusal is the file's own.
        bench.sandbox.set_faults(once("imatag.submit", Moment::Before, answer(status, MISSING_FIELD)));
        bench.sync().await.assert_code(6);
        let mut refused = Vec::new();
        for id in &ids {
            match bench.outcome(id).await {
                Some(Outcome::Failed(failure)) => refused.push(failure.class),
                outcome => assert!(is_protected(&bench.asset(id)), "{outcome:?}"),
            }
        }
        assert_eq!(refused, [FailureClass::Unsupported], "{status}");
        let mut audit = bench.sandbox.audit();
        // The trial's own medium belongs to no asset.
        audit.violations.retain(|violation| !violation.asset_id.starts_with("trial-"));
        assert_clean(&audit);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_stops_at_a_profile_that_every_file_is_refused_with_and_continues_by_itself_once_one_is_accepted()
 {
    let fleet = Fleet::new(quick()).await;
    fleet.bench.set_request_timeout(15);
    let add = |seed| fleet.bench.sandbox.add_asset(picture(&format!("{seed}.jpg"), seed)).unwrap();
    let ids: Vec<_> = (1..=25).map(add).collect();
    fleet.bench.sandbox.set_faults(every("imatag.submit", Moment::Before, answer(422, MISSING_FIELD)));
    let [port] = free_ports();
    let start = || fleet.worker_with(&[("CONNECTOR_HTTP__LISTEN", format!("127.0.0.1:{port}"))]);
    let queue = fleet.queue().await;
    let mut worker = start();
    fleet.publish().await.assert_code(0);
    // A worker that is started anew stops as well: it has seen no file accepted.
    for round in 1..=2 {
        shows(port, "/readyz", "its address or profile may be wrong").await;
        shows(port, "/metrics", "connector_breaker_open{service=\"imatag\"} 1").await;
        // In hand are the probes alone, one at a time.
        until_async(async || queue.connection.depth().await.unwrap().open() >= 24).await;
        // Each asset once, and those again that were in hand before the twentieth.
        assert!(fleet.requests("imatag.submit") <= round * 50);
        assert_eq!(queue.connection.depth().await.unwrap().failed, 0);
        if round == 1 {
            signal(&worker, Signal::SIGTERM);
            assert_eq!(worker.wait().await.unwrap().code(), Some(0));
            worker = start();
        }
    }
    // Nobody but the worker's own probe finds out.
    let refused = fleet.requests("imatag.submit");
    until(|| fleet.requests("imatag.submit") > refused).await;
    fleet.bench.sandbox.set_faults(Faults::default());
    until(|| ids.iter().all(|id| is_protected(&fleet.bench.asset(id)))).await;
    shows(port, "/readyz", "200 OK").await;
    fleet.sync_until_recorded().await;
    assert!(fleet.failed().await.is_empty());
    fleet.assert_all_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_refused_files_end_as_unsupported_before_any_was_accepted() {
    let bench = Bench::new(quick()).await;
    bench.set_request_timeout(15);
    let add = |seed| bench.sandbox.add_asset(picture(&format!("{seed}.jpg"), seed)).unwrap();
    let ids: Vec<_> = (1..=3).map(add).collect();
    bench.sandbox.set_faults(every("imatag.submit", Moment::Before, answer(422, MISSING_FIELD)));
    bench.sync().await.assert_code(6);
    for id in &ids {
        let outcome = bench.outcome(id).await;
        let Some(Outcome::Failed(failure)) = &outcome else { panic!("{outcome:?}") };
        assert_eq!(failure.class, FailureClass::Unsupported, "{failure:?}");
    }
}
