//! Whom connections to the broker trust.

use std::path::Path;
use std::time::Duration;

use rabbitmq::{self, Settings};

use crate::harness::broker::{Broker, free_ports};
use crate::harness::{Bench, Ran, quick};
use crate::queue::{PATIENCE, settings};

/// A certificate authority, and a server's certificate of its own for this machine, as files in a folder.
fn certificates(folder: &Path) {
    let authority = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = parameters.self_signed(&authority).unwrap();
    let issuer = rcgen::Issuer::from_params(&parameters, &authority);
    let key = rcgen::KeyPair::generate().unwrap();
    let server = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let server = server.signed_by(&key, &issuer).unwrap();
    std::fs::write(folder.join("ca.pem"), root.pem()).unwrap();
    std::fs::write(folder.join("server.pem"), server.pem()).unwrap();
    std::fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
}

/// A broker whose certificate is of the folder's authority, and its address.
async fn broker_of(folder: &Path) -> (Broker, String) {
    certificates(folder);
    let [port] = free_ports();
    let path = |name: &str| folder.join(name).display().to_string();
    let broker = Broker::start_with(&format!(
        "listeners.ssl.1 = 127.0.0.1:{port}\nssl_options.cacertfile = {}\nssl_options.certfile = {}\n\
         ssl_options.keyfile = {}\nssl_options.verify = verify_none\nssl_options.fail_if_no_peer_cert = false",
        path("ca.pem"),
        path("server.pem"),
        path("server.key"),
    ))
    .await;
    (broker, format!("amqps://guest:guest@localhost:{port}/%2f"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_with_tls_is_trusted_by_the_given_authority_and_by_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let (_broker, url) = broker_of(folder.path()).await;
    let given = std::fs::read_to_string(folder.path().join("ca.pem")).unwrap();
    let trusting = Settings { url: url.into(), authority: Some(given), ..settings("tls".to_owned()).await };
    let broker = rabbitmq::Broker::open(&trusting, PATIENCE).await.unwrap();
    assert_eq!(broker.depth().await.unwrap().open(), 0);
    let wary = Settings { authority: None, ..trusting };
    let refused = rabbitmq::Broker::open(&wary, Duration::from_secs(5)).await;
    let Err(error) = refused else { panic!("a stranger's certificate was accepted") };
    assert!(!error.to_string().contains("guest"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_given_authority_is_trusted_instead_of_the_systems_and_a_file_that_all_may_write_never() {
    let [folder, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (_broker, url) = broker_of(folder.path()).await;
    certificates(other.path());
    let bench = Bench::alone(quick()).await;
    // `SSL_CERT_FILE` takes the place of the system's authorities.
    let [own, others] = [&folder, &other].map(|folder| folder.path().join("ca.pem"));
    let look_by = async |variable, value: &Path, given: Option<&Path>| {
        let mut command = bench.command(&["failed", "list"]);
        command.env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
        command.env("CONNECTOR_BROKER__URL", &url).env(variable, value);
        command.envs(given.map(|given| ("CONNECTOR_BROKER__CA_FILE", given)));
        Ran::new(command.output().await.unwrap())
    };
    let look = async |given: Option<&Path>| look_by("SSL_CERT_FILE", &own, given).await;
    look(None).await.assert_code(0);
    look(Some(&own)).await.assert_code(0);
    let refused = look(Some(&others)).await;
    assert!(refused.assert_code(5).talk.contains("certificate"), "{refused:?}");
    // So do the folders of `SSL_CERT_DIR`, where a file has its hashed name.
    let hashed = folder.path().join("0123abcd.0");
    let look_in = async |folder: &Path| look_by("SSL_CERT_DIR", folder, None).await;
    look_in(folder.path()).await.assert_code(3);
    std::fs::copy(&own, &hashed).unwrap();
    look_in(folder.path()).await.assert_code(0);
    for path in [&own, &hashed] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    }
    look(None).await.assert_code(3);
    look_in(folder.path()).await.assert_code(3);
    std::fs::copy(others, other.path().join("0123abcd.0")).unwrap();
    look_in(other.path()).await.assert_code(5);
}
