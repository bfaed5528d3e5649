//! What the ledger holds: reports, and whose a leaked file is.

use serde_json::Value;

use crate::harness::{Bench, picture, quick};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_holds_versions_hashes_ids_and_outcome_of_each_asset() {
    let bench = Bench::new(quick()).await;
    let id = bench.sandbox.add_asset(picture("=HYPERLINK(1).jpg", 1)).unwrap();
    let noted = bench.sandbox.add_asset(picture("noted.jpg", 2)).unwrap();
    let note = sandbox::Edit { marker: Some("see ticket 4711".to_owned()), ..sandbox::Edit::default() };
    bench.sandbox.edit(&noted, note).unwrap();
    bench.until_listed().await;
    let summary = bench.sync().await.assert_code(6).summary();
    let run = summary["run_id"].as_str().unwrap();
    let asset = bench.asset(&id);

    let reported = bench.run(&["report", run, "--format", "json"]).await;
    let reported = lines(&reported.assert_code(0).out);
    let line = reported.iter().find(|line| line["asset_id"] == id.as_str()).unwrap();
    assert_eq!((reported.len(), &line["outcome"]), (2, &"watermarked".into()));
    assert_eq!((&line["base_version"], &line["protected_version"]), (&1.into(), &2.into()));
    assert_eq!(line["original_sha256"], asset.versions[0].sha256);
    assert_eq!(line["watermarked_sha256"], asset.versions[1].sha256);
    assert!(!line["request_ids"].as_str().unwrap().is_empty() && line["imatag_id"].is_string(), "{line}");
    let failed = bench.run(&["report", "--asset", &noted, "--json"]).await;
    let failed = lines(&failed.assert_code(0).out);
    assert_eq!((&failed[0]["class"], failed.len()), (&"marker".into(), 1));

    let csv = bench.run(&["report", "--since", "2020-01-01T00:00:00Z"]).await;
    assert!(
        csv.assert_code(0).out.contains(r#","'=HYPERLINK(1).jpg","watermarked","1","2","","#),
        "{csv:#?}"
    );
    assert_eq!(csv.out.lines().count(), 3);
    let unknown = bench.run(&["report", "no-such-run"]).await;
    assert!(unknown.assert_code(2).talk.contains("there is no record of a run no-such-run"), "{unknown:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_beside_a_running_sync_says_which_outcomes_are_still_missing() {
    let options = sandbox::Options { watermark_time: std::time::Duration::from_secs(6), ..quick() };
    let bench = Bench::new(options).await;
    bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    let mut child = bench.spawn(&["sync", "--full", "--quiet"]);
    crate::harness::until(|| bench.sandbox.stats().requests.contains_key("imatag.submit")).await;
    let report = bench.run(&["report", "--since", "2020-01-01T00:00:00Z", "--format", "json"]).await;
    assert_eq!(lines(&report.assert_code(0).out)[0]["outcome"], "under_way");
    assert!(report.talk.contains("1 jobs have no outcome yet"), "{report:#?}");
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaked_file_original_or_watermarked_leads_to_its_asset() {
    let original = sample_files::file(sample_files::Format::Jpeg, 1, 64, 48);
    let (bench, id) = Bench::with_asset(sandbox::NewAsset::new("one.jpg", original.clone())).await;
    bench.sync().await.assert_code(0);
    std::fs::write(bench.path("leaked.jpg"), original).unwrap();
    let leaked = bench.path("leaked.jpg").display().to_string();
    let watermarked = bench.asset(&id).versions[1].sha256.clone();
    for (file, role) in [(leaked, "original"), (watermarked, "watermarked")] {
        let found = bench.run(&["lookup", &file, "--json"]).await.assert_code(0).summary();
        assert_eq!(
            (&found["found"][0]["asset_id"], &found["found"][0]["file"]),
            (&id.as_str().into(), &role.into())
        );
        let shown = bench.run(&["lookup", &file]).await;
        assert!(shown.out.contains(&format!("{role} file, version 1 became 2, watermarked")), "{shown:#?}");
    }
    let stranger = bench.run(&["lookup", &"ab".repeat(32)]).await;
    assert!(stranger.assert_code(0).talk.contains("no recorded asset has a file"), "{stranger:#?}");
    bench.run(&["lookup", "no such file"]).await.assert_code(2);
}
