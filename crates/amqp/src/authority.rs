//! Which certificates TLS to the broker trusts: those of `broker.ca_file` only, or else the system's.
//!
//! The broker's client would add given certificates to the system's. So it is built without any, and gets all of them
//! from here.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use lapin::uri::AMQPScheme;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use http_client::authorities;
use queue::QueueError;

/// The trusted certificates in PEM; `None` without TLS.
///
/// # Errors
/// [`QueueError::Refused`]: there is no certificate, or one cannot be read.
pub(super) fn trusted(scheme: &AMQPScheme, given: Option<&str>) -> Result<Option<String>, QueueError> {
    match (given, scheme) {
        (Some(given), _) => checked(given).map(Some),
        (None, AMQPScheme::AMQPS) => of_system().map(Some),
        (None, AMQPScheme::AMQP) => Ok(None),
    }
}

fn checked(given: &str) -> Result<String, QueueError> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(given.as_bytes()) {
        let added = certificate.map(|certificate| store.add(certificate));
        if !matches!(added, Ok(Ok(()))) {
            return Err(QueueError::Refused(
                "broker.ca_file holds a certificate that cannot be read".to_owned(),
            ));
        }
    }
    if store.is_empty() {
        let reason =
            "broker.ca_file holds no certificate; name a PEM file with those to trust, or leave the key out";
        return Err(QueueError::Refused(reason.to_owned()));
    }
    Ok(given.to_owned())
}

/// The certificates that HTTP requests trust as well.
fn of_system() -> Result<String, QueueError> {
    let found = authorities().map_err(|error| QueueError::Refused(error.reason))?;
    if found.is_empty() {
        let reason =
            "this system has no certificates to trust; install ca-certificates, or set broker.ca_file";
        return Err(QueueError::Refused(reason.to_owned()));
    }
    Ok(found.iter().map(pem).collect())
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        BASE64_STANDARD.encode(certificate)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_no_certificate_that_can_be_read_is_refused() {
        let key = "-----BEGIN PRIVATE KEY-----\nMAAA\n-----END PRIVATE KEY-----\n";
        for given in ["", "garbage", key, &pem(&vec![0; 64].into())] {
            for scheme in [AMQPScheme::AMQP, AMQPScheme::AMQPS] {
                assert!(trusted(&scheme, Some(given)).is_err(), "{given:?}");
            }
        }
        assert!(trusted(&AMQPScheme::AMQP, None).unwrap().is_none());
    }

    #[test]
    fn the_systems_certificates_are_read_again_as_they_were_found() {
        let text = trusted(&AMQPScheme::AMQPS, None).unwrap().unwrap();
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        assert_eq!(read.unwrap(), authorities().unwrap());
    }
}
