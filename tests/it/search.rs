//! A search at Imatag is believed only when it was read to its end and shows nothing of other assets.

use sandbox::{NewVersion, NextLink, Options, Search};

use crate::harness::scene::lost_once;
use crate::harness::{Bench, assert_clean, is_protected, picture, quick};

async fn bench(search: Search) -> Bench {
    let bench = Bench::new(Options { search, ..quick() }).await;
    bench.set_request_timeout(3);
    bench
}

/// A library of one asset of which Imatag has three files, the last without an answer to its submit.
async fn third_file_submitted_without_an_answer(bench: &Bench) -> String {
    let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    bench.sync().await.assert_code(0);
    for seed in [2, 3] {
        let work = NewVersion { seed: Some(seed), ..NewVersion::default() };
        bench.sandbox.new_version(&id, &work).unwrap().unwrap();
        bench.until_listed().await;
        if seed == 3 {
            bench.sandbox.set_faults(lost_once("imatag.submit"));
        }
        bench.sync().await;
    }
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_medium_on_a_later_page_is_found_whatever_scheme_the_links_name() {
    for next in [NextLink::AsAsked, NextLink::OtherScheme] {
        let bench = bench(Search { page_size: Some(1), next, ..Search::default() }).await;
        let id = third_file_submitted_without_an_answer(&bench).await;
        let asset = bench.asset(&id);
        assert_eq!((asset.media, is_protected(&asset)), (3, true), "{next:?}");
        assert_clean(&bench.sandbox.audit());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_continues_on_another_host_stops_the_run_and_pays_for_nothing_twice() {
    let bench = bench(Search { page_size: Some(1), next: NextLink::OtherHost, ..Search::default() }).await;
    let id = third_file_submitted_without_an_answer(&bench).await;
    let stopped = bench.sync().await;
    assert!(stopped.assert_code(3).talk.contains("not on the configured host"), "{stopped:#?}");
    assert!(bench.asset(&id).media <= 3);
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_does_not_end_stops_the_run_after_twenty_pages_and_nothing_is_paid_for() {
    let bench = bench(Search { page_size: Some(1), next: NextLink::Endless, ..Search::default() }).await;
    bench.reconfigure("[worker]\n", "[worker]\nconcurrency = 1\n");
    bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    let stopped = bench.sync().await;
    assert!(stopped.assert_code(3).talk.contains("has more than 20 pages"), "{stopped:#?}");
    let requests = bench.sandbox.stats().requests;
    assert_eq!(requests.get("imatag.submit"), None);
    assert_eq!(requests["imatag.find"] % 20, 0, "{requests:?}");
    assert_eq!(bench.run(&["failed", "list"]).await.assert_code(0).out, "", "a wrong wire fails no job");
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_ignores_the_filter_stops_the_run_and_doctor_and_trial_say_so() {
    let bench = bench(Search { ignores_filters: true, ..Search::default() }).await;
    let sample = bench.path("sample.jpg");
    let file = sample_files::file(sample_files::Format::Jpeg, 7, 64, 48);
    std::fs::write(&sample, file).unwrap();
    let sample = sample.display().to_string();
    // Nothing is there yet that could show it; after the submit something is.
    bench.run(&["doctor"]).await.assert_code(0);
    let tried = bench.run(&["trial", &sample, "--yes", "--record"]).await;
    let refuted = "NOT CONFIRMED  [response] metadata: ";
    let words = "the service ignores the filter by bynder_media_id";
    assert!(tried.assert_code(6).out.contains(refuted) && tried.out.contains(words), "{tried:#?}");
    let doctor = bench.run(&["doctor"]).await;
    assert!(doctor.assert_code(3).out.contains(words), "{doctor:#?}");
    for number in 0..5 {
        bench.sandbox.add_asset(picture(&format!("{number}.jpg"), number)).unwrap();
    }
    let stopped = bench.sync().await;
    assert!(stopped.assert_code(3).talk.contains(words), "{stopped:#?}");
    assert_eq!(bench.sandbox.stats().requests["imatag.submit"], 1, "only the trial's file was paid for");
    let failed = bench.run(&["failed", "list"]).await;
    assert_eq!(failed.assert_code(0).out, "", "a wrong wire fails no job");
}
