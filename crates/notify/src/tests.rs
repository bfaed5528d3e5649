//! What is delivered, how often, and what is not in it.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use common::failure::Failure;
use serde_json::Value;
use tokio::net::TcpListener;

use super::*;

/// A webhook, with what it received.
struct Hook {
    url: String,
    received: Arc<Mutex<Vec<Value>>>,
    status: Arc<AtomicU16>,
}

impl Hook {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/t0p-s3cr3t", listener.local_addr().unwrap());
        let (received, status) = (Arc::<Mutex<Vec<_>>>::default(), Arc::new(AtomicU16::new(200)));
        let (keep, answer) = (received.clone(), status.clone());
        let handler = async move |body: String| {
            keep.lock().unwrap().push(serde_json::from_str(&body).unwrap());
            (StatusCode::from_u16(answer.load(Ordering::Relaxed)).unwrap(), "t0p-s3cr3t")
        };
        tasks::brief(async move { axum::serve(listener, Router::new().fallback(handler)).await });
        Self { url, received, status }
    }

    fn kinds(&self) -> Vec<String> {
        let received = self.received.lock().unwrap();
        received.iter().map(|message| message["kind"].as_str().unwrap().to_owned()).collect()
    }

    fn answer_with(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    fn notifier(&self, settings: Settings) -> Notifier {
        Notifier::new(settings, Some(Webhook::new(&self.url.parse().unwrap()).unwrap()), None)
    }
}

fn settings(folder: &tempfile::TempDir) -> Settings {
    Settings {
        portal: "acme.bynder.com".to_owned(),
        every: Duration::from_hours(6),
        details: false,
        state_directory: folder.path().join("state"),
    }
}

#[tokio::test]
async fn of_each_kind_one_message_is_sent_in_a_time_also_after_a_restart() {
    let (hook, folder) = (Hook::start().await, tempfile::tempdir().unwrap());
    for _ in 0..2 {
        let notices = Notices::start(hook.notifier(settings(&folder)));
        for kind in [Kind::RunFailed, Kind::LimitReached, Kind::RunFailed] {
            notices.send(Notice::new(kind));
        }
        notices.conclude(&Ok(()), false).await;
    }
    assert_eq!(hook.kinds(), ["run_failed", "limit_reached"]);
    // As if that were long ago, and by a clock that was ahead.
    for at in ["2020-01-01T00:00:00Z", "2199-01-01T00:00:00Z"] {
        let record = format!(r#"{{"run_failed": "{at}"}}"#);
        files::private::put(&folder.path().join("state"), &[], "notices.json", record.as_bytes()).unwrap();
        hook.notifier(settings(&folder)).deliver(&Notice::new(Kind::RunFailed)).await;
    }
    assert_eq!(hook.kinds()[2..], ["run_failed", "run_failed"]);
}

#[tokio::test]
async fn a_state_directory_that_cannot_be_written_repeats_no_message() {
    let (hook, folder) = (Hook::start().await, tempfile::tempdir().unwrap());
    std::fs::write(folder.path().join("state"), "a file").unwrap();
    let mut notifier = hook.notifier(settings(&folder));
    for _ in 0..3 {
        notifier.deliver(&Notice::new(Kind::CredentialRefused)).await;
    }
    assert_eq!(hook.kinds(), ["credential_refused"]);
}

#[tokio::test]
async fn a_stop_waits_for_the_notices_before_it_and_is_not_reported() {
    let (hook, folder) = (Hook::start().await, tempfile::tempdir().unwrap());
    let notices = Notices::start(hook.notifier(settings(&folder)));
    notices.send(Notice::new(Kind::LimitReached));
    notices.conclude(&Err(Failure::Temporary("stopped".to_owned())), true).await;
    assert_eq!(hook.kinds(), ["limit_reached"]);
}

#[tokio::test]
async fn a_reason_is_cut_however_long_it_is() {
    let (hook, folder) = (Hook::start().await, tempfile::tempdir().unwrap());
    let notice = Notice::new(Kind::RunFailed).because(&"a".repeat(100_000));
    hook.notifier(Settings { details: true, ..settings(&folder) }).try_each(&notice).await;
    let length = hook.received.lock().unwrap()[0]["text"].as_str().unwrap().len();
    assert!((500..2000).contains(&length), "{length}");
}

#[tokio::test]
async fn a_day_without_protection_is_reported_once_a_day_however_short_the_time_is() {
    let (hook, folder) = (Hook::start().await, tempfile::tempdir().unwrap());
    let mut notifier = hook.notifier(Settings { every: Duration::ZERO, ..settings(&folder) });
    for kind in [Kind::NothingProtected, Kind::NothingProtected, Kind::RunFailed, Kind::RunFailed] {
        notifier.deliver(&Notice::new(kind)).await;
    }
    assert_eq!(hook.kinds(), ["nothing_protected", "run_failed", "run_failed"]);
}

#[tokio::test]
async fn a_receiver_that_fails_is_tried_three_times_and_then_left_alone() {
    let (hook, folder) = (Hook::start().await, tempfile::tempdir().unwrap());
    let mut notifier = hook.notifier(settings(&folder));
    let notice = Notice::new(Kind::CredentialRefused);
    hook.answer_with(503);
    notifier.deliver(&notice).await;
    assert_eq!(hook.kinds().len(), 3);
    notifier.deliver(&notice).await;
    assert_eq!(hook.kinds().len(), 3);
    // What was not delivered is tried again by the next process.
    hook.answer_with(200);
    hook.notifier(settings(&folder)).deliver(&notice).await;
    assert_eq!(hook.kinds().len(), 4);
}

#[tokio::test]
async fn an_answer_says_who_can_mend_it_and_is_not_repeated() {
    let (hook, folder) = (Hook::start().await, tempfile::tempdir().unwrap());
    let notifier = hook.notifier(settings(&folder));
    for (status, remedy) in [
        (404, Remedy::Credential),
        (403, Remedy::Credential),
        (429, Remedy::TryAgain),
        (500, Remedy::TryAgain),
        (400, Remedy::Settings),
        (302, Remedy::Settings),
    ] {
        hook.answer_with(status);
        let refusal = notifier.try_each(&Notice::new(Kind::Test)).await.remove(0).result.unwrap_err();
        assert_eq!(refusal.remedy, remedy, "{status}");
        assert!(
            refusal.reason.contains(&status.to_string()) && !refusal.reason.contains("s3cr3t"),
            "{refusal}"
        );
    }
    hook.answer_with(400);
    hook.notifier(settings(&folder)).deliver(&Notice::new(Kind::RunFailed)).await;
    assert_eq!(hook.kinds().len(), 7, "a wrong address is not tried again");
}

#[tokio::test]
async fn a_message_says_what_to_do_and_gives_the_reason_only_if_it_was_asked_for() {
    let (hook, folder) = (Hook::start().await, tempfile::tempdir().unwrap());
    let notice = Notice::of(&Failure::Credential("cannot read beach.jpg".to_owned())).unwrap();
    for details in [false, true] {
        hook.notifier(Settings { details, ..settings(&folder) }).try_each(&notice).await;
    }
    let received = hook.received.lock().unwrap();
    let text = |at: usize| received[at]["text"].as_str().unwrap().to_owned();
    assert!(text(0).starts_with("Connector for acme.bynder.com: a credential or a right was refused\n"));
    assert!(text(0).contains("`connector doctor`") && !received[0].to_string().contains("beach"));
    assert!(text(1).ends_with("Reason: `cannot read beach.jpg`"), "{}", text(1));
    assert!(received[0]["at"].as_str().unwrap().ends_with('Z') && received[0]["portal"] == "acme.bynder.com");
}

#[tokio::test]
async fn a_reason_mentions_no_one_formats_nothing_and_links_nowhere() {
    let (hook, folder) = (Hook::start().await, tempfile::tempdir().unwrap());
    let notifier = hook.notifier(Settings { details: true, ..settings(&folder) });
    for (reason, expected) in [
        ("Smith & Sons <2>.jpg", "`Smith &amp; Sons &lt;2&gt;.jpg`"),
        ("&lt;!here&gt;.jpg", "`&amp;lt;!here&amp;gt;.jpg`"),
        ("<!channel> <@U024BE7LH> @here.jpg", "`&lt;!channel&gt; &lt;@U024BE7LH&gt; @here.jpg`"),
        ("*a* _b_ ~c~ :tada:.jpg", "`*a* _b_ ~c~ :tada:.jpg`"),
        ("` @channel ```.jpg", "`' @channel '''.jpg`"),
        ("[invoice](https://example.com).jpg", "`[invoice] (https://example.com).jpg`"),
        ("a\n\n@all\r\u{202e}gpj.jpg", "`a\\u{a}\\u{a}@all\\u{d}\\u{202e}gpj.jpg`"),
    ] {
        notifier.try_each(&Notice::new(Kind::RunFailed).because(&reason)).await;
        let message = hook.received.lock().unwrap().pop().unwrap();
        assert_eq!(message["text"].as_str().unwrap().split_once("\n\nReason: ").unwrap().1, expected);
    }
}

#[test]
fn failures_of_commands_are_of_the_kind_that_a_person_can_act_on() {
    let of = |failure: Failure| Notice::of(&failure).map(|notice| notice.kind);
    assert_eq!(of(Failure::Credential(String::new())), Some(Kind::CredentialRefused));
    assert_eq!(of(Failure::Limit(String::new())), Some(Kind::LimitReached));
    for failure in
        [Failure::Temporary(String::new()), Failure::FailedJobs(1), Failure::Configuration(String::new())]
    {
        assert_eq!(of(failure), Some(Kind::RunFailed));
    }
    assert_eq!(of(Failure::Usage(String::new())), None);
}

#[test]
fn mail_is_sent_in_plain_text_only_to_a_server_on_this_machine() {
    let mail = |host: &str, encryption| {
        Mail::new(&MailSettings {
            host: host.to_owned(),
            port: 25,
            encryption,
            login: None,
            from: "Connector <connector@example.com>".to_owned(),
            to: vec!["library@example.com".to_owned()],
        })
    };
    for elsewhere in
        ["mail.example.com", "localhost#.example.com", "localhost?example.com", "127.0.0.1/example.com"]
    {
        let error = mail(elsewhere, Encryption::None).unwrap_err();
        assert!(error.contains("on this machine"), "{elsewhere}: {error}");
    }
    for here in ["localhost", "127.0.0.1", "::1"] {
        mail(here, Encryption::None).unwrap();
    }
    mail("mail.example.com", Encryption::StartTls).unwrap();
}
