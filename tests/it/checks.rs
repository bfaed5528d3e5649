//! A result with a defect never reaches the library, unless its check is switched off.

use common::check::Check;
use common::outcome::{Failure, FailureClass, Outcome};
use sample_files::{Defect, Format, file};
use sandbox::NewAsset;
use sandbox::faults::{Action, Faults, Moment};
use serde_json::{Value, json};

use crate::documents::{blocks, document};
use crate::harness::broker::free_ports;
use crate::harness::fleet::Fleet;
use crate::harness::page::shows;
use crate::harness::scene::every;
use crate::harness::{Bench, assert_clean, is_protected, picture, quick};

fn every_result_with(defect: Defect) -> Faults {
    every("imatag.submit", Moment::After, Action::Defect(defect))
}

/// A library of one asset of this format, with everything that a check looks at.
async fn bench(format: Format, seed: u64, defect: Defect) -> (Bench, String) {
    let name = format!("one.{}", format.extension());
    let (bench, id) = Bench::with_asset(NewAsset::new(&name, file(format, seed, 160, 120))).await;
    bench.sandbox.set_faults(every_result_with(defect));
    (bench, id)
}

async fn failure(bench: &Bench, id: &str) -> Failure {
    match bench.outcome(id).await {
        Some(Outcome::Failed(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

/// Each check, a file, a defect that it catches, and how the reason shows both values.
const TABLE: [(Check, Format, u64, Defect, [&str; 2]); 16] = [
    (Check::MediaType, Format::Png, 2, Defect::OtherType, ["image/png", "image/jpeg"]),
    (Check::PixelSize, Format::Jpeg, 3, Defect::Smaller, ["160 × 120", "80 × 120"]),
    (Check::Orientation, Format::Jpeg, 3, Defect::Turned, ["orientation 6", "orientation 3"]),
    (Check::BitDepth, Format::Png, 3, Defect::Shallow, ["16 bits", "8 bits"]),
    (Check::Alpha, Format::Png, 3, Defect::Opaque, ["has transparency", "no transparency"]),
    (Check::Dpi, Format::Jpeg, 3, Defect::Coarse, ["300 × 300 dpi", "75 × 75 dpi"]),
    (Check::IccProfile, Format::Png, 3, Defect::NoProfile, ["the profile ", "no profile"]),
    (
        Check::Copyright,
        Format::Jpeg,
        3,
        Defect::NoExifCopyright,
        ["EXIF Copyright \"(c) Example Studio 3\"", "EXIF Copyright nothing"],
    ),
    (
        Check::Copyright,
        Format::Jpeg,
        3,
        Defect::NoIptcByline,
        ["IPTC By-line \"Jo Example 3\"", "IPTC By-line nothing"],
    ),
    (
        Check::Copyright,
        Format::Png,
        3,
        Defect::NoXmpRights,
        ["XMP dc:rights \"(c) Example Studio 3\"", "XMP dc:rights nothing"],
    ),
    (Check::SamePicture, Format::Jpeg, 3, Defect::OtherPicture, ["at least 0.98", "one of "]),
    (Check::Container, Format::Mp4, 3, Defect::BrokenContainer, ["an intact container", "claims 1000 bytes"]),
    (Check::Tracks, Format::Mp4, 3, Defect::TrackLost, ["the tracks soun, vide", "the tracks vide"]),
    (Check::Duration, Format::Mp4, 3, Defect::Shortened, ["1000 ms", "500 ms"]),
    (Check::Resolution, Format::Mp4, 3, Defect::Narrow, ["160 × 90", "80 × 90"]),
    (Check::Pages, Format::Pdf, 3, Defect::PageLost, ["2 pages", "1 pages"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_defect_fails_the_job_by_its_check_and_goes_through_without_it() {
    for (check, format, seed, defect, [original, result]) in TABLE {
        let (bench, id) = bench(format, seed, defect).await;
        bench.sync().await.assert_code(6);
        let Failure { class, reason, .. } = failure(&bench, &id).await;
        assert_eq!(class, FailureClass::BadResult, "{defect:?}: {reason}");
        let named = format!("check {}: ", check.name());
        for part in [named.as_str(), original, result] {
            assert!(reason.contains(part), "{defect:?}: {part:?} is not in {reason}");
        }
        assert_eq!(reason.matches("check ").count(), 1, "{defect:?}: {reason}");
        if check == Check::Orientation {
            let [sample] = blocks(&document("docs/checks.md"), "text").try_into().unwrap();
            let (sample, _) = sample.split_once('…').unwrap();
            assert!(reason.starts_with(&sample.replace("Alpine lake", "one.jpg")), "{reason}");
        }
        let asset = bench.asset(&id);
        assert_eq!((asset.versions.len(), asset.marker), (1, None), "{defect:?}");
        assert_clean(&bench.sandbox.audit());

        bench.configure(&format!("[checks]\n{} = false\n", check.name()));
        bench.run(&["failed", "replay", "--yes"]).await.assert_code(0);
        bench.sync().await.assert_code(0);
        assert!(is_protected(&bench.asset(&id)), "{defect:?}");
        assert_clean(&bench.sandbox.audit());
    }
}

#[test]
fn every_check_has_a_defect_that_it_catches() {
    for check in Check::ALL {
        assert!(TABLE.iter().any(|(caught, ..)| *caught == check), "{check:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_file_is_kept_for_inspection_until_the_folder_is_full() {
    let (bench, id) = bench(Format::Jpeg, 3, Defect::Turned).await;
    let folder = bench.path("rejected");
    bench.configure(&format!("[checks]\nkeep_rejected_in = '{}'\n", folder.display()));
    bench.sync().await.assert_code(6);
    let kept: Vec<_> = std::fs::read_dir(&folder).unwrap().flatten().collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let name = kept[0].file_name().into_string().unwrap();
    let hash = name.strip_prefix(&format!("{id}-")).and_then(|rest| rest.strip_suffix(".jpg"));
    assert!(hash.is_some_and(|hash| hash.len() == 12), "{name}");
    assert!(std::fs::read(kept[0].path()).unwrap().starts_with(&[0xFF, 0xD8]));
    let reason = failure(&bench, &id).await.reason;
    assert!(reason.contains(&format!("kept at {}", kept[0].path().display())), "{reason}");

    std::fs::remove_file(kept[0].path()).unwrap();
    for number in 0..100 {
        std::fs::write(folder.join(format!("{number}.jpg")), b"old").unwrap();
    }
    bench.run(&["failed", "replay", "--yes"]).await.assert_code(0);
    bench.sync().await.assert_code(6);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 100);
    let reason = failure(&bench, &id).await.reason;
    assert!(reason.contains("holds 100 files already"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_too_large_to_decode_is_protected_and_said_not_to_be_checked() {
    let bench = Bench::new(quick()).await;
    bench.reconfigure("request_timeout = '1s'", "request_timeout = '10s'");
    bench.reconfigure("'2s']", "'15s']");
    let file = sandbox::NewFile::Large(140 << 20);
    let id = bench
        .sandbox
        .add_asset(NewAsset { file: Some(file), ..NewAsset::new("large.tif", Vec::new()) })
        .unwrap();
    let ran = bench.sync().await;
    ran.assert_code(0);
    assert!(is_protected(&bench.asset(&id)));
    let said = format!("asset_id={id}");
    let line = ran.talk.lines().find(|line| line.contains("too large to decode"));
    assert!(line.is_some_and(|line| line.contains("same_picture") && line.contains(&said)), "{ran:#?}");
    assert_clean(&bench.sandbox.audit());
}

/// A library with one file of which nothing can be counted, and one that can be looked at.
fn fill(bench: &Bench) {
    let cut = NewAsset::new("cut.pdf", b"%PDF-1.7\nand nothing behind it".to_vec());
    bench.sandbox.add_asset(cut).unwrap();
    bench.sandbox.add_asset(picture("whole.jpg", 1)).unwrap();
}

/// What the ledger holds of the run that this is the summary of.
async fn assert_counted(bench: &Bench, summary: &Value) {
    assert_eq!((&summary["watermarked"], &summary["unchecked"]), (&2.into(), &json!({"unreadable": 1})));
    let run = summary["run_id"].as_str().unwrap();
    let report = bench.run(&["report", run, "--json"]).await;
    assert!(
        report.assert_code(0).talk.contains("1 of them with checks that could not be made"),
        "{report:#?}"
    );
    let lines = report.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut unchecked: Vec<_> = lines.map(|line| line["unchecked"].as_str().unwrap().to_owned()).collect();
    unchecked.sort();
    assert_eq!(unchecked, ["", "pages:unreadable"]);
    let csv = bench.run(&["report", run]).await;
    assert!(csv.assert_code(0).out.lines().next().unwrap().ends_with(r#","unchecked""#), "{csv:#?}");
    assert!(csv.out.contains(r#","pages:unreadable""#), "{csv:#?}");
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_looked_at_is_counted_in_the_summary_and_on_record() {
    let bench = Bench::new(quick()).await;
    fill(&bench);
    let ran = bench.run(&["sync", "--full", "--json"]).await;
    assert_counted(&bench, &ran.assert_code(0).summary()).await;
    fill(&bench);
    bench.until_listed().await;
    let told = bench.run(&["sync", "--full"]).await;
    assert!(told.assert_code(0).out.contains("results not checked in full: 1 unreadable"), "{told:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_fleet_could_not_look_at_is_counted_by_the_worker_and_comes_on_record_with_the_outcome() {
    let fleet = Fleet::new(quick()).await;
    fill(&fleet.bench);
    let [port] = free_ports();
    let _worker = fleet.worker_with(&[("CONNECTOR_HTTP__LISTEN", format!("127.0.0.1:{port}"))]);
    let ran = fleet.sync().await;
    shows(port, "/metrics", r#"connector_unchecked_results_total{reason="unreadable"} 1"#).await;
    assert_counted(&fleet.bench, &ran.assert_code(0).summary()).await;
}
