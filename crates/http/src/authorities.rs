//! Finds the trusted certificate authorities: in the file that `SSL_CERT_FILE` names, else in the folders of
//! `SSL_CERT_DIR`, else in the system. A named file is checked and read through one descriptor, and its
//! certificates are given to the TLS library, which would otherwise read the file again by its name, and trust
//! both.

use std::env::{split_paths, var_os};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Error, ErrorKind};
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{Sent, TransportError};
use files::written::{self, Chosen, NotRead};

const SSL_CERT_FILE: &str = "SSL_CERT_FILE";
const SSL_CERT_DIR: &str = "SSL_CERT_DIR";

type Authorities = Vec<CertificateDer<'static>>;

/// All trusted authorities that the TLS library can use. A system may have none.
///
/// # Errors
/// A variable names a file that cannot be read, has no certificates, or that another user may change.
pub fn authorities() -> Result<Authorities, TransportError> {
    let [file, folders] = [SSL_CERT_FILE, SSL_CERT_DIR].map(var_os);
    let (variable, value, found) = match (file, folders) {
        (Some(file), _) => (SSL_CERT_FILE, file.clone(), read(file.as_ref())),
        (None, Some(folders)) => (SSL_CERT_DIR, folders.clone(), of_folders(&folders)),
        (None, None) => return Ok(usable(rustls_native_certs::load_native_certs().certs)),
    };
    match found.map(usable) {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(wrong(variable, &value, &Error::other("it holds no certificate").into())),
        Err(error) => Err(wrong(variable, &value, &error)),
    }
}

fn usable(mut found: Authorities) -> Authorities {
    found.retain(|certificate| RootCertStore::empty().add(certificate.clone()).is_ok());
    found
}

fn wrong(variable: &str, value: &OsStr, error: &NotRead) -> TransportError {
    let reason = format!(
        "{variable} names {}, which cannot be read ({error}); name a PEM file with the certificates to trust by SSL_CERT_FILE, \
         or unset it",
        value.display()
    );
    TransportError { sent: Sent::No, reason }
}

fn read(path: &Path) -> Result<Authorities, NotRead> {
    let (bytes, _) = written::read(path, Chosen::Found)?;
    let certificates = CertificateDer::pem_slice_iter(&bytes).collect::<Result<_, _>>();
    // The library's error quotes lines of the file, which may be a key.
    let unreadable = |_| Error::new(ErrorKind::InvalidData, "it holds a section that is not PEM");
    Ok(certificates.map_err(unreadable)?)
}

fn of_folders(folders: &OsStr) -> Result<Authorities, NotRead> {
    let mut found = Vec::new();
    for path in files(folders)? {
        match read(&path) {
            // A dangling link, which the removal of a certificate leaves behind.
            Err(NotRead::Failed(error)) if error.kind() == ErrorKind::NotFound => {}
            read => found.extend(read?),
        }
    }
    Ok(found)
}

fn files(folders: &OsStr) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for folder in split_paths(folders) {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if is_hashed(&entry.file_name()) {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}

/// The files that the variables name, each with its variable.
pub fn named_files() -> Vec<(&'static str, PathBuf)> {
    match [SSL_CERT_FILE, SSL_CERT_DIR].map(var_os) {
        [Some(file), _] => vec![(SSL_CERT_FILE, file.into())],
        [None, Some(folders)] => {
            // A folder that cannot be read fails where it is read for use.
            files(&folders).unwrap_or_default().into_iter().map(|path| (SSL_CERT_DIR, path)).collect()
        }
        [None, None] => Vec::new(),
    }
}

/// Whether OpenSSL would read a file of this name: `openssl rehash` names each file by the hash of its subject.
fn is_hashed(name: &OsStr) -> bool {
    let parts = name.to_str().and_then(|name| name.split_once('.'));
    parts.is_some_and(|(hash, number)| {
        hash.len() == 8
            && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
            && !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_the_certificates_under_hashed_names_alone() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in
            [("2e5ac55d.0", "x"), ("readme.txt", "x"), ("2e5ac55d.r0", "x"), ("2e5ac55.0", "x")]
        {
            assert_eq!(is_hashed(OsStr::new(name)), name == "2e5ac55d.0", "{name}");
            fs::write(folder.path().join(name), text).unwrap();
        }
        std::os::unix::fs::symlink("gone", folder.path().join("2e5ac55d.1")).unwrap();
        assert!(of_folders(folder.path().as_os_str()).unwrap().is_empty());
        assert!(of_folders(folder.path().join("none").as_os_str()).is_err());
    }

    #[test]
    fn no_error_repeats_what_a_file_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pem");
        for text in ["-----BEGIN PRIVATE KEY-----UzNDcjN0-----END PRIVATE KEY-----", "-----BEGIN s3cr3t"] {
            fs::write(&path, text).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains("a section that is not PEM"), "{error}");
            for secret in ["UzND", "85, 122", "s3cr3t", "115, 51"] {
                assert!(!error.contains(secret), "{error}");
            }
        }
    }
}
