//! What a person types: bad input is named with its remedy and the right exit code, and nothing is lost.

use crate::harness::{Bench, assert_clean, is_protected, picture, quick, until};

/// Changes the configuration, runs, and expects this exit code and these words.
async fn refused(from: &str, to: &str, arguments: &[&str], code: i32, words: &str) {
    let (bench, id) = Bench::with_asset(picture("one.jpg", 1)).await;
    if !from.is_empty() {
        bench.reconfigure(from, to);
    }
    let ran = bench.run(arguments).await;
    assert_eq!(ran.code, Some(code), "{from} → {to} {arguments:?}: {ran:#?}");
    let said = format!("{}{}", ran.out, ran.talk);
    assert!(said.contains(words), "{from} → {to} {arguments:?}: wanted {words:?} in {said}");
    assert!(!is_protected(&bench.asset(&id)));
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_input_is_named_with_its_remedy_and_exit_code() {
    let sync: &[&str] = &["sync", "--full", "--quiet"];
    let name = "hash_metaproperty = 'imatag_hash'";
    let set = |name: &str| format!("hash_metaproperty = '{name}'");
    let table: Vec<(&str, String, &[&str], i32, &str)> = vec![
        (
            "domain =",
            "domian =".to_owned(),
            sync,
            3,
            "unknown key bynder.domian; did you mean bynder.domain?",
        ),
        (
            "directory =",
            "#".to_owned(),
            sync,
            3,
            "imatag.directory: is missing; write directory = … under [imatag]",
        ),
        (
            "request_timeout = '1s'",
            "concurrency = 'x'".to_owned(),
            sync,
            3,
            "worker.concurrency: invalid type",
        ),
        ("api_token = '", "api_token = 'x".to_owned(), sync, 4, "does not accept the token"),
        ("api_key = '", "api_key = 'x".to_owned(), sync, 4, "does not accept the credential"),
        (name, set("imatag_hush"), sync, 3, "did you mean \"imatag_hash\"?"),
        (name, set("Shoot_Date"), sync, 3, "is of type \"date\"; it must be a text field"),
        (name, set("Hidden_Text"), sync, 3, "is not an API field"),
        (name, set("Fixed_Text"), sync, 3, "is not editable"),
        ("", String::new(), &["sync", "--full", "--filter", "types=picture"], 3, "filters.types"),
        ("", String::new(), &["sync", "--full", "--filter", "colour=red"], 3, "unknown key filters.colour"),
        (
            "",
            String::new(),
            &["sync", "--full", "--filter", "tags=landscap"],
            3,
            "\"landscap\" is unknown to the portal",
        ),
        (
            "",
            String::new(),
            &["sync", "--full", "--filter", "collections=Sprung"],
            3,
            "did you mean \"Spring\"?",
        ),
        (
            "",
            String::new(),
            &["sync", "--full", "--filter", "metaproperties.Countri=France"],
            3,
            "did you mean \"Country\"?",
        ),
        (
            "",
            String::new(),
            &["sync", "--full", "--filter", "metaproperties.Country=Frence"],
            3,
            "did you mean \"France\"?",
        ),
        ("", String::new(), &["sync", "--full", "--filter", "ids=../users"], 3, "is not an asset id"),
        ("", String::new(), &["sync", "--full", "--filter", "types"], 2, "write KEY=VALUE"),
        ("", String::new(), &["sync", "--full", "--filter", "7f3a9c0e"], 2, "--filter …: write KEY=VALUE"),
        ("", String::new(), &["plan", "--retry-failed=7f3a9c0e"], 2, "\"…\" is not a failure class"),
        (
            "",
            String::new(),
            &["sync", "--full", "--ids-from", "/nowhere"],
            2,
            "--ids-from: cannot read /nowhere",
        ),
        ("", String::new(), &["sync", "--full", "--since", "2026-01-01T00:00:00Z"], 2, "cannot be used with"),
        ("", String::new(), &["sync", "--since", "yesterday"], 2, "--since"),
        ("", String::new(), &["sync", "--quiet"], 8, "Run again with --full"),
        ("", String::new(), &["failed", "list", "--class", "bad luck"], 2, "the classes are permission"),
        ("", String::new(), &["state", "show"], 2, "holds no state yet"),
        (
            "base_url = 'http://127.0.0.1",
            "base_url = 'http://imatag.invalid".to_owned(),
            sync,
            3,
            "must use https",
        ),
    ];
    for (from, to, arguments, code, words) in table {
        refused(from, &to, arguments, code, words).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_outside_the_homedir_is_named_in_the_failure() {
    let (bench, id) = Bench::with_asset(picture("one.jpg", 1)).await;
    bench.reconfigure("directory = 'sandbox/", "directory = 'elsewhere/");
    bench.sync().await.assert_code(6);
    let listed = bench.run(&["failed", "list", "--class", "permission"]).await;
    assert!(
        listed.out.contains(&id) && listed.out.contains("imatag.directory lies in your homedir"),
        "{listed:#?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_that_is_not_there_is_temporary_and_loses_nothing() {
    let (bench, id) = Bench::with_asset(picture("one.jpg", 1)).await;
    let address = bench.sandbox.address().to_string();
    bench.reconfigure(&format!("domain = 'http://{address}'"), "domain = 'http://127.0.0.1:1'");
    bench.sync().await.assert_code(5);
    bench.reconfigure("domain = 'http://127.0.0.1:1'", &format!("domain = 'http://{address}'"));
    bench.sync().await.assert_code(0);
    assert!(is_protected(&bench.asset(&id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spool_directory_that_cannot_be_used_is_named() {
    let (bench, _) = Bench::with_asset(picture("one.jpg", 1)).await;
    std::fs::write(bench.path("spool"), "a file where a folder should be").unwrap();
    let ran = bench.sync().await;
    assert!(ran.assert_code(3).talk.contains("worker.spool_dir: cannot use"), "{ran:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_larger_than_the_spool_fails_at_once_and_names_the_key() {
    let large = sample_files::file(sample_files::Format::Tiff, 1, 300, 200);
    let (bench, id) = Bench::with_asset(sandbox::NewAsset::new("large.tif", large)).await;
    let small = bench.sandbox.add_asset(picture("small.jpg", 1)).unwrap();
    bench.reconfigure("[worker]", "[worker]\nspool_max = '100KiB'\nconcurrency = 1");
    bench.sync().await.assert_code(6);
    let listed = bench.run(&["failed", "list", "--class", "local"]).await;
    assert!(listed.out.contains(&id) && listed.out.contains("raise worker.spool_max"), "{listed:#?}");
    assert!(is_protected(&bench.asset(&small)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_state_file_is_named_and_kept() {
    let (bench, id) = Bench::with_asset(picture("one.jpg", 1)).await;
    std::fs::create_dir(bench.path("state")).unwrap();
    let file = bench.path("state").join("connector.sqlite");
    std::fs::write(&file, "no database").unwrap();
    let ran = bench.sync().await;
    assert!(ran.assert_code(3).talk.contains("connector.sqlite cannot be read"), "{ran:#?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "no database");
    assert!(!is_protected(&bench.asset(&id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_in_one_state_directory_is_refused_while_the_first_goes_on() {
    // The second waits three seconds for the first to leave.
    let options = sandbox::Options { watermark_time: std::time::Duration::from_secs(10), ..quick() };
    let bench = Bench::new(options).await;
    bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    let mut first = bench.spawn(&["sync", "--full", "--quiet"]);
    until(|| bench.sandbox.stats().requests.contains_key("imatag.submit")).await;
    // Who only looks need not wait for it.
    bench.run(&["failed", "list"]).await.assert_code(0);
    let second = bench.sync().await;
    assert!(
        second.assert_code(5).talk.contains(&format!("in use by process {}", first.id().unwrap())),
        "{second:#?}"
    );
    assert_eq!(first.wait().await.unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_parks_what_is_in_flight_and_the_next_run_goes_on() {
    let options =
        sandbox::Options { assets: 60, watermark_time: std::time::Duration::from_secs(1), ..quick() };
    let bench = Bench::new(options).await;
    let mut child = bench.spawn(&["sync", "--full"]);
    until(|| bench.sandbox.stats().requests.contains_key("imatag.submit")).await;
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let ended = child.wait_with_output().await.unwrap();
    let talk = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(5), "{talk}");
    assert!(talk.contains("the next `connector sync` resumes them"), "{talk}");
    child = bench.spawn(&["sync", "--full", "--quiet"]);
    assert_eq!(child.wait().await.unwrap().code(), Some(6));
    assert_clean(&bench.sandbox.audit());
    bench.assert_ended_as_planted().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_changes_nothing_and_the_sync_after_it_does_what_it_said() {
    let bench = Bench::new(sandbox::Options { assets: 60, ..quick() }).await;
    let reads = ["bynder.list", "bynder.metaproperties", "bynder.asset"];
    let planned = bench.run(&["plan", "--full", "--json"]).await.assert_code(0).summary();
    let written = |bench: &Bench| {
        let requests = bench.sandbox.stats().requests;
        requests
            .into_iter()
            .filter(|(name, _)| !reads.contains(&name.as_str()))
            .map(|(_, count)| count)
            .sum::<u64>()
    };
    assert_eq!(written(&bench), 0);
    assert!(!bench.path("state").exists());
    let done = bench.sync().await.summary();
    for said in ["selected", "listed"] {
        assert_eq!(planned[said], done[said], "{said}");
    }
    assert_eq!((&planned["selected"], &planned["paid_watermarks"]), (&done["published"], &done["published"]));
    let by_type: u64 = planned["by_type"]
        .as_object()
        .unwrap()
        .values()
        .map(|portion| portion["assets"].as_u64().unwrap())
        .sum();
    assert_eq!(by_type, planned["selected"], "{planned}");
    // With a state there, that stays as it is to the byte.
    bench.sandbox.add_asset(picture("late.jpg", 99)).unwrap();
    let (state, effects) = (contents(&bench.path("state")), written(&bench));
    let again = bench.run(&["plan", "--json"]).await.assert_code(0).summary();
    assert_eq!((&again["mode"], &again["selected"]), (&"delta".into(), &1.into()), "{again}");
    assert_eq!(written(&bench), effects);
    let after = contents(&bench.path("state"));
    for (name, bytes) in &state {
        assert!(bytes == &after[name], "{name} was changed");
    }
    // SQLite makes a log next to a database even if it only reads it; there is nothing in it.
    let log = after.get("connector.sqlite-wal").map(Vec::len);
    assert!(log.is_none_or(|bytes| bytes == 0), "{log:?}");
}

/// Every file of a folder with its bytes.
fn contents(folder: &std::path::Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    let files = std::fs::read_dir(folder).unwrap().flatten();
    files.map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_is_the_same_part_of_the_library_each_time() {
    let bench = Bench::new(sandbox::Options { assets: 120, ..quick() }).await;
    let plan = async |part: &str| {
        let planned = bench.run(&["plan", "--full", "--json", "--sample", part]).await;
        planned.assert_code(0).summary()["selected"].as_u64().unwrap()
    };
    let (all, tenth, half) = (plan("1").await, plan("0.1").await, plan("0.5").await);
    assert!(0 < tenth && tenth < half && half < all, "{tenth} {half} {all}");
    bench.run(&["sync", "--full", "--sample", "0.5", "--json", "--quiet"]).await.assert_code(6);
    let left = plan("0.5").await;
    assert!(left < half / 4, "{left} of {half}");
    assert_eq!(plan("1").await, all - half + left);
    let refused = bench.run(&["plan", "--full", "--sample", "2"]).await;
    assert!(refused.assert_code(3).talk.contains("filters.sample: must be above 0"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_ends_the_run_with_its_own_code_and_the_next_run_goes_on() {
    let bench = Bench::new(quick()).await;
    for seed in 0..5 {
        bench.sandbox.add_asset(picture("one.jpg", seed)).unwrap();
    }
    for (code, protected) in [(8, 2), (8, 4), (0, 5)] {
        let ran = bench.run(&["sync", "--full", "--json", "--quiet", "--max-assets", "2"]).await;
        ran.assert_code(code);
        let done = bench.sandbox.audit().assets.iter().filter(|asset| is_protected(asset)).count();
        assert_eq!(done, protected);
        bench.until_listed().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_is_shown_replayed_and_then_done() {
    let (bench, id) = Bench::with_asset(picture("one.jpg", 1)).await;
    let note = |marker: &str| {
        let edit = sandbox::Edit { marker: Some(marker.to_owned()), ..sandbox::Edit::default() };
        bench.sandbox.edit(&id, edit).unwrap();
    };
    note("see ticket 4711");
    bench.until_listed().await;
    bench.sync().await.assert_code(6);
    let shown = bench.run(&["failed", "show", "--asset", &id]).await;
    assert!(shown.out.contains("see ticket 4711"), "{shown:#?}");
    // Until a person has mended it, no run tries it again.
    let left = bench.sync().await.summary();
    assert_eq!((&left["published"], &left["left_alone"]["failed_before"]), (&0.into(), &1.into()), "{left}");
    let told = bench.run(&["sync", "--full"]).await;
    assert!(told.out.contains("1 left alone: failed before: connector failed list"), "{told:#?}");
    note("");
    let counted = bench.run(&["failed", "replay", "--dry-run"]).await;
    assert!(counted.talk.contains("1 failed jobs to replay"), "{counted:#?}");
    let replayed = bench.run(&["failed", "replay", "--yes", "--json"]).await;
    assert_eq!(replayed.assert_code(0).summary(), serde_json::json!({"replayed": 1, "dry_run": false}));
    bench.sync().await.assert_code(0);
    assert!(is_protected(&bench.asset(&id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_passes_a_right_set_up_and_names_what_is_wrong() {
    let (bench, _) = Bench::with_asset(picture("one.jpg", 1)).await;
    bench.set_request_timeout(15);
    let well = bench.run(&["doctor"]).await;
    well.assert_code(0);
    assert!(
        well.out.contains("PASS  hash metaproperty") && well.out.contains("WARN  Imatag wire profile"),
        "{well:#?}"
    );
    bench.reconfigure("api_key = '", "api_key = 'x");
    let ill = bench.run(&["doctor", "--json"]).await;
    ill.assert_code(4);
    let checks = ill.summary()["checks"].as_array().unwrap().clone();
    assert!(
        checks.iter().any(|check| check["check"] == "Imatag" && check["result"] == "fail"),
        "{checks:#?}"
    );
    let nowhere = [("CONNECTOR_BYNDER__DOMAIN", "portal.invalid".to_owned())];
    let away = bench.run_with(&["doctor"], &nowhere).await;
    assert!(away.out.contains("check bynder.domain, and this machine's network"), "{away:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_verifies_each_asset_and_does_nothing_twice() {
    let bench = Bench::new(quick()).await;
    let ran = bench.run(&["demo", "--assets", "30", "--json", "--quiet"]).await;
    ran.assert_code(0);
    let line = ran.summary();
    assert_eq!((&line["assets"], &line["verified"]), (&30.into(), &line["watermarked"]));
    assert_eq!(line["second_run"], serde_json::json!({"listed": 30, "watermarked": 0, "downloads": 0}));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_printed_by_any_command() {
    let (bench, _) = Bench::with_asset(picture("one.jpg", 1)).await;
    let announcement = bench.sandbox.announcement();
    let everything = [("CONNECTOR_LOG", "trace".to_owned())];
    for arguments in [
        &["sync", "--full", "--json"][..],
        &["config", "show"],
        &["config", "check"],
        &["doctor"],
        &["failed", "list"],
        &["report", "--since", "2020-01-01T00:00:00Z"],
        &["verify", "--sample", "1"],
        &["restore", "--filter", "types=image", "--yes"],
    ] {
        let ran = bench.run_with(arguments, &everything).await;
        for secret in [&announcement.token, &announcement.api_key] {
            assert!(!ran.out.contains(secret) && !ran.talk.contains(secret), "{arguments:?} prints a secret");
        }
    }
}
