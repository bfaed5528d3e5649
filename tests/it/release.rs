//! What a release is made of fits together; scripts/release-smoke tries the result.

use std::path::Path;

use crate::documents::document;

fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.strip_prefix(key)).collect()
}

#[test]
fn the_package_holds_files_that_are_there_or_that_the_release_makes() {
    let manifest: toml::Table = document("connector/Cargo.toml").parse().unwrap();
    let assets = manifest["package"]["metadata"]["deb"]["assets"].as_array().unwrap();
    let sources = assets.iter().map(|asset| asset[0].as_str().unwrap());
    let is_made = |source: &&str| source.trim_start_matches("../").starts_with("target/");
    let (made, kept): (Vec<_>, Vec<_>) = sources.partition(is_made);
    for source in kept {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("../connector").join(source).exists(), "{source}");
    }
    assert!(made.len() > 3);
    let script = document("scripts/release");
    for source in made.iter().filter_map(|source| source.strip_prefix("../target/dist/generated/")) {
        let made = source.split('*').next().unwrap().trim_end_matches(['/', '_']);
        assert!(script.contains(&format!("$generated/{made}")), "{source}");
    }
}

#[test]
fn each_secret_of_the_packages_configuration_is_one_that_the_unit_waits_for_and_hands_over() {
    let (unit, example) =
        (document("deploy/systemd/connector.service"), document("deploy/connector.example.toml"));
    let used = example.lines().filter(|line| !line.starts_with('#'));
    let used: Vec<_> =
        used.filter_map(|line| line.split("/run/secrets/").nth(1)?.split('"').next()).collect();
    assert_eq!(used, ["bynder", "imatag"]);
    let path = |secret: &&str| format!("/etc/connector/secrets/{secret}");
    assert_eq!(values(&unit, "AssertPathExists="), used.iter().map(path).collect::<Vec<_>>());
    let handed: Vec<_> = used.iter().map(|secret| format!("{secret}:{}", path(secret))).collect();
    assert_eq!(values(&unit, "LoadCredential="), handed);
}

#[test]
fn a_purge_deletes_each_folder_that_the_unit_has_systemd_make() {
    let (unit, script) = (document("deploy/systemd/connector.service"), document("deploy/debian/postrm"));
    for (key, place) in [("StateDirectory=", "/var/lib"), ("CacheDirectory=", "/var/cache")] {
        for folder in values(&unit, key) {
            assert!(
                script.contains(&format!(" {place}/{folder} {place}/private/{folder} ")),
                "{key}{folder}"
            );
        }
    }
    assert_eq!(values(&unit, "DynamicUser="), ["yes"], "no user is left to delete");
}
