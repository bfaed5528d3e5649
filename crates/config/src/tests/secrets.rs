//! Where secrets come from, and that errors show none.

use super::*;

#[test]
fn secrets_are_shown_nowhere_and_plain_ones_warn() {
    let text = SAMPLE.replace("{ env = \"BYNDER_TOKEN\" }", "\"marked-secret\"");
    let loaded = load(&text, &[], &[]).unwrap();
    assert!(loaded.warnings[0].starts_with("bynder.api_token is in plain text"));
    let shown = format!("{loaded:?} {}", serde_json::to_string(&loaded.config).unwrap());
    assert!(!shown.contains("marked-secret"));
}

#[test]
fn a_secret_comes_from_a_file_without_its_line_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, "word\n").unwrap();
    let text = SAMPLE.replace("{ env = \"BYNDER_TOKEN\" }", &format!("{{ file = {path:?} }}"));
    let value = load(&text, &[], &[]).unwrap().config.bynder.api_token.unwrap();
    assert_eq!(secrecy::ExposeSecret::expose_secret(&value.resolve("k").unwrap()), "word");
    std::fs::remove_file(&path).unwrap();
    let error = value.resolve("bynder.api_token").unwrap_err().to_string();
    assert!(
        error.starts_with("bynder.api_token: cannot read the secret from the file named there, in /"),
        "{error}"
    );
}

#[test]
fn what_copying_and_saving_add_to_a_secret_is_named_and_never_shown() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    let text = SAMPLE.replace("{ env = \"BYNDER_TOKEN\" }", &format!("{{ file = {path:?} }}"));
    let value = load(&text, &[], &[]).unwrap().config.bynder.api_token.unwrap();
    let utf16 = |mark: [u8; 2]| [&mark[..], b"w\x000\0r\0d\0"].concat();
    let table: [(Vec<u8>, &str); 15] = [
        ("\u{feff}w0rd".into(), "byte order mark"),
        ("\"w0rd\"".into(), "quotes"),
        ("'w0rd'\r\n".into(), "quotes"),
        ("“w0rd”".into(), "quotes"),
        ("Bearer w0rd".into(), "\"Bearer\""),
        ("bearer w0rd".into(), "\"Bearer\""),
        ("Token w0rd".into(), "\"Token\""),
        (" w0rd".into(), "begins or ends with a blank"),
        ("w0rd ".into(), "begins or ends with a blank"),
        ("w0rd \r\n".into(), "begins or ends with a blank"),
        ("w0rd\u{a0}".into(), "non-breaking space"),
        ("w0\u{200b}rd".into(), "non-breaking space"),
        (utf16([0xff, 0xfe]), "UTF-16"),
        (utf16([0xfe, 0xff]), "UTF-16"),
        (b"w\xf6rd".to_vec(), "not valid UTF-8"),
    ];
    for (content, named) in table {
        std::fs::write(&path, &content).unwrap();
        let error = value.resolve("bynder.api_token").unwrap_err().to_string();
        assert!(error.starts_with("bynder.api_token: ") && error.contains(named), "{named}: {error}");
        assert!(!error.contains("w0rd") && !error.contains("make the file readable"), "{error}");
    }
    for good in ["w0rd\r\n", "wo\"rd", "a b", "Bearerw0rd", "\""] {
        std::fs::write(&path, good).unwrap();
        value.resolve("k").unwrap();
    }
}

#[test]
fn a_missing_variable_is_named() {
    let text = SAMPLE.replace("BYNDER_TOKEN", "SURELY_NOT_SET");
    let value = load(&text, &[], &[]).unwrap().config.bynder.api_token.unwrap();
    let error = value.resolve("bynder.api_token").unwrap_err().to_string();
    assert!(error.contains("no variable SURELY_NOT_SET"), "{error}");
}

#[test]
fn a_secret_in_the_place_of_a_name_or_a_path_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = |path: PathBuf| SecretValue::File(path);
    for secret in [
        "s3cr3t",
        "s3cr3t/w0rd==",
        "/s3cr3t/w0rd",
        "S3CR3T-W0RD",
        &"S3CR3T".repeat(11),
        "KJ4XG2DPS3CR3TKJ4XG2DPKJ4",
        "3S3CR3T",
        "s3cr3t=x",
    ] {
        for value in [SecretValue::Environment(secret.to_owned()), file(secret.into())] {
            let said = value.resolve("bynder.api_token").unwrap_err().to_string();
            let said = format!("{said} {value:?}").to_lowercase();
            assert!(said.starts_with("bynder.api_token: ") && !said.contains("s3cr3t"), "{said}");
        }
    }
    let said = file(folder.path().join("none")).resolve("k").unwrap_err().to_string();
    assert!(said.contains(&folder.path().display().to_string()), "{said}");
}

#[test]
fn what_is_encrypted_needs_its_identity() {
    let keys = keygen();
    let armour = encrypt(&keys.recipient, &secrecy::SecretString::from("word")).unwrap();
    assert!(armour.starts_with("-----BEGIN AGE ENCRYPTED FILE-----"));
    assert!(!armour.contains("word"));
    let text =
        SAMPLE.replace("{ env = \"BYNDER_TOKEN\" }", &format!("{{ encrypted = \"\"\"\n{armour}\"\"\" }}"));
    let value = load(&text, &[], &[]).unwrap().config.bynder.api_token.unwrap();
    let error = value.resolve("bynder.api_token").unwrap_err().to_string();
    assert!(error.contains("set CONNECTOR_AGE_IDENTITY"), "{error}");
    assert!(encrypt("age1nonsense", &secrecy::SecretString::from("word")).is_err());
}

#[test]
fn a_secret_of_several_lines_is_refused_and_not_told() {
    let secret = SecretValue::Plain("first\nsecond".to_owned().into());
    let error = secret.resolve("imatag.api_key").unwrap_err().to_string();
    assert!(error.contains("imatag.api_key") && error.contains("a line break"), "{error}");
    assert!(!error.contains("first") && !error.contains("second"), "{error}");
    let ended = SecretValue::Plain("first\n".to_owned().into());
    assert!(ended.resolve("imatag.api_key").is_ok());
}
