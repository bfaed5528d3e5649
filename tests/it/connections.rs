//! Where the program connects to: a proxy that all but this machine is behind keeps every request.

use sandbox::SECRET_MARK;
use sandbox::faults::{Action, Faults, Moment};
use serde_json::json;

use crate::harness::capture::{Capture, Captured};
use crate::harness::scene::every;
use crate::harness::{Bench, Ran, picture};

/// Where a link that may be followed leads.
const STORAGE: &str = "storage.example";

struct Scene {
    bench: Bench,
    capture: Capture,
}

impl Scene {
    async fn new() -> Self {
        let (bench, _) = Bench::with_asset(picture("one.jpg", 1)).await;
        let capture = Capture::start(&[STORAGE], &bench.path("trusted.pem")).await;
        Self { bench, capture }
    }

    /// A run over what failed before, too, with everything but this machine behind the proxy.
    async fn sync(&self) -> (Ran, Vec<Captured>) {
        let mut command = self.bench.command(&["sync", "--full", "--retry-failed"]);
        for name in ["NO_PROXY", "no_proxy", "SSL_CERT_DIR"] {
            command.env_remove(name);
        }
        for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            command.env(name, &self.capture.url);
        }
        command.env("SSL_CERT_FILE", self.bench.path("trusted.pem"));
        command.env("CONNECTOR_WORKER__MAX_ATTEMPTS", "2").env("CONNECTOR_LOG", "trace");
        let ran = Ran::new(command.output().await.unwrap());
        (ran, self.capture.take())
    }

    /// The run in which this endpoint answers with a link.
    async fn linked_from(&self, (endpoint, answer): &Linking, link: &str) -> (Ran, Vec<Captured>) {
        let action =
            Action::Answer { status: 200, body: answer(link), content_type: "application/json".to_owned() };
        self.bench.sandbox.set_faults(every(endpoint, Moment::Before, action));
        let ended = self.sync().await;
        self.bench.sandbox.set_faults(Faults::default());
        ended
    }
}

/// An endpoint, and its answer with a link.
type Linking = (&'static str, fn(&str) -> String);

/// Every answer that holds a link to a file or to a place for one.
fn answers() -> [Linking; 3] {
    [
        ("bynder.upload_endpoint", |link| json!(link).to_string()),
        ("imatag.download", |link| json!({"url": link}).to_string()),
        ("bynder.download", |link| json!({"s3_file": link}).to_string()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn links_get_no_credential_no_plain_text_and_lead_to_no_neighbour() {
    let scene = Scene::new().await;
    let announced = scene.bench.sandbox.announcement();
    for answer in answers() {
        let signed = format!("f?X-Amz-Signature={SECRET_MARK}-signature");
        let (ran, captured) = scene.linked_from(&answer, &format!("https://{STORAGE}/{signed}")).await;
        let inside: Vec<_> = captured.iter().filter(|seen| !seen.sent.starts_with("CONNECT ")).collect();
        assert!(!inside.is_empty(), "{}: the link is not followed: {ran:#?}", answer.0);
        for seen in &captured {
            assert_eq!(seen.tunnel.as_deref(), Some("storage.example:443"), "{seen:#?}");
            let sent = seen.sent.to_lowercase();
            for secret in ["authorization:", &announced.token, &announced.api_key] {
                assert!(!sent.contains(secret), "{}: {secret} went to storage: {seen:#?}", answer.0);
            }
        }
        // Straight, and by a redirect of storage.
        for refused in [
            "http://storage.example/f",
            "https://169.254.169.254/latest/meta-data/",
            "https://10.0.0.1/f",
            "https://[::ffff:10.0.0.1]/f",
            "https://[fd00:ec2::254]/f",
            "https://user:word@storage.example/f",
        ] {
            let signed = format!("{refused}?X-Amz-Signature={SECRET_MARK}-signature");
            let (ran, captured) = scene.linked_from(&answer, &signed).await;
            assert!(captured.is_empty(), "{} {refused}: {captured:#?}", answer.0);
            assert!(ran.talk.contains("is not followed"), "{} {refused}: {ran:#?}", answer.0);
            assert!(!ran.talk.contains(SECRET_MARK), "{} {refused}: {ran:#?}", answer.0);
            if answer.0 == "bynder.upload_endpoint" {
                continue;
            }
            let (_, captured) = scene.linked_from(&answer, &format!("https://{STORAGE}/to/{refused}")).await;
            let hosts: Vec<_> = captured.iter().map(|seen| seen.tunnel.as_deref()).collect();
            assert!(
                hosts.iter().all(|host| *host == Some("storage.example:443")),
                "{refused}: {captured:#?}"
            );
        }
    }
    let (ran, captured) = scene.sync().await;
    ran.assert_code(0);
    assert!(captured.is_empty(), "this machine is behind a proxy: {captured:#?}");
    crate::harness::assert_clean(&scene.bench.sandbox.audit());
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_that_is_not_named_gets_nothing_and_an_unusual_one_is_warned_about_once() {
    let scene = Scene::new().await;
    let [place, _, original] = answers();
    let link = format!("https://{STORAGE}/f");
    let (ran, captured) = scene.linked_from(&original, &link).await;
    assert!(!captured.is_empty());
    assert_eq!(ran.talk.matches("storage is at an unusual host").count(), 1, "{ran:#?}");
    scene.bench.reconfigure("[bynder]\n", "[bynder]\nstorage_hosts = ['*.amazonaws.com']\n");
    for answer in [&place, &original] {
        let (ran, captured) = scene.linked_from(answer, &link).await;
        assert!(captured.is_empty(), "{captured:#?}");
        assert!(ran.talk.contains("bynder.storage_hosts does not name"), "{ran:#?}");
    }
    scene.bench.reconfigure("'*.amazonaws.com'", "'*.example'");
    let (ran, captured) = scene.linked_from(&original, &link).await;
    assert!(!captured.is_empty() && !ran.talk.contains("unusual host"), "{ran:#?}");
}
