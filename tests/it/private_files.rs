//! State, copies of it, rejected files and keys are for one user of the machine alone.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use sample_files::{Defect, Format};
use sandbox::NewAsset;
use sandbox::faults::{Action, Moment};

use crate::harness::scene::every;
use crate::harness::{Bench, PROGRAM, Ran, quick, until};

/// The folder and everything below it.
fn all(path: PathBuf) -> Vec<PathBuf> {
    let below = if path.is_dir() {
        fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()).collect()
    } else {
        Vec::new()
    };
    below.into_iter().flat_map(all).chain([path]).collect()
}

fn open_to_others(path: &Path) -> Vec<PathBuf> {
    let mut found = all(path.to_owned());
    found.retain(|path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o077 != 0);
    found
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A library whose watermarked files are rejected and kept.
async fn rejecting() -> Bench {
    let bench = Bench::new(quick()).await;
    let file = sample_files::file(Format::Jpeg, 3, 160, 120);
    bench.sandbox.add_asset(NewAsset::new("one.jpg", file)).unwrap();
    bench.sandbox.set_faults(every("imatag.submit", Moment::Before, Action::Defect(Defect::Turned)));
    bench.configure(&format!("[checks]\nkeep_rejected_in = '{}'\n", bench.path("rejected").display()));
    bench
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_program_writes_is_readable_by_its_user_alone() {
    let bench = rejecting().await;
    bench.sync().await.assert_code(6);
    bench.run(&["state", "set", "--since", "2026-01-31"]).await.assert_code(0);
    bench.run(&["pause"]).await.assert_code(0);
    for (name, files) in [("state", 5), ("spool", 1), ("rejected", 2)] {
        assert!(all(bench.path(name)).len() >= files, "{name}: {:?}", all(bench.path(name)));
        assert_eq!(open_to_others(&bench.path(name)), [] as [PathBuf; 0], "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_folders_of_a_demo_are_for_its_user_alone_whatever_the_umask() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = tokio::process::Command::new("sh");
    command.args(["-c", "umask 0; exec \"$0\" demo", PROGRAM]).env("TMPDIR", folder.path());
    let quiet = || std::process::Stdio::null();
    let demo = command.stdout(quiet()).stderr(quiet()).kill_on_drop(true).spawn().unwrap();
    let below =
        || fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    until(|| below().len() >= 2).await;
    for path in below() {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o077, 0, "{}", path.display());
    }
    drop(demo);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_release_left_open_still_opens_and_is_closed() {
    let bench = rejecting().await;
    bench.sync().await.assert_code(6);
    bench.run(&["state", "set", "--since", "2026-01-31"]).await.assert_code(0);
    fs::remove_dir_all(bench.path("rejected")).unwrap();
    let folders = ["state", "state/backups", "spool"].map(|name| bench.path(name));
    for folder in &folders {
        set_mode(folder, 0o755);
    }
    set_mode(&bench.path("state/connector.sqlite"), 0o644);
    set_mode(&bench.path("connector.toml"), 0o644);
    let doctor = bench.run(&["doctor"]).await;
    for check in ["state", "spool"] {
        let warning = format!("WARN  {check} directory: {}: its mode 755 lets", bench.path(check).display());
        assert!(doctor.out.contains(&warning), "{doctor:#?}");
    }
    assert!(doctor.out.contains("WARN  secrets in plain text: "), "{doctor:#?}");
    set_mode(&bench.path("connector.toml"), 0o600);
    let ran = bench.run(&["state", "set", "--since", "2026-01-31"]).await;
    assert!(ran.assert_code(0).talk.contains("had mode 755, which lets other users in"), "{ran:#?}");
    bench.sync().await;
    for name in ["state", "spool"] {
        assert_eq!(open_to_others(&bench.path(name)), [] as [PathBuf; 0]);
    }
    let doctor = bench.run(&["doctor"]).await;
    assert!(!doctor.out.contains("lets other users in"), "{doctor:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_link_at_a_name_that_can_be_foreseen_is_followed() {
    let bench = rejecting().await;
    let victim = bench.path("victim");
    fs::write(&victim, "precious").unwrap();
    for name in ["lock", "connector.sqlite"] {
        fs::create_dir(bench.path("state")).unwrap();
        symlink(&victim, bench.path("state").join(name)).unwrap();
        bench.sync().await.assert_code(3);
        fs::remove_dir_all(bench.path("state")).unwrap();
    }
    bench.sync().await.assert_code(6);
    let kept = fs::read_dir(bench.path("rejected")).unwrap().next().unwrap().unwrap().path();
    let part = PathBuf::from(format!("{}.part", kept.display()));
    fs::remove_file(&kept).unwrap();
    symlink(&victim, &part).unwrap();
    bench.run(&["failed", "replay", "--yes"]).await.assert_code(0);
    bench.sync().await.assert_code(6);
    assert!(kept.exists() && !part.is_symlink());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_behind_a_link_is_replaced_there_and_a_first_one_is_for_its_user_alone() {
    let bench = Bench::new(quick()).await;
    let (link, real) = (bench.path("connector.toml"), bench.path("real.toml"));
    let keys = config::keygen();
    let armour = config::encrypt(&keys.recipient, &"t0ken".to_owned().into()).unwrap();
    let token = bench.sandbox.announcement().token;
    bench.reconfigure(&format!("'{token}'"), &format!("{{ encrypted = \"\"\"\n{armour}\"\"\" }}"));
    fs::rename(&link, &real).unwrap();
    symlink(&real, &link).unwrap();
    set_mode(&real, 0o640);
    let old = fs::read_to_string(&real).unwrap();
    let identity = secrecy::ExposeSecret::expose_secret(&keys.identity).to_owned();
    let rotate = ["secrets", "rotate", "--recipient", &keys.recipient];
    bench.run_with(&rotate, &[("CONNECTOR_AGE_IDENTITY", identity)]).await.assert_code(0);
    let mode = || fs::metadata(&real).unwrap().permissions().mode() & 0o777;
    assert!(link.is_symlink() && fs::read_to_string(&real).unwrap() != old);
    assert_eq!(mode(), 0o640, "another user of its group may have to read it");
    let init = ["init", "--force", "--domain", "acme.bynder.com", "--imatag-directory", "acme"];
    bench.run(&init).await.assert_code(0);
    assert!(link.is_symlink() && fs::read_to_string(&real).unwrap().contains("acme.bynder.com"));
    assert_eq!(mode(), 0o600);
}

/// Only root can give a file away: any other user's run of this test proves less.
#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_another_user_may_have_written_is_neither_obeyed_nor_encrypted_anew() {
    const OTHER: u32 = 12_345;
    let bench = Bench::new(quick()).await;
    let path = bench.path("connector.toml");
    let rotate = ["secrets", "rotate", "--recipient", "age1x"];
    let here = async |arguments: &[&str]| {
        let mut command = tokio::process::Command::new(PROGRAM);
        Ran::new(command.args(arguments).current_dir(bench.folder.path()).output().await.unwrap())
    };
    set_mode(&path, 0o606);
    for arguments in [&rotate[..], &["config", "check"]] {
        for ran in [bench.run(arguments).await, here(arguments).await] {
            assert!(ran.assert_code(3).talk.contains("its mode 606 lets every user change it"), "{ran:#?}");
        }
    }
    set_mode(&path, 0o600);
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    chown(&path, Some(OTHER), Some(OTHER)).unwrap();
    let given = bench.path("given.toml");
    fs::rename(&path, &given).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    chown(&path, Some(OTHER), Some(OTHER)).unwrap();
    set_mode(bench.folder.path(), 0o777);
    let ran = here(&["config", "check"]).await;
    assert!(ran.assert_code(3).talk.contains("connector.toml is not obeyed"), "{ran:#?}");
    fs::rename(&given, &path).unwrap();
    let doubt = format!("it, or the link to it, belongs to the user {OTHER}");
    for (owner, mode, is_refused, is_refused_by_name) in
        [(0, 0o777, true, true), (OTHER, 0o755, true, false), (0, 0o755, false, false)]
    {
        set_mode(bench.folder.path(), mode);
        chown(bench.folder.path(), Some(owner), None).unwrap();
        for arguments in [&rotate[..], &["config", "check"]] {
            for (ran, is_refused) in
                [(here(arguments).await, is_refused), (bench.run(arguments).await, is_refused_by_name)]
            {
                assert!(ran.talk.contains(&doubt), "{ran:#?}");
                assert_eq!(ran.talk.contains("connector.toml is not obeyed"), is_refused, "{ran:#?}");
            }
        }
    }
}

/// Only root can make such a folder: any other user's run of this test proves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_spool_of_another_user_is_refused_and_the_key_is_named_that_moves_it() {
    const USER: u32 = 23_456;
    const OTHER: u32 = 12_345;
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let bench = Bench::new(quick()).await;
    fs::create_dir(bench.path("spool")).unwrap();
    for (path, owner) in [(bench.folder.path().to_owned(), USER), (bench.path("spool"), OTHER)] {
        chown(&path, Some(owner), Some(owner)).unwrap();
        // The file system lets both in: the refusal is the program's.
        set_mode(&path, 0o1777);
    }
    let said = async |arguments: &[&str]| {
        let mut command = bench.command(arguments);
        Ran::new(command.uid(USER).gid(USER).output().await.unwrap())
    };
    let refusal = format!("it belongs to the user {OTHER}");
    let ran = said(&["sync", "--full", "--quiet"]).await;
    let wanted = format!(
        "worker.spool_dir: cannot use {}: {refusal}; work as that user",
        bench.path("spool").display()
    );
    assert!(ran.assert_code(3).talk.contains(&wanted), "{ran:#?}");
    let doctor = said(&["doctor"]).await;
    assert!(doctor.out.contains("FAIL  spool directory") && doctor.out.contains(&refusal), "{doctor:#?}");
}

/// Only root can give a file away: any other user's run of this test proves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_another_user_in_the_state_folder_is_used_by_any_command_not_even_by_root() {
    const OTHER: u32 = 12_345;
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let bench = rejecting().await;
    bench.sync().await.assert_code(6);
    bench.run(&["report", "--since", "2026-01-01"]).await.assert_code(0);
    let belongs = format!("it belongs to the user {OTHER}");
    let refused = async |arguments: &[&str], name: &str| {
        let ran = bench.run(arguments).await;
        assert!(ran.assert_code(3).talk.contains(&belongs), "{name}: {ran:#?}");
    };
    for name in
        ["connector.sqlite", "connector.sqlite-wal", "connector.sqlite-shm", "connector.sqlite-journal"]
    {
        let path = bench.path("state").join(name);
        let was_there = path.exists();
        fs::OpenOptions::new().append(true).create(true).open(&path).unwrap();
        chown(&path, Some(OTHER), None).unwrap();
        for command in
            [&["report", "--since", "2026-01-01"][..], &["status"], &["state", "show"], &["sync", "--full"]]
        {
            refused(command, name).await;
        }
        chown(&path, Some(0), None).unwrap();
        if !was_there {
            fs::remove_file(&path).unwrap();
        }
    }
    symlink(bench.path("rejected"), bench.path("state/backups")).unwrap();
    std::os::unix::fs::lchown(bench.path("state/backups"), Some(OTHER), None).unwrap();
    refused(&["state", "set", "--since", "2026-01-31"], "backups").await;
    chown(bench.path("state"), Some(OTHER), None).unwrap();
    refused(&["sync", "--full"], "state").await;
    for command in [&["pause"][..], &["resume"]] {
        let ran = bench.run(command).await;
        assert!(ran.code != Some(0) && ran.talk.contains("belongs to the user 12345"), "{ran:#?}");
    }
}

/// Runs the program in a folder that is gone.
async fn run_where_nothing_is(bench: &Bench, arguments: &[&str]) -> Ran {
    let mut command = tokio::process::Command::new("sh");
    let script = "mkdir gone && cd gone && rmdir ../gone && exec \"$0\" \"$@\"";
    command.current_dir(bench.path("")).args(["-c", script, PROGRAM]).args(arguments);
    Ran::new(command.arg("--config").arg(bench.path("connector.toml")).output().await.unwrap())
}

/// Only root can give a folder away: any other user's run of this test proves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_made_or_used_in_a_folder_that_another_user_can_exchange() {
    const OTHER: u32 = 12_345;
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let bench = rejecting().await;
    for folder in ["mid", "other"] {
        fs::create_dir(bench.path(folder)).unwrap();
    }
    symlink("other", bench.path("link")).unwrap();
    std::os::unix::fs::lchown(bench.path("link"), Some(OTHER), None).unwrap();
    bench.reconfigure(
        &format!("'{}'", bench.path("state").display()),
        &format!("'{}'", bench.path("mid/state").display()),
    );
    bench.sync().await.assert_code(6);
    let commands =
        [&["report", "--since", "2026-01-01"][..], &["state", "show"], &["sync", "--full"], &["doctor"]];
    for (owner, mode) in [(OTHER, 0o755), (0, 0o777), (0, 0o755)] {
        chown(bench.path("mid"), Some(owner), Some(OTHER)).unwrap();
        set_mode(&bench.path("mid"), mode);
        for command in commands {
            let ran = bench.run(command).await;
            let said = format!("{}, which is above it, ", bench.path("mid").display());
            let is_said = ran.out.contains(&said) || ran.talk.contains(&said);
            assert_eq!(is_said, (owner, mode) != (0, 0o755), "{owner} {mode:o} {command:?}: {ran:#?}");
            let ran = run_where_nothing_is(&bench, command).await;
            let is_said = ran.out.contains(&said) || ran.talk.contains(&said);
            assert_eq!(is_said, (owner, mode) != (0, 0o755), "{owner} {mode:o} {command:?}: {ran:#?}");
        }
        fs::remove_dir_all(bench.path("mid/state")).unwrap();
        let ran = bench.run(&["sync", "--full"]).await;
        assert_eq!(bench.path("mid/state").exists(), (owner, mode) == (0, 0o755), "{ran:#?}");
        // As it was, for the next.
        chown(bench.path("mid"), Some(0), None).unwrap();
        set_mode(&bench.path("mid"), 0o755);
        bench.run(&["sync", "--full"]).await;
    }
    // Secrets are not made there either, and none that was put there is taken.
    fs::write(bench.path("other/message_key"), "7".repeat(64)).unwrap();
    let init = [
        "init",
        "--force",
        "--broker",
        "--domain",
        "acme.bynder.com",
        "--imatag-directory",
        "a",
        "--secrets-in",
    ];
    for (folder, mode, said) in [
        ("link", 0o755, "link, which is above it, belongs to the user 12345"),
        ("other", 0o777, "other, which is above it, has mode 777"),
        ("other", 0o755, "its mode 666 lets every user change it"),
    ] {
        set_mode(&bench.path("other"), mode);
        set_mode(&bench.path("other/message_key"), 0o666);
        let folder = bench.path(folder);
        let ran = bench.run(&[&init[..], &[folder.to_str().unwrap()]].concat()).await;
        assert!(ran.assert_code(2).talk.contains(said), "{said}: {ran:#?}");
    }
    chown(bench.path("other"), Some(OTHER), None).unwrap();
    let output = bench.path("other/identity.txt");
    let ran = bench.run(&["secrets", "keygen", "--output", output.to_str().unwrap()]).await;
    assert!(ran.assert_code(2).talk.contains("belongs to the user 12345") && !output.exists(), "{ran:#?}");
    // Nor is a configuration replaced there, which its owner may name.
    let path = bench.path("other/connector.toml");
    fs::write(&path, "").unwrap();
    let mut command = tokio::process::Command::new(PROGRAM);
    command.args([&init[..2], &init[3..7]].concat()).arg("--config").arg(&path);
    let ran = Ran::new(command.output().await.unwrap());
    assert!(ran.assert_code(2).talk.contains("belongs to the user 12345"), "{ran:#?}");
    assert_eq!(fs::read(&path).unwrap(), b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn keygen_writes_a_new_file_for_one_user_and_warns_of_one_that_all_can_read() {
    let bench = Bench::new(quick()).await;
    let path = bench.path("identity.txt");
    let keygen = ["secrets", "keygen", "--output", path.to_str().unwrap()];
    let made = bench.run(&keygen).await;
    let text = fs::read_to_string(&path).unwrap();
    let recipient = made.assert_code(0).out.trim();
    assert!(text.starts_with(&format!("# recipient: {recipient}\nAGE-SECRET-KEY-")), "{made:#?}");
    assert!(!made.out.contains("AGE-SECRET-KEY") && !made.talk.contains("AGE-SECRET-KEY"), "{made:#?}");
    assert_eq!(open_to_others(&path), [] as [PathBuf; 0]);
    bench.run(&keygen).await.assert_code(2);
    assert_eq!(fs::read_to_string(&path).unwrap(), text);

    for (mode, warns) in [(0o644, true), (0o600, false)] {
        let open = fs::File::create(bench.path("open.txt")).unwrap();
        set_mode(&bench.path("open.txt"), mode);
        let child = bench.command(&["secrets", "keygen"]).stdout(open).spawn().unwrap();
        let output = child.wait_with_output().await.unwrap();
        let talk = String::from_utf8(output.stderr).unwrap();
        assert_eq!(talk.contains("other users can read the file"), warns, "{talk}");
    }
    set_mode(&path, 0o644);
    let identity = [("CONNECTOR_AGE_IDENTITY_FILE", path.display().to_string())];
    let doctor = bench.run_with(&["doctor"], &identity).await;
    assert!(doctor.out.contains("WARN  age identity: "), "{doctor:#?}");
}
