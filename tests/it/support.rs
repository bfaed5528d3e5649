//! What helps when something went wrong: backups of the state, and one file with the facts for support.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use common::hash::ContentHash;
use flate2::read::GzDecoder;
use ledger::state::State;
use serde_json::Value;

use crate::harness::{Bench, assert_clean, is_protected, picture, quick, saved_versions, until};

/// The files of an archive, by name.
pub(crate) fn unpacked(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(GzDecoder::new(fs::File::open(path).unwrap()));
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let (name, mut bytes) = (entry.path().unwrap().display().to_string(), Vec::new());
        entry.read_to_end(&mut bytes).unwrap();
        (name, bytes)
    });
    entries.collect()
}

async fn back_up(bench: &Bench, name: &str) -> String {
    let file = bench.path(name).display().to_string();
    bench.run(&["state", "backup", &file]).await.assert_code(0);
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn after_going_back_to_an_older_state_nothing_is_watermarked_twice_and_the_way_back_is_kept() {
    let bench = Bench::new(sandbox::Options { assets: 12, ..quick() }).await;
    let mut dying = bench.spawn(&["sync", "--full", "--quiet"]);
    until(|| bench.sandbox.stats().requests.get("imatag.submit").is_some_and(|submits| *submits > 3)).await;
    dying.kill().await.unwrap();
    let held = State::open(&bench.path("state")).unwrap();
    let early = back_up(&bench, "early.tar.gz").await;
    assert_eq!(fs::metadata(&early).unwrap().permissions().mode() & 0o777, 0o600);
    let busy = bench.run(&["state", "restore", &early]).await;
    assert!(busy.assert_code(5).talk.contains("is in use by process"), "{busy:#?}");
    drop(held);
    let done = bench.sync().await;
    assert!(matches!(done.code, Some(0 | 6)), "{done:#?}");
    bench.until_listed().await;
    let later = bench.run(&["report", "--since", "2020-01-01"]).await.out;
    let back = bench.run(&["state", "restore", &early, "--json"]).await.assert_code(0).summary();
    assert!(bench.run(&["report", "--since", "2020-01-01"]).await.out.len() < later.len());
    let again = bench.sync().await;
    assert!(matches!(again.code, Some(0 | 6)), "{again:#?}");
    let ended = again.summary()["already_protected"].as_u64().unwrap()
        + again.summary()["watermarked"].as_u64().unwrap();
    assert!(ended > 0, "jobs of the restored queue end again: {again:#?}");
    let audit = bench.sandbox.audit();
    assert_clean(&audit);
    assert!(audit.assets.iter().all(|asset| saved_versions(asset) <= 1), "{:#?}", audit.assets);
    // The state that was replaced, by the name that was said.
    bench.run(&["state", "restore", back["kept"].as_str().unwrap()]).await.assert_code(0);
    assert_eq!(bench.run(&["report", "--since", "2020-01-01"]).await.out, later);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_before_and_after_every_effect_a_restore_leaves_the_one_state_or_the_other() {
    let (bench, _) = Bench::with_asset(picture("one.jpg", 1)).await;
    bench.run(&["plan", "--full"]).await.assert_code(0);
    bench.run(&["sync", "--full", "--max-assets", "1"]).await.assert_code(0);
    let one = back_up(&bench, "one.tar.gz").await;
    bench.sandbox.add_asset(picture("two.jpg", 2)).unwrap();
    bench.until_listed().await;
    bench.sync().await.assert_code(0);
    let two = back_up(&bench, "two.tar.gz").await;
    let lines =
        async || bench.run(&["report", "--since", "2020-01-01"]).await.assert_code(0).out.lines().count();
    let count = [("CONNECTOR_CRASH_COUNT", bench.path("count").display().to_string())];
    bench.run_with(&["state", "restore", &one], &count).await.assert_code(0);
    assert_eq!(lines().await, 2, "with the names of the columns");
    let points = fs::read_to_string(bench.path("count")).unwrap().lines().count();
    assert!(points >= 2, "{points}");
    for point in 1..=points {
        bench.run(&["state", "restore", &two]).await.assert_code(0);
        let died =
            bench.run_with(&["state", "restore", &one], &[("CONNECTOR_CRASH_AT", point.to_string())]).await;
        assert_eq!(died.code, None, "{died:#?}");
        assert!([2, 3].contains(&lines().await), "after dying at {point}");
        bench.run(&["state", "restore", &one]).await.assert_code(0);
        assert_eq!(lines().await, 2, "after dying at {point} and restoring again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_takes_no_existing_name_and_a_damaged_or_foreign_one_is_refused() {
    let (bench, _) = Bench::with_asset(picture("one.jpg", 1)).await;
    let nothing = bench.run(&["state", "backup", "nowhere.tar.gz"]).await;
    assert!(nothing.assert_code(2).talk.contains("holds no state yet"), "{nothing:#?}");
    bench.sync().await.assert_code(0);
    let file = back_up(&bench, "backup.tar.gz").await;
    let whole = ContentHash::of(fs::File::open(&file).unwrap()).unwrap();
    let link = bench.path("link").display().to_string();
    symlink(bench.path("elsewhere"), &link).unwrap();
    for name in [&file, &link] {
        let refused = bench.run(&["state", "backup", name]).await;
        assert!(refused.talk.contains("it exists already") && refused.code != Some(0), "{refused:#?}");
    }
    assert_eq!(ContentHash::of(fs::File::open(&file).unwrap()).unwrap(), whole);
    assert!(!bench.path("elsewhere").exists());
    let other = [("CONNECTOR_BYNDER__DOMAIN", "other.bynder.com".to_owned())];
    let foreign = bench.run_with(&["state", "restore", &file], &other).await;
    assert!(
        foreign.assert_code(3).talk.contains("and bynder.domain is https://other.bynder.com"),
        "{foreign:#?}"
    );
    let bytes = fs::read(&file).unwrap();
    fs::write(bench.path("cut"), &bytes[..bytes.len() / 2]).unwrap();
    let cut = bench.path("cut").display().to_string();
    let damaged = bench.run(&["state", "restore", &cut]).await;
    assert!(damaged.assert_code(2).talk.contains("The present state was not changed"), "{damaged:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_lists_the_assets_as_text_as_a_table_and_as_json_and_the_sync_protects_just_these() {
    let bench = Bench::new(sandbox::Options { assets: 20, ..quick() }).await;
    let formula = bench.sandbox.add_asset(picture("=1+1;@x", 99)).unwrap();
    bench.until_listed().await;
    let text = bench.run(&["plan", "--full", "--list"]).await;
    let text = &text.assert_code(0).out;
    assert!(
        text.lines().any(|line| line.starts_with(&formula) && line.ends_with("version 1  =1+1;@x")),
        "{text}"
    );
    let table = bench.run(&["plan", "--full", "--list=csv"]).await;
    let table = table.assert_code(0);
    let mut lines = table.out.lines();
    let columns = r#""asset_id","asset_name","type","extension","bytes","version""#;
    assert_eq!(lines.next(), Some(columns));
    assert!(table.out.contains(&format!("\"{formula}\",\"'=1+1;'@x\",\"image\"")), "{}", table.out);
    assert!(table.talk.contains("to protect"), "the summary is elsewhere: {}", table.talk);
    for arguments in [&["plan", "--full", "--list=json"][..], &["plan", "--full", "--list", "--json"]] {
        let json = bench.run(arguments).await;
        let all: Vec<Value> =
            json.assert_code(0).out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (summary, assets) = all.split_last().unwrap();
        assert_eq!(summary["selected"].as_u64(), Some(assets.len() as u64), "{arguments:?}");
        assert_eq!(lines.clone().count(), assets.len());
        let named = |wanted: &str| assets.iter().any(|asset| asset["asset_id"] == wanted);
        assert!(text.lines().filter(|line| line.contains("  version ")).count() >= assets.len());
        if arguments.len() == 4 {
            bench.sync().await;
            let audit = bench.sandbox.audit();
            let made: Vec<_> = audit.assets.iter().filter(|asset| saved_versions(asset) > 0).collect();
            assert!(made.len() > 5 && made.iter().all(|asset| named(&asset.id)), "{made:#?}");
            assert!(audit.assets.iter().any(is_protected));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_whose_reader_is_gone_ends_in_order() {
    let bench = Bench::new(sandbox::Options { assets: 20, ..quick() }).await;
    let mut plan = bench.spawn(&["plan", "--full", "--list=json"]);
    drop(plan.stdout.take());
    assert_eq!(plan.wait().await.unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bundle_has_what_support_asks_for_and_names_no_asset_unless_that_is_asked_for() {
    let name = "Campaign Zanzibar 2027.jpg";
    let (bench, id) = Bench::with_asset(picture(name, 1)).await;
    bench.sandbox.set_faults(crate::harness::scene::every(
        "imatag.submit",
        sandbox::faults::Moment::Before,
        sandbox::faults::Action::Answer {
            status: 422,
            body: format!("{{\"detail\": \"the file {name} is refused\"}}"),
            content_type: "application/json".to_owned(),
        },
    ));
    bench.sync().await;
    let file = |name: &str| bench.path(name).display().to_string();
    let done = bench.run(&["doctor", "--bundle", &file("plain.tar.gz")]).await;
    assert!(done.talk.contains("README.txt in it says what it holds"), "{done:#?}");
    assert_eq!(fs::metadata(file("plain.tar.gz")).unwrap().permissions().mode() & 0o777, 0o600);
    let again = bench.run(&["doctor", "--bundle", &file("plain.tar.gz")]).await;
    assert!(again.assert_code(2).talk.contains("it exists already"), "{again:#?}");
    let plain = unpacked(&bench.path("plain.tar.gz"));
    let read = |name: &str| serde_json::from_slice::<Value>(&plain[name]).unwrap();
    assert_eq!(read("versions.json")["connector"], env!("CARGO_PKG_VERSION"));
    assert_eq!(read("configuration.json")["values"]["queue"]["prefix"], "connector");
    assert_eq!(read("runs.json").as_array().unwrap().len(), 1);
    let failed = read("failed.json");
    let latest = failed.as_object().unwrap().values().next().unwrap()["latest"][0].clone();
    assert_eq!(latest["asset_id"], id.as_str(), "{failed}");
    for (name, bytes) in &plain {
        let text = String::from_utf8_lossy(bytes);
        assert!(!text.contains("Zanzibar"), "{name}: {text}");
    }
    bench.run(&["doctor", "--bundle", &file("named.tar.gz"), "--with-names"]).await;
    let named = unpacked(&bench.path("named.tar.gz"));
    assert!(String::from_utf8_lossy(&named["failed.json"]).contains(name));
    // A configuration that cannot be read is a reason to ask for support.
    bench.reconfigure("[bynder]\n", "[bynder]\nunknown = 1\n");
    bench.run(&["doctor", "--bundle", &file("broken.tar.gz")]).await.assert_code(3);
    assert!(
        String::from_utf8_lossy(&unpacked(&bench.path("broken.tar.gz"))["checks.json"]).contains("unknown")
    );
}
