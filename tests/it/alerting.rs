//! The shipped configuration of Alertmanager, by a real one: what is valid, what leads where, and what arrives.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::documents::document;
use crate::harness::broker::free_ports;
use crate::harness::receivers::{Encryption, MailServer, Webhook};
use crate::harness::{client, until_async};

/// A program that `scripts/alertmanager` fetched.
fn program(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/alertmanager").join(name);
    assert!(path.exists(), "run scripts/alertmanager");
    path
}

/// The shipped configuration with another receiver, as an operator's copy has it, on this machine and without long waits.
fn configuration(folder: &Path, receiver: &str, secret: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
    let (secret_file, path) = (folder.join("alerts"), folder.join("alertmanager.yml"));
    std::fs::write(&secret_file, secret).unwrap();
    let text = document("deploy/alertmanager/alertmanager.yml");
    assert!(text.contains("\nroute:\n  receiver: \"off\"\n") && text.contains("group_wait: 30s"));
    let text = text.replacen("receiver: \"off\"", &format!("receiver: \"{receiver}\""), 1);
    let text = text.replace("/run/secrets/alerts", &secret_file.display().to_string());
    let text = text.replace("/etc/alertmanager/", &format!("{}/deploy/alertmanager/", root.display()));
    std::fs::write(&path, text.replace("group_wait: 30s", "group_wait: 1s")).unwrap();
    path
}

const RECEIVERS: [&str; 5] = ["off", "mail", "slack", "teams", "webhook"];

#[test]
fn the_shipped_configuration_is_valid_with_each_receiver_and_routes_all_alerts_to_it() {
    let folder = tempfile::tempdir().unwrap();
    for receiver in RECEIVERS {
        let config = configuration(folder.path(), receiver, "");
        let amtool = |arguments: &[&str]| {
            let output = std::process::Command::new(program("amtool")).args(arguments).output().unwrap();
            assert!(output.status.success(), "{receiver}: {output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        let path = config.display().to_string();
        assert!(amtool(&["check-config", &path]).contains("5 receivers"));
        for severity in ["critical", "warning", "info"] {
            let labels = [
                format!("--config.file={path}"),
                format!("severity={severity}"),
                "service=bynder-imatag-connector".to_owned(),
            ];
            let arguments = ["config", "routes", "test"].into_iter().chain(labels.iter().map(String::as_str));
            assert_eq!(amtool(&arguments.collect::<Vec<_>>()).trim(), receiver);
        }
    }
}

/// An Alertmanager, gone with this.
struct Alertmanager {
    _child: Child,
    _folder: tempfile::TempDir,
    address: String,
    client: reqwest::Client,
}

impl Alertmanager {
    async fn start(receiver: &str, secret: &str, change: impl Fn(String) -> String, trusted: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = configuration(folder.path(), receiver, secret);
        std::fs::write(&config, change(std::fs::read_to_string(&config).unwrap())).unwrap();
        let [port] = free_ports();
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new(program("alertmanager"));
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.path={}", folder.path().join("data").display()));
        command.args([format!("--web.listen-address={address}"), "--cluster.listen-address=".to_owned()]);
        command.env("SSL_CERT_FILE", trusted);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().unwrap();
        let started = Self { _child: child, _folder: folder, address, client: client() };
        until_async(async || started.get("/-/ready").await.is_ok()).await;
        started
    }

    async fn get(&self, path: &str) -> reqwest::Result<String> {
        let request = self.client.get(format!("http://{}{path}", self.address));
        request.send().await?.error_for_status()?.text().await
    }

    async fn fire(&self, alerts: Value) {
        let request = self.client.post(format!("http://{}/api/v2/alerts", self.address)).json(&alerts);
        request.send().await.unwrap().error_for_status().unwrap();
    }
}

fn alert(name: &str, severity: &str, deployment: &str, instance: &str) -> Value {
    let labels = json!({
        "alertname": name, "severity": severity, "service": "bynder-imatag-connector",
        "deployment": deployment, "instance": instance,
    });
    let annotations = json!({
        "summary": format!("{name} summed up"),
        "description": format!("{name} on {instance}"),
        "runbook_url": format!("https://docs.example/operations.md#{}", name.to_lowercase()),
        "dashboard_url": "https://grafana.example/d/connector-library",
    });
    json!({ "labels": labels, "annotations": annotations })
}

/// An outage that two processes of a deployment see, with a warning that it explains, and a warning of another deployment.
fn outage() -> Value {
    json!([
        alert("ConnectorBrokerDisconnected", "critical", "acme", "a:9090"),
        alert("ConnectorBrokerDisconnected", "critical", "acme", "b:9090"),
        alert("ConnectorBacklogNotDraining", "warning", "acme", "a:9090"),
        alert("ConnectorManyJobsFail", "warning", "other", "c:9090"),
    ])
}

/// One message a deployment, without the warning that the outage explains, and with links.
fn assert_two_messages(what: &str, received: &[String]) {
    assert_eq!(received.len(), 2, "{what}: {received:#?}");
    let acme = received.iter().find(|text| text.contains("ConnectorBrokerDisconnected")).expect(what);
    let other = received.iter().find(|text| text.contains("ConnectorManyJobsFail")).expect(what);
    for expected in ["a:9090", "b:9090", "operations.md#connectorbrokerdisconnected", "/d/connector-library"]
    {
        assert!(acme.contains(expected), "{what}: {expected}: {acme}");
    }
    assert!(!acme.contains("BacklogNotDraining") && !acme.contains("other"), "{what}: {acme}");
    assert!(!other.contains("acme"), "{what}: {other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_one_message_for_an_outage_of_a_deployment() {
    for receiver in ["slack", "teams", "webhook"] {
        let webhook = Webhook::start().await;
        let alertmanager =
            Alertmanager::start(receiver, &webhook.url, std::convert::identity, Path::new("/dev/null")).await;
        alertmanager.fire(outage()).await;
        until_async(async || webhook.received().len() >= 2).await;
        assert_two_messages(receiver, &webhook.received());
        let sent: Value = serde_json::from_str(&webhook.received()[0]).unwrap();
        let shown = match receiver {
            "slack" => &sent["attachments"][0]["text"],
            "teams" => &sent["attachments"][0]["content"]["body"],
            _ => &sent["alerts"],
        };
        assert!(!shown.is_null(), "{sent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_gets_one_encrypted_mail_for_an_outage_of_a_deployment() {
    let server = MailServer::start(Encryption::StartTls).await;
    let change = |text: String| {
        let text = text.replace("mail.example.com:587", &format!("localhost:{}", server.port));
        text.replace("auth_username: alerts@example.com", "auth_username: alerts")
    };
    let alertmanager = Alertmanager::start("mail", "mail-s3cr3t", change, server.authority.path()).await;
    alertmanager.fire(outage()).await;
    until_async(async || server.received().len() >= 2).await;
    let mails = server.received();
    assert_two_messages("mail", &mails.iter().map(|mail| mail.text.clone()).collect::<Vec<_>>());
    for mail in &mails {
        assert!(mail.is_encrypted && mail.to == ["library@example.com"] && mail.from == "alerts@example.com");
        assert_eq!(mail.credentials.as_deref(), Some("alerts:mail-s3cr3t"));
        assert!(mail.text.contains("Subject: [FIRING]"), "{}", mail.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_receiver_the_rule_that_says_so_has_what_it_asks_for() {
    for (receiver, integrations) in [("off", 0), ("slack", 1)] {
        let identity = std::convert::identity;
        let alertmanager = Alertmanager::start(receiver, "", identity, Path::new("/dev/null")).await;
        let metrics = alertmanager.get("/metrics").await.unwrap();
        assert!(metrics.contains(&format!("\nalertmanager_integrations {integrations}\n")), "{receiver}");
        assert!(metrics.contains("\nalertmanager_notifications_failed_total{"));
    }
}
