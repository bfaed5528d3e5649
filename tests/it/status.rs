//! What librarians see of an asset, at no further call.

use sandbox::faults::{Action, Moment};

use crate::harness::scene::every;
use crate::harness::{Bench, assert_clean, picture, quick, until};

/// One asset, and a metaproperty for its status.
async fn told() -> (Bench, String) {
    let (bench, id) = Bench::with_asset(picture("one.jpg", 1)).await;
    bench.reconfigure("[bynder]\n", "[bynder]\nstatus_metaproperty = 'imatag_status'\n");
    (bench, id)
}

async fn until_told(bench: &Bench, id: &str, words: &str) {
    until(|| bench.asset(id).status.is_some_and(|status| status.starts_with(words))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_told_in_the_markers_own_call_what_became_of_an_asset() {
    let (bench, id) = told().await;
    bench.set_request_timeout(15);
    bench.sync().await.assert_code(0);
    until_told(&bench, &id, "protected 20").await;
    assert_eq!(bench.sandbox.stats().requests["bynder.modify"], 1);
    bench.run(&["restore", "--ids", &id, "--yes"]).await.assert_code(0);
    until_told(&bench, &id, "opted-out 20").await;
    assert_eq!(bench.sandbox.stats().requests["bynder.modify"], 2);
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_after_it_wrote_the_marker_says_why() {
    let (bench, id) = told().await;
    let refusal =
        Action::Answer { status: 400, body: "no".to_owned(), content_type: "text/plain".to_owned() };
    bench.sandbox.set_faults(every("bynder.save", Moment::Before, refusal));
    bench.sync().await.assert_code(6);
    until_told(&bench, &id, "failed 20").await;
    assert!(bench.asset(&id).status.unwrap().contains("refused: "));
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_metaproperty_that_cannot_be_written_is_named_before_anything_is_done() {
    let bench = Bench::new(quick()).await;
    for (name, words) in
        [("imatag_statis", "did you mean \"imatag_status\"?"), ("Fixed_Text", "is not editable")]
    {
        bench.configure("");
        bench.reconfigure("[bynder]\n", &format!("[bynder]\nstatus_metaproperty = '{name}'\n"));
        let refused = bench.sync().await;
        let talk = &refused.assert_code(3).talk;
        assert!(talk.contains("bynder.status_metaproperty: ") && talk.contains(words), "{talk}");
    }
}
