//! The script that makes a composition's secrets trusts nothing that another user can write.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

const OTHER: u32 = 12_345;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn make_secrets(folder: &Path) -> std::process::Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/rabbitmq/make-secrets");
    std::process::Command::new(script).current_dir(folder).output().unwrap()
}

/// Only root can give a file away: any other user's run of this test proves less.
#[test]
fn a_compositions_secrets_go_into_no_folder_and_through_no_link_of_others() {
    type Plant = fn(&Path);
    let cases: [(&str, Plant, &str); 13] = [
        ("a folder of another user", |at| other_owner(&at.join("secrets"), 0o755), "belongs to"),
        (
            "a link",
            |at| {
                fs::create_dir(at.join("elsewhere")).unwrap();
                symlink("elsewhere", at.join("secrets")).unwrap();
            },
            "secrets is a link",
        ),
        (
            "a key of another user",
            |at| with_key(at, 0o755, |key| chown(key, Some(OTHER), None).unwrap()),
            "message_key",
        ),
        ("a key in a folder that all could write into", |at| with_key(at, 0o777, |_| ()), "message_key"),
        ("a key in a folder with a setgid bit", |at| with_key(at, 0o2777, |_| ()), "message_key"),
        (
            "a folder above of another user",
            |at| {
                set_mode(at, 0o755);
                chown(at, Some(OTHER), None).unwrap();
            },
            "folder of your own",
        ),
        (
            "a folder above of another user, with a setgid bit",
            |at| {
                chown(at, Some(OTHER), None).unwrap();
                set_mode(at, 0o2755);
            },
            "folder of your own",
        ),
        ("a folder above that all may write, with a setgid bit", |at| set_mode(at, 0o2777), "chmod o-w"),
        ("a key that all may write", |at| with_key(at, 0o755, |key| set_mode(key, 0o666)), "message_key"),
        (
            "a link for a key",
            |at| {
                fs::create_dir(at.join("secrets")).unwrap();
                symlink("../stolen", at.join("secrets/message_key")).unwrap();
            },
            "message_key",
        ),
        (
            "a key that a full disk left empty",
            |at| with_key(at, 0o700, |key| fs::write(key, "").unwrap()),
            "is empty",
        ),
        (
            "a link for a password",
            |at| {
                fs::create_dir(at.join("secrets")).unwrap();
                symlink("../stolen", at.join("secrets/management")).unwrap();
            },
            "secrets/management exists",
        ),
        ("a folder above that all may write", |at| set_mode(at, 0o777), "chmod o-w"),
    ];
    let is_root = nix::unistd::geteuid().is_root();
    for (what, plant, refusal) in
        cases.into_iter().filter(|(what, ..)| is_root || !what.contains("of another user"))
    {
        let folder = tempfile::tempdir().unwrap();
        plant(folder.path());
        // A repetition is no remedy.
        for _ in 0..2 {
            let ran = make_secrets(folder.path());
            let said = String::from_utf8(ran.stderr).unwrap();
            assert!(!ran.status.success() && said.contains(refusal), "{what}: {said}");
        }
        for name in ["secrets/broker", "elsewhere/broker", "stolen"] {
            assert!(!folder.path().join(name).exists(), "{what}: {name} is written");
        }
    }
}

/// Where another user can exchange `secrets`, a change could reach any other folder.
#[test]
fn nothing_is_made_or_changed_in_a_folder_that_others_can_write() {
    for mode in [None, Some(0o755), Some(0o777)] {
        let folder = tempfile::tempdir().unwrap();
        let secrets = folder.path().join("secrets");
        if let Some(mode) = mode {
            fs::create_dir(&secrets).unwrap();
            set_mode(&secrets, mode);
        }
        set_mode(folder.path(), 0o777);
        assert!(!make_secrets(folder.path()).status.success());
        let found = fs::metadata(&secrets).ok().map(|found| found.permissions().mode() & 0o7777);
        assert_eq!(found, mode);
        assert!(fs::read_dir(folder.path()).unwrap().all(|entry| entry.unwrap().file_name() == "secrets"));
    }
}

/// A shell cuts line breaks at the end of what a command prints.
#[test]
fn the_folder_itself_is_judged_and_not_what_its_path_names() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (own, other) =
        (folder.path().join("a\u{1b}[31m\u{202e}"), folder.path().join("a\u{1b}[31m\u{202e}\n"));
    fs::create_dir(&own).unwrap();
    fs::create_dir(&other).unwrap();
    chown(&other, Some(OTHER), None).unwrap();
    let ran = make_secrets(&other);
    let said = String::from_utf8(ran.stderr).unwrap();
    assert!(!ran.status.success() && said.contains("folder of your own"), "{said}");
    assert!(said.contains("/a?[31m") && said.trim_end().chars().all(|c| !c.is_control()), "{said:?}");
    assert!(!other.join("secrets").exists());
}

#[test]
fn a_setgid_bit_of_the_folder_is_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = folder.path().join("secrets");
    fs::create_dir(&secrets).unwrap();
    set_mode(&secrets, 0o2775);
    assert!(make_secrets(folder.path()).status.success());
    assert_eq!(fs::metadata(&secrets).unwrap().permissions().mode() & 0o7777, 0o700);
}

fn other_owner(folder: &Path, mode: u32) {
    fs::create_dir(folder).unwrap();
    set_mode(folder, mode);
    chown(folder, Some(OTHER), None).unwrap();
}

fn with_key(folder: &Path, mode: u32, plant: fn(&Path)) {
    let secrets = folder.join("secrets");
    fs::create_dir(&secrets).unwrap();
    set_mode(&secrets, mode);
    fs::write(secrets.join("message_key"), "0".repeat(64)).unwrap();
    plant(&secrets.join("message_key"));
}
