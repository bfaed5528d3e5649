//! What surrounds the program: no folder for temporary files, proxies, certificates, secrets as people save them.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::Arc;

use ledger::state::State;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};

use crate::harness::{Bench, PROGRAM, Ran, picture};

/// More than SQLite sorts and groups without spilling.
const MANY: u32 = 60_000;

/// Fills the ledger with copies of what one run left, and keeps the state open, as a producer does.
async fn much_on_record(bench: &Bench) -> State {
    let state = State::open_to_append(&bench.path("state")).unwrap().unwrap();
    let published = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
         INSERT INTO published (job_id, run, asset, before, base, at_ms, lane, open)
         SELECT 'copy ' || i, run, asset, job, base, at_ms, lane, 0 FROM published, n"
    );
    let columns =
        "base, version, at, attempts, bytes_downloaded, bytes_uploaded, asset_name, original, watermarked,
                   medium, requests, rest";
    let of_outcome =
        columns.split(',').map(|column| format!("outcomes.{}", column.trim())).collect::<Vec<_>>();
    let outcomes = format!(
        "INSERT INTO outcomes (job, outcome, {columns}) SELECT copies.job, outcome, {} FROM outcomes
         CROSS JOIN published AS copies WHERE copies.before = outcomes.job AND copies.job % 2 = 0",
        of_outcome.join(", ")
    );
    let filled = state.write(move |transaction| {
        transaction.execute_batch(&published)?;
        transaction.execute_batch(&outcomes)?;
        Ok(())
    });
    filled.await.unwrap();
    state
}

/// Runs the program with no folder for temporary files; no file that it writes may hold more than
/// 64 KiB, which is enough for the sample that is handed to a reader in memory, and for nothing that SQLite spills.
async fn run_without_files(bench: &Bench, arguments: &[&str]) -> Ran {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -f 128; exec \"$0\" \"$@\"", PROGRAM]).args(arguments);
    command.arg("--config").arg(bench.path("connector.toml")).stdin(Stdio::null());
    let nowhere = bench.path("no such folder");
    command.env("TMPDIR", &nowhere).env("SQLITE_TMPDIR", &nowhere).env("CONNECTOR_LOG", "warn");
    Ran::new(command.output().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_only_looks_needs_no_folder_for_temporary_files_however_much_is_on_record() {
    let (bench, id) = Bench::with_asset(picture("one.jpg", 1)).await;
    bench.set_request_timeout(15);
    let summary = bench.sync().await.summary();
    let run = summary["run_id"].as_str().unwrap();
    let held = much_on_record(&bench).await;
    let (ids, file) = (bench.path("ids.txt"), bench.path("sample.jpg"));
    std::fs::write(&ids, &id).unwrap();
    std::fs::write(&file, sample_files::file(sample_files::Format::Jpeg, 7, 64, 48)).unwrap();
    let (ids, file) = (ids.display().to_string(), file.display().to_string());
    for arguments in [
        &["status"][..],
        &["plan", "--full"],
        &["plan", "--full", "--ids-from", &ids],
        &["report", run],
        &["lookup", &file],
        &["doctor"],
        &["trial", &file, "--yes"],
    ] {
        let ran = run_without_files(&bench, arguments).await;
        assert_eq!(ran.code, Some(0), "{arguments:?} {} {}", ran.talk, ran.out.len());
    }
    drop(held);
    // It takes the state for itself, and so has to write there.
    let nowhere = bench.path("no such folder").display().to_string();
    let nowhere = [("TMPDIR", nowhere.clone()), ("SQLITE_TMPDIR", nowhere)];
    bench.run_with(&["restore", "--run", run, "--dry-run"], &nowhere).await.assert_code(0);
}

/// Runs the program with these variables and without those that would hide what they do.
async fn run_in(bench: &Bench, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    let mut command = bench.command(arguments);
    for name in ["NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"] {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied());
    Ran::new(command.output().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn this_machine_is_behind_no_proxy_and_an_error_of_a_proxy_names_it_without_its_password() {
    let (bench, _) = Bench::with_asset(picture("one.jpg", 1)).await;
    bench.set_request_timeout(15);
    // Nothing listens there.
    let proxy = "http://person:hidden@127.0.0.1:9";
    let proxies = [("HTTP_PROXY", proxy), ("HTTPS_PROXY", proxy)];
    run_in(&bench, &["doctor"], &proxies).await.assert_code(0);
    run_in(&bench, &["sync", "--full", "--quiet"], &proxies).await.assert_code(0);
    let wrong = run_in(&bench, &["config", "check"], &[("https_proxy", "htp://person:hidden@proxy")]).await;
    assert!(wrong.assert_code(3).talk.contains("https_proxy: is not a proxy address"), "{wrong:#?}");
    assert!(!wrong.talk.contains("hidden"), "{wrong:#?}");
    let away = [&proxies[..], &[("CONNECTOR_BYNDER__DOMAIN", "portal.invalid")]].concat();
    for command in ["doctor", "plan"] {
        let ran = run_in(&bench, &[command], &away).await;
        let said = format!("{}{}", ran.out, ran.talk);
        assert!(said.contains("through the proxy http://127.0.0.1:9"), "{ran:#?}");
        assert!(!said.contains("hidden"), "{ran:#?}");
    }
}

/// A server with a certificate for these names, which `ca.pem` trusts.
fn certified(bench: &Bench, names: Vec<String>) -> ServerConfig {
    let certified = rcgen::generate_simple_self_signed(names).unwrap();
    std::fs::write(bench.path("ca.pem"), certified.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let tls = tls.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    tls.with_single_cert(vec![certified.cert.der().clone()], key).unwrap()
}

/// Whether a request's head is among these frames of HTTP/2.
fn is_asked(mut frames: &[u8]) -> bool {
    frames = frames.get(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len()..).unwrap_or_default();
    while let [high, middle, low, kind, ..] = *frames {
        if kind == 1 {
            return true;
        }
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        frames = frames.get(9 + length..).unwrap_or_default();
    }
    false
}

/// Runs `doctor` on a portal with this certificate that answers a request by HTTP/2 with this frame.
async fn said_of(bench: &Bench, tls: ServerConfig, answer: Vec<u8>) -> String {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let domain = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let server = tokio::spawn(async move {
        let mut asking = Vec::new();
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            let Ok(mut connection) = acceptor.accept(connection).await else { continue };
            let mut asked = Vec::new();
            connection.write_all(&SETTINGS).await.unwrap();
            while !is_asked(&asked) && connection.read_buf(&mut asked).await.is_ok_and(|bytes| bytes > 0) {}
            connection.write_all(&answer).await.unwrap();
            asking.push(connection);
        }
    });
    let trusted = bench.path("ca.pem").display().to_string();
    let variables = [("CONNECTOR_BYNDER__DOMAIN", domain.as_str()), ("SSL_CERT_FILE", trusted.as_str())];
    let ran = run_in(bench, &["doctor"], &variables).await;
    server.abort();
    format!("{}{}", ran.assert_code(5).out, ran.talk)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_peer_writes_into_a_certificate_or_says_at_parting_is_cut_and_shows_no_credential() {
    const LONGEST_LINE: usize = 800;
    let (bench, _) = Bench::with_asset(picture("one.jpg", 1)).await;
    bench.set_request_timeout(15);
    let names = (0..200).map(|number| format!("{}.n{number}.example", "a".repeat(60))).collect();
    let said = said_of(&bench, certified(&bench, names), Vec::new()).await;
    assert!(said.contains("the server's certificate is for another name"), "{said}");
    assert!(said.lines().all(|line| line.len() < LONGEST_LINE), "{said}");
    // GOAWAY with words of the server's own, before it looked at any request.
    let token = bench.sandbox.announcement().token;
    let words = format!("no {token} {}", "x".repeat(10_000));
    let length = u32::try_from(words.len() + 8).unwrap().to_be_bytes();
    let parting = [&length[1..], &[7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 11], words.as_bytes()].concat();
    let mut tls = certified(&bench, vec!["localhost".to_owned()]);
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let said = said_of(&bench, tls, parting).await;
    assert!(said.contains("excessive load"), "{said}");
    assert!(!said.contains(&token), "{said}");
    assert!(said.lines().all(|line| line.len() < LONGEST_LINE), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_trusted_is_named_with_the_way_to_trust_it() {
    let (bench, _) = Bench::with_asset(picture("one.jpg", 1)).await;
    bench.set_request_timeout(15);
    let tls = certified(&bench, vec!["localhost".to_owned()]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let domain = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let server = tokio::spawn(async move {
        loop {
            let (connection, _) = listener.accept().await.unwrap();
            // Greeted, and left without an answer.
            drop(acceptor.accept(connection).await);
        }
    });
    let said = async |trusted: Option<&str>| {
        let mut variables = vec![("CONNECTOR_BYNDER__DOMAIN", domain.as_str())];
        variables.extend(trusted.map(|path| ("SSL_CERT_FILE", path)));
        run_in(&bench, &["doctor"], &variables).await
    };
    let unknown = said(None).await;
    assert!(unknown.out.contains("certificate authority (CA)"), "{unknown:#?}");
    assert!(unknown.out.contains("SSL_CERT_FILE"), "{unknown:#?}");
    let path = bench.path("ca.pem").display().to_string();
    let known = said(Some(&path)).await;
    assert!(known.out.contains("FAIL  Bynder portal") && !known.out.contains("certificate"), "{known:#?}");
    let missing = said(Some("/no/such.pem")).await;
    assert!(missing.assert_code(3).out.contains("SSL_CERT_FILE names /no/such.pem"), "{missing:#?}");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o606)).unwrap();
    let open = said(Some(&path)).await;
    assert!(open.assert_code(3).out.contains("its mode 606 lets every user change it"), "{open:#?}");
    let broker = [("CONNECTOR_BROKER__URL", "amqp://localhost"), ("CONNECTOR_BROKER__CA_FILE", &*path)];
    let open = run_in(&bench, &["config", "check"], &broker).await;
    let refusal = "broker.ca_file: cannot read it: its mode 606 lets every user change it";
    assert!(open.assert_code(3).talk.contains(refusal), "{open:#?}");
    server.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn config_check_names_what_was_saved_along_with_a_secret_and_shows_none_of_it() {
    let (bench, _) = Bench::with_asset(picture("one.jpg", 1)).await;
    let token = bench.sandbox.announcement().token;
    let file = bench.path("token");
    bench.reconfigure(
        &format!("api_token = '{token}'"),
        &format!("api_token = {{ file = '{}' }}", file.display()),
    );
    for (before, after, named) in
        [("\u{feff}", "", "byte order mark"), ("\"", "\"", "quotes"), ("Bearer ", "", "Bearer")]
    {
        std::fs::write(&file, format!("{before}{token}{after}\n")).unwrap();
        let checked = bench.run(&["config", "check"]).await;
        assert!(checked.assert_code(3).talk.contains("bynder.api_token"), "{checked:#?}");
        assert!(checked.talk.contains(named) && !checked.talk.contains(&token), "{checked:#?}");
    }
    std::fs::write(&file, format!("{token}\r\n")).unwrap();
    bench.run(&["config", "check"]).await.assert_code(0);
}
