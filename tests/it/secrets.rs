//! No secret is printed, stored or sent where others read it: at trace level, through success and failure.
//!
//! Everything secret that the sandbox gives out (credentials, tokens that it issues, links to storage, upload policies)
//! carries one mark, and so does the broker's password. What the programs leave behind is searched for it. That no
//! address of a request holds it is watched by the sandbox itself.

use std::path::Path;
use std::time::Duration;

use lapin::options::BasicGetOptions;
use lapin::{Connection, ConnectionProperties};
use nix::sys::signal::Signal;
use sandbox::faults::{Action, Faults, Moment, of_all_kinds};
use sandbox::{SECRET_MARK, ViolationKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::harness::broker::{Broker, free_ports};
use crate::harness::collector::Collector;
use crate::harness::fleet::{Fleet, ended, signal};
use crate::harness::scene::every;
use crate::harness::scrape::Scrape;
use crate::harness::{Bench, Ran, assert_clean, is_protected, picture, quick, until};
use crate::page::Browser;
use crate::support::unpacked;

pub(crate) fn everything() -> (&'static str, String) {
    ("CONNECTOR_LOG", "trace".to_owned())
}

/// A secret that is a number, where a text is expected.
pub(crate) const SECRET_NUMBER: &str = "7340261985531";

fn assert_silent(what: &str, bytes: &[u8]) {
    // Libraries show bytes as a list of numbers.
    let numbers = SECRET_MARK.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
    let found = [SECRET_MARK, SECRET_NUMBER, &numbers]
        .iter()
        .find_map(|mark| bytes.windows(mark.len()).position(|window| window == mark.as_bytes()));
    let Some(at) = found else { return };
    let around = &bytes[at.saturating_sub(200)..(at + 80).min(bytes.len())];
    panic!("{what} holds a secret: …{}…", String::from_utf8_lossy(around));
}

pub(crate) fn assert_silent_run(what: &str, ran: &Ran) {
    assert_silent(what, ran.out.as_bytes());
    assert_silent(what, ran.talk.as_bytes());
}

/// Every file of the bench but the configuration, in which a person wrote the secrets.
pub(crate) fn assert_silent_files(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_silent_files(&path);
        } else if path.file_name().is_some_and(|name| name != "connector.toml") {
            assert_silent(&path.display().to_string(), &std::fs::read(&path).unwrap());
        }
    }
}

/// Every message that waits in a queue of this fleet; they go back when the connection is closed.
async fn messages(fleet: &Fleet) -> Vec<u8> {
    let listed = Broker::shared().await.control(&["list_queues", "name", "--no-table-headers"]).await;
    let connection = Connection::connect(&fleet.url, ConnectionProperties::default()).await.unwrap();
    let mut all = Vec::new();
    for name in listed.lines().filter(|name| name.starts_with(&format!("{}.", fleet.prefix))) {
        let channel = connection.create_channel().await.unwrap();
        while let Ok(Some(got)) = channel.basic_get(name.into(), BasicGetOptions::default()).await {
            all.extend(format!("{:?}", got.delivery.properties).into_bytes());
            all.extend(&got.delivery.data);
        }
    }
    // A queue that somebody holds alone closes the channel that asks for it, and with it this may fail.
    let _ = connection.close(200, "seen".into()).await;
    all
}

/// A fleet whose broker wants a password that can be told from everything else.
async fn fleet() -> Fleet {
    let broker = Broker::shared().await;
    let password = format!("{SECRET_MARK}-broker");
    broker.control(&["add_user", "marked", &password]).await;
    broker.control(&["set_permissions", "marked", ".*", ".*", ".*"]).await;
    let url = format!("amqp://marked:{password}@{}", broker.address());
    Fleet::on(&url, sandbox::Options { assets: 40, ..quick() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_under_faults_leaves_no_secret_in_logs_messages_metrics_or_state() {
    let fleet = fleet().await;
    let bench = &fleet.bench;
    let [port] = free_ports();
    let collector = Collector::start(200).await;
    let endpoint = ("CONNECTOR_TRACES__ENDPOINT", collector.endpoint.clone());
    let traced = [everything(), endpoint.clone(), ("CONNECTOR_TRACES__NAMES", "true".to_owned())];
    let published = ended(fleet.producer_with(&["sync", "--full"], &traced)).await;
    assert_silent_run("the producer", published.assert_code(0));
    bench.sandbox.set_faults(of_all_kinds(7, 0.05));
    let first = fleet.worker_with(&traced);
    until(|| bench.sandbox.stats().requests.get("bynder.save").is_some_and(|saves| *saves > 5)).await;
    // What is in hand goes back to its queues, halfway done.
    signal(&first, Signal::SIGKILL);
    let waiting = messages(&fleet).await;
    assert!(waiting.len() > 10_000, "only {} bytes in the queues", waiting.len());
    assert_silent("a message", &waiting);
    let listen = ("CONNECTOR_HTTP__LISTEN", format!("127.0.0.1:{port}"));
    let _worker = fleet.worker_with(&[everything(), endpoint, listen]);
    until(|| bench.sandbox.stats().requests["bynder.save"] > 15).await;
    bench.sandbox.set_faults(Faults::default());
    let last = ended(fleet.producer_with(&["sync", "--full", "--wait", "--json"], &[everything()])).await;
    assert!(matches!(last.code, Some(0 | 6)), "{last:#?}");
    assert_silent_run("the producer", &last);
    assert_silent("metrics", Scrape::of(port).await.text.as_bytes());
    assert_silent("a failed job or an outcome", &messages(&fleet).await);
    // The worker sends its spans every few seconds, and its jobs may take less.
    until(|| collector.spans().len() > 100).await;
    assert_silent("a trace", &collector.bytes());
    assert_clean(&bench.sandbox.audit());
    for command in [
        "status --json",
        "failed list --json",
        "failed show --json",
        "report --since 2020-01-01 --format json",
        "config show --json",
        "config show",
        "config check",
        "doctor --json",
        "plan --full --json",
        "verify --sample 1 --json",
        "pause",
        "resume",
    ] {
        let arguments: Vec<_> = command.split(' ').collect();
        assert_silent_run(command, &bench.run_with(&arguments, &[everything()]).await);
    }
    let bundle = bench.path("bundle.tar.gz");
    let arguments = ["doctor", "--with-names", "--bundle", bundle.to_str().unwrap()];
    assert_silent_run("doctor --bundle", &bench.run_with(&arguments, &[everything()]).await);
    let backup = bench.path("backup.tar.gz");
    let arguments = ["state", "backup", backup.to_str().unwrap()];
    assert_silent_run("state backup", bench.run_with(&arguments, &[everything()]).await.assert_code(0));
    for (archive, least) in [(bundle, 9), (backup, 2)] {
        let files = unpacked(&archive);
        assert!(files.len() >= least, "{:?}", files.keys());
        for (name, bytes) in &files {
            assert_silent(name, bytes);
        }
    }
    assert_silent_page(&fleet).await;
    assert_silent_files(&bench.path(""));
    assert_no_address(bench);
}

/// Everything that the operator's page shows.
async fn assert_silent_page(fleet: &Fleet) {
    let [port] = free_ports();
    let tokens = "[{ name = 'Anna', token = { env = 'PAGE_TOKEN' } }]".to_owned();
    let variables = [
        ("CONNECTOR_PRODUCER__EVERY", "1s".to_owned()),
        ("CONNECTOR_PAGE__LISTEN", format!("127.0.0.1:{port}")),
        ("CONNECTOR_PAGE__TOKENS", tokens),
        ("PAGE_TOKEN", format!("{SECRET_MARK}-of-a-person-at-the-page")),
    ];
    let producer = fleet.producer_with(&[], &variables);
    let browser = Browser::at(port);
    browser.until_shown("/", "Processes that share the budget").await;
    let mut paths = [
        "/",
        "/failed",
        "/failed.csv",
        "/runs",
        "/api/v1/overview",
        "/api/v1/failed?limit=500",
        "/api/v1/runs",
    ]
    .map(str::to_owned)
    .to_vec();
    for asset in fleet.bench.sandbox.audit().assets {
        if fleet.bench.outcome(&asset.id).await.is_some() {
            paths.extend([format!("/assets/{}", asset.id), format!("/api/v1/assets/{}", asset.id)]);
        }
    }
    assert!(paths.len() > 40, "{paths:?}");
    for path in paths {
        assert_silent(&path, browser.get(&path).await.as_bytes());
    }
    signal(&producer, Signal::SIGTERM);
    assert_silent_run("the producer with a page", ended(producer).await.assert_code(0));
}

/// Frames of AMQP: what the broker greets with, and a refusal with these words.
fn refusal_in(words: &str) -> [Vec<u8>; 2] {
    let frame = |payload: &[u8]| {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[1, 0, 0], &length[..], payload, &[0xce]].concat()
    };
    let start = [&[0, 10, 0, 10, 0, 9, 0, 0, 0, 0][..], b"\0\0\0\x05PLAIN", b"\0\0\0\x05en_US"].concat();
    let length = u8::try_from(words.len()).unwrap();
    let close = [&[0, 10, 0, 50, 1, 0x93, length][..], words.as_bytes(), &[0, 10, 0, 11]].concat();
    [frame(&start), frame(&close)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_quotes_the_password_is_shown_without_it() {
    let (bench, _) = Bench::with_asset(picture("one.jpg", 1)).await;
    let password = format!("{SECRET_MARK}-of-the-broker");
    let [start, close] = refusal_in(&format!("no {password}"));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("amqp://me:{password}@{}/%2f", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            let (start, close) = (start.clone(), close.clone());
            tokio::spawn(async move {
                for answer in [start, close] {
                    let _ = connection.read(&mut [0; 4096]).await;
                    let _ = connection.write_all(&answer).await;
                }
                // Until the other side has read it.
                let _ = connection.read(&mut [0; 4096]).await;
            });
        }
    });
    let variables = [everything(), ("CONNECTOR_BROKER__URL", url)];
    for command in ["status", "doctor"] {
        let ran = bench.run_with(&[command], &variables).await;
        assert_silent_run(command, ran.assert_code(4));
        assert!(format!("{}{}", ran.out, ran.talk).contains("the broker refuses: no …"), "{ran:#?}");
    }
}

/// What was asked for by hand on top is no concern here.
fn assert_no_address(bench: &Bench) {
    let violations = bench.sandbox.audit().violations;
    let leaked: Vec<_> =
        violations.iter().filter(|violation| violation.kind == ViolationKind::CredentialLeaked).collect();
    assert!(leaked.is_empty(), "{leaked:#?}");
}

/// Every request is answered so.
fn refusing(endpoint: &str, status: u16) -> Faults {
    let body = "{\"error\": \"no\", \"detail\": \"no\"}".to_owned();
    let action = Action::Answer { status, body, content_type: "application/json".to_owned() };
    every(endpoint, Moment::Before, action)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_for_good_says_why_without_a_secret() {
    let (bench, _) = Bench::with_asset(picture("one.jpg", 1)).await;
    let file = bench.path("one.jpg");
    std::fs::write(&file, sample_files::file(sample_files::Format::Jpeg, 9, 64, 48)).unwrap();
    let file = file.display().to_string();
    let quick_end = [everything(), ("CONNECTOR_WORKER__MAX_ATTEMPTS", "2".to_owned())];
    for endpoint in ["bynder.*", "bynder.save", "bynder.upload_step", "s3.*", "imatag.*", "imatag.storage"] {
        for status in [400, 401, 403, 404, 500] {
            bench.sandbox.set_faults(refusing(endpoint, status));
            let ran = bench.run_with(&["sync", "--full", "--json"], &quick_end).await;
            assert_silent_run(&format!("sync, {status} from {endpoint}"), &ran);
        }
        for command in [&["doctor"][..], &["trial", &file, "--yes"], &["plan"]] {
            let ran = bench.run_with(command, &quick_end).await;
            assert_silent_run(&format!("{command:?}, {endpoint} refused"), &ran);
        }
    }
    bench.sandbox.set_faults(Faults::default());
    bench.set_request_timeout(15);
    let tried = bench.run_with(&["trial", &file, "--yes"], &[everything()]).await;
    assert_silent_run("trial", tried.assert_code(0));
    assert_silent_files(&bench.path(""));
    assert_no_address(&bench);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_are_issued_and_an_address_that_is_wrong_are_not_printed() {
    let (bench, id) = Bench::with_asset(picture("one.jpg", 1)).await;
    let announcement = bench.sandbox.announcement();
    let (client, secret) = (&announcement.client_id, &announcement.client_secret);
    bench.reconfigure(
        &format!("api_token = '{}'", announcement.token),
        &format!("oauth = {{ client_id = '{client}', client_secret = '{secret}' }}"),
    );
    bench.sandbox.set_faults(of_all_kinds(3, 0.05));
    let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
    while !is_protected(&bench.asset(&id)) {
        assert!(tokio::time::Instant::now() < deadline, "it is never protected");
        let ran = bench.run_with(&["sync", "--full"], &[everything()]).await;
        assert_silent_run("sync with a client's credentials", &ran);
    }
    bench.sandbox.set_faults(refusing("bynder.token", 401));
    assert_silent_run("a client that is refused", &bench.run_with(&["plan"], &[everything()]).await);
    // Credentials where an address should be, and TLS where there is none.
    for (from, to) in [
        (announcement.bynder.clone(), format!("https://u:{SECRET_MARK}@{}", bench.sandbox.address())),
        (format!("https://u:{SECRET_MARK}@"), "https://".to_owned()),
    ] {
        bench.reconfigure(&from, &to);
        for command in [&["plan"][..], &["doctor"], &["config", "show"]] {
            let ran = bench.run_with(command, &[everything()]).await;
            assert_silent_run(&format!("{command:?} of a wrong address"), &ran);
        }
    }
    for url in [format!("amqp://u:{SECRET_MARK}@127.0.0.1:1"), format!("amqp//{SECRET_MARK}")] {
        bench.configure(&format!("[broker]\nurl = '{url}'\n"));
        for command in [&["status"][..], &["doctor"], &["config", "check"], &["config", "show"]] {
            let ran = bench.run_with(command, &[everything()]).await;
            assert_silent_run(&format!("{command:?} with a broker's address"), &ran);
        }
    }
    assert_silent_files(&bench.path(""));
    assert_no_address(&bench);
}
