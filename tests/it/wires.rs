//! Three wires with other paths, field names and styles of answer, told apart by the profile file alone.

use common::outcome::{FailureClass, Outcome};
use sandbox::Options;
use sandbox::faults::{Action, Faults, Moment, Rule};

use crate::harness::{Bench, assert_clean, is_protected, picture, profile, quick};

fn bytes(bench: &Bench) -> String {
    let (announcement, address) = (bench.sandbox.announcement(), bench.sandbox.address());
    format!(
        "api_key = '{}'\ndirectory = '{}'\nbase_url = 'http://{address}/wire-b'\nprofile = '{}'",
        announcement.api_key,
        announcement.directory,
        profile("bytes.toml").display()
    )
}

fn link(bench: &Bench) -> String {
    let (announcement, address) = (bench.sandbox.announcement(), bench.sandbox.address());
    format!(
        "directory = '{}'\nbase_url = 'http://{address}/wire-c'\nprofile = '{}'\n\
         oauth = {{ client_id = '{}', client_secret = '{}', token_url = 'http://{address}/wire-c/token' }}",
        announcement.directory,
        profile("link.toml").display(),
        announcement.client_id,
        announcement.client_secret,
    )
}

async fn library(options: Options, wire: fn(&Bench) -> String) -> Bench {
    let bench = Bench::new(Options { assets: 30, ..options }).await;
    bench.configure_imatag(&wire(&bench), "");
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
    library(Options { watermark_time: std::time::Duration::ZERO, ..quick() }, link).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_find_an_ambiguous_submit_parks_the_job_and_names_the_way_out() {
    let (bench, id) = Bench::with_asset(picture("one.jpg", 1)).await;
    bench.configure_imatag(&link(&bench), "");
    let rule = Rule {
        endpoint: "imatag.submit".to_owned(),
        probability: 1.0,
        skip: 0,
        times: Some(1),
        moment: Moment::After,
        action: Action::Reset,
    };
    bench.sandbox.set_faults(Faults { seed: 1, rules: vec![rule] });
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
