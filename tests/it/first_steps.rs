//! What a person does first: writes a configuration, asks the doctor, tries a file.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use sandbox::Edit;

use crate::harness::fleet::Fleet;
use crate::harness::{Bench, PROGRAM, assert_clean, picture, quick};

async fn init(bench: &Bench, more: &[&str]) -> std::process::Output {
    let mut command = tokio::process::Command::new(PROGRAM);
    command.arg("init").args(more).current_dir(bench.folder.path()).stdin(Stdio::null());
    command.output().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_that_init_writes_is_all_that_a_first_run_needs() {
    let (bench, id) = Bench::with_asset(picture("one.jpg", 1)).await;
    std::fs::remove_file(bench.path("connector.toml")).unwrap();
    let mut without = tokio::process::Command::new(PROGRAM);
    let told = without.arg("doctor").current_dir(bench.folder.path()).output().await.unwrap();
    let line = String::from_utf8_lossy(&told.stdout);
    assert!(told.status.code() == Some(3) && line.contains("`connector init` writes one"), "{told:?}");

    let announcement = bench.sandbox.announcement();
    let missing = init(&bench, &["--domain", &announcement.bynder]).await;
    assert_eq!(missing.status.code(), Some(2), "{missing:?}");
    assert!(
        String::from_utf8_lossy(&missing.stderr).contains("--imatag-directory is missing"),
        "{missing:?}"
    );
    let (metaproperty, directory) = (&announcement.hash_metaproperty, &announcement.directory);
    let flags = [
        ["--domain", &announcement.bynder],
        ["--hash-metaproperty", metaproperty],
        ["--imatag-directory", directory],
    ];
    let flags = flags.concat();
    let written = init(&bench, &flags).await;
    assert_eq!(written.status.code(), Some(0), "{written:?}");
    assert!(String::from_utf8_lossy(&written.stderr).contains("connector doctor"), "{written:?}");
    let again = init(&bench, &flags).await;
    assert_eq!(again.status.code(), Some(2), "{again:?}");
    assert!(String::from_utf8_lossy(&again.stderr).contains("exists already"), "{again:?}");
    let text = std::fs::read_to_string(bench.path("connector.toml")).unwrap();
    assert!(text.contains("{ env = \"BYNDER_TOKEN\" }") && !text.contains(&announcement.token), "{text}");

    let variables = [
        ("BYNDER_TOKEN", announcement.token),
        ("IMATAG_API_KEY", announcement.api_key),
        ("CONNECTOR_IMATAG__BASE_URL", announcement.imatag),
        ("CONNECTOR_PRODUCER__STATE_DIR", bench.path("state").display().to_string()),
        ("CONNECTOR_WORKER__SPOOL_DIR", bench.path("spool").display().to_string()),
    ];
    bench.run_with(&["doctor"], &variables).await.assert_code(0);
    assert!(!bench.path("state").exists() && !bench.path("spool").exists(), "the doctor made a folder");
    bench.run_with(&["sync", "--full", "--max-assets", "1", "--quiet"], &variables).await.assert_code(0);
    assert!(crate::harness::is_protected(&bench.asset(&id)));
}

#[tokio::test(flavor = "multi_thread")]
async fn init_makes_a_key_for_messages_keeps_one_that_is_there_and_shows_none() {
    let bench = Bench::new(quick()).await;
    std::fs::remove_file(bench.path("connector.toml")).unwrap();
    let flags = ["--domain", "acme.bynder.com", "--imatag-directory", "acme", "--broker", "--force"];
    let written = init(&bench, &flags).await;
    assert_eq!(written.status.code(), Some(0), "{written:?}");
    let key = std::fs::read_to_string(bench.path("message_key")).unwrap();
    assert_eq!(key.len(), 64, "{key}");
    let mode = std::fs::metadata(bench.path("message_key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(bench.path("connector.toml")).unwrap();
    assert!(text.contains("message_key = { file = \"message_key\" }"), "{text}");
    assert!(!format!("{written:?}{text}").contains(&key), "{written:?}");
    let again = init(&bench, &flags).await;
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    assert_eq!(std::fs::read_to_string(bench.path("message_key")).unwrap(), key);
    let elsewhere = [&flags[..], &["--secrets-in", "nowhere"]].concat();
    let told = init(&bench, &elsewhere).await;
    assert!(
        String::from_utf8_lossy(&told.stderr).contains("Put a key for messages into nowhere/message_key")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_writes_only_when_it_is_told_to_and_puts_back_what_it_wrote() {
    let (bench, id) = Bench::with_asset(picture("one.jpg", 1)).await;
    bench.set_request_timeout(15);
    let writes = || bench.sandbox.stats().requests.get("bynder.modify").copied().unwrap_or_default();
    bench.run(&["doctor"]).await.assert_code(0);
    assert_eq!(writes(), 0);
    let tested = bench.run(&["doctor", "--write-test", &id]).await;
    assert!(tested.assert_code(0).out.contains("PASS  Bynder right to write"), "{tested:?}");
    assert!(tested.out.contains("PASS  Bynder downloads"), "{tested:?}");
    assert_eq!((writes(), bench.asset(&id).marker), (2, None));
    let text = Some("see ticket 4711".to_owned());
    bench.sandbox.edit(&id, Edit { marker: text.clone(), ..Edit::default() }).unwrap();
    bench.run(&["doctor", "--write-test", &id]).await.assert_code(0);
    assert_eq!(bench.asset(&id).marker, text);
    let nobody = bench.run(&["doctor", "--write-test", "00000000-0000-0000-0000000000000000"]).await;
    assert!(nobody.assert_code(2).out.contains("has no asset"), "{nobody:?}");
    assert_clean(&bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_that_embeds_metadata_on_download_is_named_by_the_doctor_and_by_the_jobs_that_fail() {
    let bench = Bench::new(sandbox::Options { embeds_metadata: true, ..quick() }).await;
    let id = bench.sandbox.add_asset(picture("one.jpg", 1)).unwrap();
    bench.set_request_timeout(15);
    let doctor = async || {
        let tested = bench.run(&["doctor", "--write-test", &id]).await;
        let line = "FAIL  Bynder downloads: two downloads differ";
        assert!(tested.assert_code(3).out.contains(line), "{tested:#?}");
    };
    doctor().await;
    bench.until_listed().await;
    bench.reconfigure("[worker]", "[worker]\nmax_attempts = 2");
    bench.sync().await.assert_code(6);
    let outcome = bench.outcome(&id).await;
    let Some(common::outcome::Outcome::Failed(failure)) = &outcome else { panic!("{outcome:?}") };
    assert!(failure.reason.contains("embed metadata into downloads"), "{failure:?}");
    assert_eq!(bench.asset(&id).media, 0);
    let text = Some("see ticket 4711".to_owned());
    bench.sandbox.edit(&id, Edit { marker: text.clone(), ..Edit::default() }).unwrap();
    doctor().await;
    assert_eq!(bench.asset(&id).marker, text);
}

#[tokio::test(flavor = "multi_thread")]
async fn doctor_plan_and_status_declare_nothing_on_a_broker_that_nobody_used_yet() {
    let fleet = Fleet::new(quick()).await;
    fleet.bench.set_request_timeout(15);
    let doctor = fleet.bench.run(&["doctor"]).await;
    assert!(doctor.assert_code(0).out.contains("are not declared yet"), "{doctor:?}");
    fleet.bench.run(&["plan", "--full"]).await.assert_code(0);
    fleet.bench.run(&["status"]).await.assert_code(0);
    let again = fleet.bench.run(&["doctor"]).await;
    assert!(again.out.contains("are not declared yet"), "{again:?}");
    // Whoever works declares them.
    fleet.publish().await.assert_code(0);
    let after = fleet.bench.run(&["doctor"]).await;
    assert!(after.assert_code(0).out.contains("PASS  broker queues: 0 jobs open"), "{after:?}");
}

/// A picture on this machine, to try.
fn sample(bench: &Bench) -> String {
    let path = bench.path("sample.jpg");
    std::fs::write(&path, sample_files::file(sample_files::Format::Jpeg, 7, 64, 48)).unwrap();
    path.display().to_string()
}

fn submits(bench: &Bench) -> u64 {
    bench.sandbox.stats().requests.get("imatag.submit").copied().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_pays_for_one_watermark_shows_the_transcript_and_confirms_the_profile_on_request() {
    let bench = Bench::new(quick()).await;
    bench.set_request_timeout(15);
    let sample = sample(&bench);
    let unasked = bench.run(&["trial", &sample]).await;
    assert!(unasked.assert_code(2).talk.contains("pass --yes") && submits(&bench) == 0, "{unasked:?}");
    let kept = bench.path("watermarked.jpg").display().to_string();
    let tried = bench.run(&["trial", &sample, "--yes", "--keep", &kept, "--record"]).await;
    let lines = &tried.assert_code(0).out;
    for words in [
        "POST /api/v3/media/",
        "metadata__bynder_media_id=…",
        "x-ratelimit-limit: 1000",
        "CONFIRMED      [auth]",
        "CONFIRMED      [find]",
    ] {
        assert!(lines.contains(words), "{words}: {tried:?}");
    }
    assert!(!lines.contains("NOT CONFIRMED"), "{tried:?}");
    let announcement = bench.sandbox.announcement();
    assert!(!format!("{tried:?}").contains(&announcement.api_key), "{tried:?}");
    assert_ne!(std::fs::read(&kept).unwrap(), std::fs::read(&sample).unwrap());
    let doctor = bench.run(&["doctor"]).await;
    assert!(
        doctor.assert_code(0).out.contains("PASS  Imatag wire profile: imatag is confirmed"),
        "{doctor:?}"
    );
    // The same file again is found, and costs nothing.
    let again = bench.run(&["trial", &sample, "--json"]).await.assert_code(0).summary();
    assert_eq!((submits(&bench), &again["confirmed"]), (1, &true.into()), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_names_what_of_the_profile_does_not_fit() {
    let wrong = [
        ("find = { list = '/media' }", 3, "NOT CONFIRMED  [find]: "),
        ("response = { ready = ['done'] }", 3, "NOT CONFIRMED  [status], [response]: "),
        ("response = { metadata = '/data' }", 3, "NOT CONFIRMED  [find]: "),
        ("auth = { scheme = 'Bearer' }", 4, "NOT CONFIRMED  [auth]: "),
    ];
    let bench = Bench::new(quick()).await;
    let sample = sample(&bench);
    for (wrong, code, words) in wrong {
        bench.configure("");
        bench.reconfigure("mode = 'async'", wrong);
        bench.set_request_timeout(15);
        let tried = bench.run(&["trial", &sample, "--yes", "--record"]).await;
        assert!(tried.assert_code(code).out.contains(words), "{tried:#?}");
        let text = std::fs::read_to_string(bench.path("connector.toml")).unwrap();
        assert!(!text.contains("confirmed = true"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_that_could_not_keep_its_result_pays_for_nothing() {
    let bench = Bench::new(quick()).await;
    let sample = sample(&bench);
    let nowhere = bench.path("nowhere/kept.jpg").to_str().unwrap().to_owned();
    for (kept, words) in [(&sample, "is there already"), (&nowhere, "is in no folder that is there")] {
        let refused = bench.run(&["trial", &sample, "--yes", "--keep", kept]).await;
        assert!(refused.assert_code(2).talk.contains(words), "{refused:#?}");
    }
    assert_eq!(submits(&bench), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_names_a_state_directory_that_is_a_file_and_the_configuration_shows_where_a_secret_stands()
{
    let bench = Bench::new(quick()).await;
    std::fs::write(bench.path("state"), "").unwrap();
    let doctor = bench.run(&["doctor"]).await;
    assert!(doctor.out.contains("state is not a folder"), "{doctor:#?}");
    let shown = bench.run(&["config", "show"]).await;
    let secrets = shown.out.lines().filter(|line| line.contains("api_"));
    let from: Vec<_> = secrets.filter_map(|line| line.rsplit_once("# ")).map(|(_, origin)| origin).collect();
    assert!(from.len() == 2 && from.iter().all(|from| from.ends_with("connector.toml")), "{shown:#?}");
}
