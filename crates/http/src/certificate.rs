//! Explains a refused certificate to a person.

use std::error::Error;
use std::io;

use rustls::CertificateError;

/// What to do about a refused certificate, if that is the error.
pub(super) fn advice(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(refused) = refused(error) {
            return Some(of_kind(refused));
        }
        next = error.source();
    }
    None
}

/// A TLS error is wrapped in an error of reading, which omits it from the chain of sources.
fn refused<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a CertificateError> {
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    if let Some(inner) = inner {
        return refused(inner);
    }
    match error.downcast_ref()? {
        rustls::Error::InvalidCertificate(refused) => Some(refused),
        _ => None,
    }
}

fn of_kind(refused: &CertificateError) -> &'static str {
    match refused {
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is out of date; check this machine's clock, then the server"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate is for another name; check the address, and whether a proxy of your network answers in \
             the server's place"
        }
        _ => {
            "the server's certificate is from no certificate authority (CA) that is trusted here; if your network opens TLS, \
             name a PEM file with its CA in SSL_CERT_FILE, see \"Proxies and certificates\" in docs/configuration.md"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_certificate_is_found_inside_of_other_errors_and_told_by_its_kind() {
        let of = |kind| {
            let refused = io::Error::other(rustls::Error::InvalidCertificate(kind));
            advice(&io::Error::other(refused)).unwrap()
        };
        assert!(of(CertificateError::UnknownIssuer).contains("SSL_CERT_FILE"));
        assert!(of(CertificateError::Expired).contains("clock"));
        assert!(of(CertificateError::NotValidForName).contains("another name"));
        assert_eq!(advice(&io::Error::other(rustls::Error::DecryptError)), None);
    }
}
