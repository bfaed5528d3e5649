//! Who is notified of what needs a person, by a real webhook and a real mail server.

use nix::sys::signal::Signal;
use sandbox::faults::{Action, Faults, Moment};
use serde_json::Value;

use crate::documents::{blocks, document};
use crate::harness::fleet::{Fleet, ended, signal};
use crate::harness::receivers::{Encryption, MailServer, Webhook};
use crate::harness::scene::every;
use crate::harness::serving::{Serving, stop};
use crate::harness::{Bench, Ran, is_protected, picture, quick, until, until_async};

/// The secrets of receivers, in what must not show them.
const SECRETS: [&str; 2] = ["t0p-s3cr3t", "mail-s3cr3t"];

fn webhook_only(webhook: &Webhook) -> String {
    format!("[notify]\nwebhook = '{}'\n", webhook.url)
}

fn mail_only(server: &MailServer, encryption: &str, password: &str) -> String {
    format!(
        "[notify.mail]\nhost = 'localhost'\nport = {}\nencryption = '{encryption}'\nuser = 'alerts'\npassword = '{password}'\n\
         from = 'Connector <connector@example.com>'\nto = ['library@example.com', 'it@example.com']\n",
        server.port
    )
}

/// What each message is about.
fn kinds(webhook: &Webhook) -> Vec<String> {
    let parsed = webhook.received().into_iter().map(|text| serde_json::from_str::<Value>(&text).unwrap());
    parsed.map(|message| message["kind"].as_str().unwrap().to_owned()).collect()
}

/// Fails unless the message is that of the page, but for the portal, the time and the rest of the text.
fn assert_is_as_documented(message: &str) {
    let [sample] = blocks(&document("docs/configuration.md"), "json").try_into().unwrap();
    let [sample, sent] = [&sample, message].map(|text| serde_json::from_str::<Value>(text).unwrap());
    let text = |value: &Value, key: &str| value[key].as_str().unwrap().to_owned();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&sent), keys(&sample));
    assert_eq!(sent["kind"], sample["kind"]);
    let start = text(&sample, "text").replace(&text(&sample, "portal"), &text(&sent, "portal"));
    assert!(text(&sent, "text").starts_with(start.trim_end_matches('…')), "{message}");
    for value in [&sample, &sent] {
        text(value, "at").parse::<jiff::Timestamp>().unwrap();
    }
}

fn assert_keeps_secrets(ran: &Ran) {
    for secret in SECRETS {
        assert!(!ran.out.contains(secret) && !ran.talk.contains(secret), "{ran:#?}");
    }
}

async fn test_with(bench: &Bench, server: Option<&MailServer>) -> Ran {
    let trusted = server.map(|server| ("SSL_CERT_FILE", server.authority.path().display().to_string()));
    let log = ("CONNECTOR_LOG", "trace".to_owned());
    let ran = bench.run_with(&["notify-test"], &trusted.into_iter().chain([log]).collect::<Vec<_>>()).await;
    assert_keeps_secrets(&ran);
    ran
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_message_goes_through_each_receiver_and_the_exit_code_says_what_is_wrong() {
    let bench = Bench::new(quick()).await;
    assert!(test_with(&bench, None).await.assert_code(3).talk.contains("[notify] has no receiver"));
    let (webhook, server) = (Webhook::start().await, MailServer::start(Encryption::StartTls).await);
    bench.configure(&(webhook_only(&webhook) + &mail_only(&server, "starttls", "mail-s3cr3t")));
    let ran = test_with(&bench, Some(&server)).await;
    assert_eq!(ran.assert_code(0).out, "webhook: accepted\nmail: accepted\n");
    assert_eq!(kinds(&webhook), ["test"]);
    let mail = server.received().remove(0);
    assert!(mail.is_encrypted && mail.credentials.as_deref() == Some("alerts:mail-s3cr3t"), "{mail:?}");
    assert_eq!((&*mail.from, mail.to.len()), ("connector@example.com", 2));
    assert!(mail.text.contains("a test") && mail.text.contains("Message-ID: <"), "{}", mail.text);
    for (status, code) in [(404, 4), (400, 3), (503, 5)] {
        webhook.answer_with(status);
        let ran = test_with(&bench, Some(&server)).await;
        assert!(ran.assert_code(code).out.contains(&format!("the status {status}\nmail: accepted\n")));
    }
    webhook.answer_with(200);
    bench.configure(&mail_only(&server, "starttls", "wrong"));
    let ran = test_with(&bench, Some(&server)).await;
    assert!(ran.assert_code(4).out.contains("the code 535"), "{ran:#?}");
    // A server whose certificate is not trusted gets neither password nor text.
    bench.configure(&mail_only(&server, "starttls", "mail-s3cr3t"));
    let before = server.received().len();
    let stranger = MailServer::start(Encryption::StartTls).await;
    assert!(test_with(&bench, Some(&stranger)).await.assert_code(5).out.contains("mail: failed"));
    assert_eq!(server.received().len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_goes_by_tls_and_without_it_only_to_this_machine() {
    let bench = Bench::new(quick()).await;
    for (encryption, name) in [(Encryption::Tls, "tls"), (Encryption::None, "none")] {
        let server = MailServer::start(encryption).await;
        bench.configure(&mail_only(&server, name, "mail-s3cr3t"));
        test_with(&bench, Some(&server)).await.assert_code(0);
        assert_eq!(server.received()[0].is_encrypted, encryption == Encryption::Tls);
    }
    let server = MailServer::start(Encryption::None).await;
    // A server that has no TLS gets nothing.
    bench.configure(&mail_only(&server, "starttls", "mail-s3cr3t"));
    test_with(&bench, Some(&server)).await.assert_code(5);
    assert!(server.received().is_empty());
    bench.reconfigure("host = 'localhost'", "host = 'mail.example.com'");
    bench.reconfigure("encryption = 'starttls'", "encryption = 'none'");
    assert!(test_with(&bench, None).await.assert_code(3).talk.contains("on this machine"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_ends_badly_is_reported_once_and_says_no_name_of_an_asset() {
    let bench = Bench::new(quick()).await;
    let webhook = Webhook::start().await;
    bench.configure(&(webhook_only(&webhook) + "[limits]\nassets_per_run = 1\n"));
    for number in 0..3 {
        bench.sandbox.add_asset(picture(&format!("beach-{number}.jpg"), number)).unwrap();
    }
    for _ in 0..2 {
        bench.sync().await.assert_code(8);
    }
    assert_eq!(kinds(&webhook), ["limit_reached"]);
    assert_is_as_documented(&webhook.received()[0]);
    bench.sync().await.assert_code(0);
    let token = bench.sandbox.announcement().token.clone();
    bench.reconfigure(&token, "s3cr3t-but-wrong");
    for _ in 0..2 {
        assert_keeps_secrets(bench.sync().await.assert_code(4));
    }
    assert_eq!(kinds(&webhook), ["limit_reached", "credential_refused"]);
    for message in webhook.received() {
        assert!(!message.contains("beach") && !message.contains("s3cr3t"), "{message}");
        assert!(message.contains("connector status") || message.contains("connector doctor"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_cannot_be_reached_changes_no_exit_code_and_is_logged() {
    let bench = Bench::new(quick()).await;
    bench.configure("[notify]\nwebhook = 'http://127.0.0.1:9/t0p-s3cr3t'\n[limits]\nassets_per_run = 1\n");
    for number in 0..2 {
        bench.sandbox.add_asset(picture(&format!("{number}.jpg"), number)).unwrap();
    }
    let ran = bench.sync().await;
    assert_keeps_secrets(ran.assert_code(8));
    assert!(ran.talk.contains("cannot notify a person"), "{ran:#?}");
    assert!(bench.sandbox.audit().assets.iter().any(is_protected));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_producer_reports_a_limit_and_continues() {
    let fleet = Fleet::new(quick()).await;
    let webhook = Webhook::start().await;
    let limited = webhook_only(&webhook) + "[limits]\nassets_per_day = 1\n";
    fleet.configure(&limited);
    fleet.bench.reconfigure("[producer]\n", "[producer]\nevery = '1s'\n");
    for number in 0..3 {
        fleet.bench.sandbox.add_asset(picture(&format!("{number}.jpg"), number)).unwrap();
    }
    let producer = fleet.producer_with(&["sync", "--full", "--quiet"], &[]);
    until(|| kinds(&webhook) == ["limit_reached"]).await;
    signal(&producer, Signal::SIGTERM);
    ended(producer).await.assert_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_reports_a_credential_that_imatag_refuses_and_continues_afterwards() {
    let (webhook, serving) = (Webhook::start().await, Serving::new(quick()).await);
    serving.bench.configure(&webhook_only(&webhook));
    serving.bench.reconfigure("[producer]\n", "[producer]\nevery = '1s'\n");
    let refusal = Action::Answer { status: 401, body: String::new(), content_type: "text/plain".to_owned() };
    serving.bench.sandbox.set_faults(every("imatag.*", Moment::Before, refusal));
    let id = serving.bench.sandbox.add_asset(picture("beach.jpg", 1)).unwrap();
    let running = serving.start(&["--full"], &[]);
    until(|| kinds(&webhook) == ["credential_refused"]).await;
    assert!(!webhook.received()[0].contains("beach"), "{:?}", webhook.received());
    serving.bench.sandbox.set_faults(Faults::default());
    until(|| is_protected(&serving.bench.asset(&id))).await;
    stop(running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_reports_a_limit_by_mail_once_however_often_it_starts() {
    let server = MailServer::start(Encryption::StartTls).await;
    let serving = Serving::new(quick()).await;
    let more = mail_only(&server, "starttls", "mail-s3cr3t") + "[limits]\nassets_per_day = 1\n";
    serving.bench.configure(&more);
    serving.bench.reconfigure("[producer]\n", "[producer]\nevery = '1s'\n");
    for number in 0..3 {
        serving.bench.sandbox.add_asset(picture(&format!("{number}.jpg"), number)).unwrap();
    }
    let trusted = server.authority.path().display().to_string();
    for _ in 0..2 {
        let running = serving.start(&["--full"], &[("SSL_CERT_FILE", &trusted)]);
        until(|| !server.received().is_empty()).await;
        // Another run reaches the limit.
        let limited = "connector_runs_total{mode=\"full\",result=\"limited\"}";
        until_async(async || {
            let page = crate::harness::scrape::get(serving.port, "/metrics").await.unwrap_or_default();
            page.lines().any(|line| line.strip_prefix(limited).is_some_and(|count| count.trim() != "0"))
        })
        .await;
        stop(running).await;
    }
    assert_eq!(server.received().len(), 1, "{:?}", server.received());
    assert!(server.received()[0].text.contains("a limit was reached"));
}
