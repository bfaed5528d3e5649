//! The undo: originals come back byte for byte, once, over nobody's work, and stay.

use std::process::Stdio;
use std::time::Duration;

use futures::StreamExt;
use sandbox::{AuditedAsset, Edit, NewAsset, NewVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::harness::fleet::Fleet;
use crate::harness::scene::lost_once;
use crate::harness::{Bench, PROGRAM, Ran, assert_clean, is_protected, picture, quick, until};

/// A library whose assets a run has protected; the run, and the assets' ids.
async fn protected(options: sandbox::Options, assets: u64) -> (Bench, String, Vec<String>) {
    let bench = Bench::new(options).await;
    let add = |seed| bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap();
    let ids = (0..assets).map(add).collect();
    let run = bench.sync().await.assert_code(0).summary()["run_id"].as_str().unwrap().to_owned();
    (bench, run, ids)
}

async fn restore(bench: &Bench, which: &[&str]) -> Ran {
    let arguments: Vec<_> = ["restore", "--yes", "--json", "--quiet"].iter().chain(which).copied().collect();
    bench.run(&arguments).await
}

/// Fails unless the asset's original is its active version again, once, and opted out.
fn assert_restored(asset: &AuditedAsset) {
    let hashes: Vec<_> = asset.versions.iter().map(|version| version.sha256.as_str()).collect();
    assert_eq!((hashes.len(), hashes[2]), (3, hashes[0]), "{asset:#?}");
    assert!(asset.versions[2].active && !is_protected(asset), "{asset:#?}");
    assert!(asset.marker.as_deref().is_some_and(|marker| marker.starts_with("opted-out; ")), "{asset:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_undone_once_and_for_all() {
    let (bench, run, ids) = protected(quick(), 100).await;
    let before = bench.sandbox.stats().requests;
    let counted = bench.run(&["restore", "--run", &run, "--dry-run", "--json"]).await;
    assert_eq!(counted.assert_code(0).summary()["to_restore"], 100);
    let after = bench.sandbox.stats().requests;
    let written: Vec<_> = after.iter().filter(|(name, count)| before.get(*name) != Some(count)).collect();
    assert!(
        written.iter().all(|(name, _)| matches!(name.as_str(), "bynder.asset" | "bynder.metaproperties")),
        "{written:?}"
    );

    let restored = restore(&bench, &["--run", &run]).await.assert_code(0).summary();
    assert_eq!((&restored["restored"], &restored["failed"]), (&100.into(), &0.into()), "{restored}");
    bench.sandbox.audit().assets.iter().for_each(assert_restored);

    let again = restore(&bench, &["--run", &run]).await.assert_code(0).summary();
    assert_eq!(
        (&again["restored"], &again["skipped"]["restored_before"]),
        (&0.into(), &100.into()),
        "{again}"
    );
    bench.until_listed().await;
    let synced = bench.sync().await.assert_code(0).summary();
    assert_eq!((&synced["listed"], &synced["selected"]), (&100.into(), &0.into()));
    bench.sandbox.audit().assets.iter().for_each(assert_restored);
    assert_clean(&bench.sandbox.audit());

    let undo = restored["run_id"].as_str().unwrap();
    let report = bench.run(&["report", undo, "--format", "json"]).await;
    let lines: Vec<serde_json::Value> =
        report.assert_code(0).out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 100);
    assert!(lines.iter().all(|line| line["outcome"] == "restored" && line["restored_version"] == 3));
    assert!(ids.iter().all(|id| lines.iter().any(|line| line["asset_id"] == id.as_str())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_any_length_is_recorded_in_part() {
    let bench = Bench::new(quick()).await;
    let long = NewAsset { name: "n".repeat(100_000), ..picture("one.jpg", 1) };
    let id = bench.sandbox.add_asset(long).unwrap();
    bench.sync().await.assert_code(0);
    restore(&bench, &["--ids", &id]).await.assert_code(0);
    assert_restored(&bench.asset(&id));
    let report = bench.run(&["report", "--asset", &id, "--format", "json"]).await;
    let lines = report.assert_code(0).out.lines().map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<serde_json::Value> = lines.collect();
    let names = lines.iter().map(|line| line["asset_name"].as_str().unwrap().len());
    assert_eq!(names.collect::<Vec<_>>(), [200, 200], "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_newer_version_is_left_and_so_is_what_was_never_protected() {
    let (bench, run, ids) = protected(quick(), 3).await;
    bench.sandbox.new_version(&ids[0], &NewVersion::default()).unwrap().unwrap();
    let fresh = bench.sandbox.add_asset(picture("fresh.jpg", 9)).unwrap();
    let of_run = restore(&bench, &["--run", &run]).await.assert_code(0).summary();
    assert_eq!(
        (&of_run["restored"], &of_run["skipped"]["newer_version"]),
        (&2.into(), &1.into()),
        "{of_run}"
    );
    let chosen = format!("{},{fresh},NO-SUCH-ASSET", ids[0]);
    let of_ids = restore(&bench, &["--ids", &chosen]).await.assert_code(0).summary();
    let skipped = serde_json::json!({"newer_version": 1, "not_protected": 1, "gone": 1});
    assert_eq!((&of_ids["restored"], &of_ids["skipped"]), (&0.into(), &skipped), "{of_ids}");
    assert_eq!(bench.asset(&ids[0]).versions.len(), 3);
    assert_clean(&bench.sandbox.audit());
    // Their version is protected by the next run, which the undo of the others does not keep from it.
    bench.until_listed().await;
    assert_eq!(bench.sync().await.summary()["watermarked"], 2);
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_says_which_assets_are_meant_and_nobody_is_asked_without_a_terminal() {
    let (bench, run, _) = protected(quick(), 2).await;
    bench.until_listed().await;
    let none = restore(&bench, &["--filter", "types=video"]).await.assert_code(0).summary();
    assert_eq!(none["chosen"], 0);
    let unasked = bench.run(&["restore", "--run", &run]).await;
    assert!(unasked.assert_code(2).talk.contains("2 assets meant: 2 to restore"), "{unasked:#?}");
    let all = restore(&bench, &["--filter", "types=image"]).await.assert_code(0).summary();
    assert_eq!((&all["chosen"], &all["restored"]), (&2.into(), &2.into()));
    bench.sandbox.audit().assets.iter().for_each(assert_restored);
    bench.run(&["restore"]).await.assert_code(2);
    bench.run(&["restore", "--run", &run, "--ids", "A"]).await.assert_code(2);
    restore(&bench, &["--run", "no-such-run"]).await.assert_code(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_terminal_an_interrupt_ends_the_question_and_yes_goes_on() {
    let (bench, run, _) = protected(quick(), 1).await;
    // `exec`: a shell that waited beside the program would end of the interrupt, with a status of its own.
    let line =
        format!("exec {PROGRAM} restore --run {run} --config {}", bench.path("connector.toml").display());
    for (typed, code, versions) in [("\x03", 5, 2), ("yes\n", 0, 3)] {
        // From bsdutils, which no Debian is without: runs a program at a terminal of its own.
        let mut command = Command::new("script");
        command
            .args(["--quiet", "--flush", "--return", "--command", &line, "/dev/null"])
            .env("SHELL", "/bin/sh");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut terminal = command.spawn().unwrap();
        let (mut keyboard, mut screen) = (terminal.stdin.take().unwrap(), terminal.stdout.take().unwrap());
        let mut shown = Vec::new();
        let answered = async {
            while !String::from_utf8_lossy(&shown).contains("restore them? [y/N]") {
                assert!(screen.read_buf(&mut shown).await.unwrap() > 0, "it does not ask");
            }
            keyboard.write_all(typed.as_bytes()).await.unwrap();
            // What else it says has to be taken from it, or it could not end.
            screen.read_to_end(&mut shown).await.unwrap();
            terminal.wait().await.unwrap()
        };
        let ended = tokio::time::timeout(Duration::from_mins(1), answered).await.expect("it does not end");
        assert_eq!(ended.code(), Some(code), "{}", String::from_utf8_lossy(&shown));
        assert_eq!(bench.sandbox.audit().assets[0].versions.len(), versions);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_uploaded_between_the_opt_out_and_the_save_is_kept_and_wanted_protected_again() {
    let lag = Duration::from_secs(1);
    let (bench, _, ids) = protected(sandbox::Options { modify_lag: lag, ..quick() }, 1).await;
    let modified = || bench.sandbox.stats().requests.get("bynder.modify").copied().unwrap_or_default();
    let before = modified();
    let mut child = bench.spawn(&["restore", "--ids", &ids[0], "--yes", "--json", "--quiet"]);
    until(|| modified() > before).await;
    let theirs = bench.sandbox.new_version(&ids[0], &NewVersion::default()).unwrap().unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
    // Both writes of the marker, the opt-out and its withdrawal, have to land.
    bench.until_listed().await;
    let asset = bench.asset(&ids[0]);
    assert!(asset.marker.as_deref().is_some_and(|marker| !marker.starts_with("opted-out")), "{asset:#?}");
    assert_eq!((theirs, asset.versions.len(), asset.versions[2].active), (3, 3, true));
    bench.sync().await.assert_code(0);
    assert!(is_protected(&bench.asset(&ids[0])));
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_asset_that_a_person_opts_in_again_is_protected_from_the_same_medium() {
    let (bench, run, ids) = protected(quick(), 1).await;
    restore(&bench, &["--run", &run]).await.assert_code(0);
    let marker = bench.asset(&ids[0]).marker.unwrap();
    let wanted = marker.strip_prefix("opted-out; ").unwrap().to_owned();
    bench.sandbox.edit(&ids[0], Edit { marker: Some(wanted), ..Edit::default() }).unwrap();
    bench.until_listed().await;
    bench.sync().await.assert_code(0);
    let asset = bench.asset(&ids[0]);
    assert!(is_protected(&asset));
    assert_eq!((asset.media, asset.versions.len()), (1, 4));
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_record_a_restored_original_is_known_by_its_hash() {
    let (bench, run, ids) = protected(quick(), 1).await;
    restore(&bench, &["--run", &run]).await.assert_code(0);
    std::fs::remove_dir_all(bench.path("state")).unwrap();
    restore(&bench, &["--ids", &ids[0]]).await.assert_code(0);
    assert_restored(&bench.asset(&ids[0]));
    let again = restore(&bench, &["--ids", &ids[0]]).await.assert_code(0).summary();
    assert_eq!(again["skipped"]["restored_before"], 1);
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_whose_answer_is_lost_is_looked_for_and_not_repeated() {
    let (bench, run, ids) = protected(quick(), 1).await;
    bench.sandbox.set_faults(lost_once("bynder.save"));
    let restored = restore(&bench, &["--run", &run]).await.assert_code(0).summary();
    assert_eq!(restored["restored"], 1);
    assert_restored(&bench.asset(&ids[0]));
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_fleet_the_undo_goes_on_record_with_the_producer() {
    let fleet = Fleet::new(quick()).await;
    let ids: Vec<_> =
        (0..3).map(|seed| fleet.bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap()).collect();
    let _worker = fleet.worker();
    fleet.sync().await.assert_code(0);
    let restored = restore(&fleet.bench, &["--ids", &ids.join(",")]).await.assert_code(0).summary();
    assert_eq!(restored["restored"], 3, "{restored}");
    fleet.bench.until_listed().await;
    assert_eq!(fleet.sync().await.summary()["selected"], 0);
    fleet.bench.sandbox.audit().assets.iter().for_each(assert_restored);
    assert_clean(&fleet.bench.sandbox.audit());
    let report = fleet.bench.run(&["report", "--asset", &ids[0]]).await;
    assert!(report.assert_code(0).out.contains(r#","restored","1","2","3","#), "{report:#?}");
}

/// How many places the restoration of one asset passes where the process may die.
async fn crash_points() -> u64 {
    let (bench, run, _) = protected(quick(), 1).await;
    let count = bench.path("count");
    let variables = [("CONNECTOR_CRASH_COUNT", count.display().to_string())];
    bench.run_with(&["restore", "--run", &run, "--yes", "--quiet"], &variables).await.assert_code(0);
    std::fs::read_to_string(count).unwrap().lines().count() as u64
}

async fn die_at(point: u64) {
    let (bench, run, ids) = protected(quick(), 1).await;
    let variables = [("CONNECTOR_CRASH_AT", point.to_string())];
    let died = bench.run_with(&["restore", "--run", &run, "--yes", "--quiet"], &variables).await;
    // A request that was made again has one place more to die at, and the next time there may be none.
    assert!(matches!(died.code, None | Some(0)), "{point}: {died:#?}");
    let again = restore(&bench, &["--run", &run]).await;
    assert_eq!(again.code, Some(0), "after dying at {point}: {again:#?}");
    assert_restored(&bench.asset(&ids[0]));
    bench.until_listed().await;
    let synced = bench.sync().await;
    assert_eq!(synced.summary()["selected"], 0, "after dying at {point}: {synced:#?}");
    assert_restored(&bench.asset(&ids[0]));
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_and_after_every_request_and_write_the_original_is_back_once() {
    let points = crash_points().await;
    assert!(points > 40, "only {points} crash points");
    // Most of the time is waiting, so several runs share the machine.
    let deaths = futures::stream::iter(1..=points).map(|point| tokio::spawn(die_at(point)));
    let ended: Vec<_> = deaths.buffer_unordered(6).collect().await;
    ended.into_iter().for_each(Result::unwrap);
}
