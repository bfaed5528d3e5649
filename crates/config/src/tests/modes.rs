//! Files that others may change.

use std::os::unix::fs::PermissionsExt;

use imatag::profile::BUILTIN;

use super::*;

#[test]
fn a_secrets_file_that_its_group_may_change_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "t0ken").unwrap();
    let named = format!("{{ file = '{}' }}", path.display());
    let text = SAMPLE.replace("{ env = \"BYNDER_TOKEN\" }", &named);
    let warnings = |mode| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        load(&text, &[], &[]).unwrap().warnings
    };
    assert_eq!(warnings(0o640), [""; 0]);
    let warned = warnings(0o660);
    let wanted = format!("bynder.api_token: {}: its mode 660 lets its group change it", path.display());
    assert!(warned.len() == 1 && warned[0].starts_with(&wanted), "{warned:?}");
}

#[test]
fn a_file_that_every_user_may_write_is_not_obeyed_whatever_it_is_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str, mode| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let read =
        |path: &Path| Layers::read(Some(path), Chosen::Named, Vec::new(), &[]).map(|layers| layers.warnings);
    let error = read(&file("open.toml", SAMPLE, 0o646)).unwrap_err().to_string();
    assert!(
        error.ends_with("is not obeyed: its mode 646 lets every user change it; chmod o-w it"),
        "{error}"
    );
    let warnings = read(&file("group.toml", SAMPLE, 0o664)).unwrap();
    assert!(warnings.len() == 1 && warnings[0].ends_with("lets its group change it; chmod g-w it"));
    assert_eq!(read(&file("closed.toml", SAMPLE, 0o644)).unwrap(), [""; 0]);

    let profile = |path: &Path| {
        let overrides = [Override {
            key: "imatag.profile".to_owned(),
            value: toml::Value::String(path.display().to_string()),
        }];
        let loaded = load(SAMPLE, &[], &overrides).unwrap();
        (loaded.config.imatag.wire().map(drop).map_err(|error| error.to_string()), loaded.warnings)
    };
    let (read, _) = profile(&file("open-wire.toml", BUILTIN, 0o602));
    assert!(read.unwrap_err().contains("is not obeyed: its mode 602"));
    let (read, warnings) = profile(&file("group-wire.toml", BUILTIN, 0o660));
    assert!(read.is_ok() && warnings.iter().any(|said| said.starts_with("imatag.profile: ")), "{warnings:?}");

    let secret = SecretValue::File(file("token", "word", 0o602));
    assert!(secret.resolve("k").unwrap_err().to_string().contains("its mode 602 lets every user change it"));
}
