use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};

use super::*;

#[test]
fn a_file_is_in_doubt_that_another_user_may_change() {
    for (me, owners, mode, wanted) in [
        (7, [7, 7], 0o644, None),
        (7, [ROOT, ROOT], 0o444, None),
        (ROOT, [ROOT, ROOT], 0o644, None),
        (7, [7, 7], 0o664, Some(Doubt::Group(0o664))),
        (7, [8, 7], 0o600, Some(Doubt::Foreign(8))),
        (7, [7, 8], 0o660, Some(Doubt::Foreign(8))),
        (ROOT, [8, 8], 0o600, Some(Doubt::Foreign(8))),
        (7, [8, 8], 0o602, Some(Doubt::All(0o602))),
        (ROOT, [ROOT, ROOT], 0o777, Some(Doubt::All(0o777))),
    ] {
        assert_eq!(doubt_about(me, &owners, mode), wanted, "{me} {owners:?} {mode:o}");
    }
}

#[test]
fn a_file_of_another_user_lies_where_root_put_it_or_where_anybody_may() {
    for (me, owner, mode, wanted) in [
        (7, ROOT, 0o40755, false),
        (7, 7, 0o40700, false),
        (7, ROOT, 0o41777, true),
        (7, 7, 0o40775, true),
        (7, 8, 0o40755, true),
        (ROOT, 8, 0o40755, true),
    ] {
        assert_eq!(is_open_to_others(&[me, ROOT], owner, mode), wanted, "{me} {owner} {mode:o}");
    }
}

/// The result of a check, with the doubt of a refusal as well.
fn said(path: &Path, chosen: Chosen) -> Result<Option<Doubt>, Doubt> {
    check(path, chosen).map_err(|error| match error {
        NotRead::Doubtful(doubt) => doubt,
        NotRead::Failed(error) => panic!("{}: {error}", path.display()),
    })
}

#[test]
fn a_file_or_a_pipe_that_every_user_may_write_is_refused_and_one_of_a_group_is_only_warned_about() {
    let folder = tempfile::tempdir().unwrap();
    let [file, pipe] = ["file", "pipe"].map(|name| folder.path().join(name));
    fs::write(&file, "").unwrap();
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    for path in [file, pipe] {
        for (mode, wanted) in
            [(0o600, Ok(None)), (0o660, Ok(Some(Doubt::Group(0o660)))), (0o602, Err(Doubt::All(0o602)))]
        {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(said(&path, Chosen::Named), wanted);
        }
    }
    assert_eq!(said(Path::new("/dev/null"), Chosen::Found), Ok(None), "anybody may write it");
}

/// Only root can give a file to another user: as any other user this test proves nothing.
#[test]
fn what_another_user_may_have_put_there_is_refused_also_by_name_but_in_its_owners_folder() {
    const OTHER: u32 = 12_345;
    const THIRD: u32 = 23_456;
    if !geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for name in ["mine", "file", "written by its group"] {
        fs::write(path(name), "").unwrap();
    }
    fs::set_permissions(path("written by its group"), Permissions::from_mode(0o664)).unwrap();
    nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    symlink("mine", path("link")).unwrap();
    symlink("link", path("own link to link")).unwrap();
    symlink("file", path("own link to file")).unwrap();
    for name in ["file", "written by its group", "pipe", "link"] {
        lchown(path(name), Some(OTHER), None).unwrap();
    }
    let (warned, refused) = (&Ok(Some(Doubt::Foreign(OTHER))), &Err(Doubt::Foreign(OTHER)));
    for (owner, mode, found, named, named_file) in [
        (ROOT, 0o755, warned, warned, warned),
        (ROOT, 0o775, refused, refused, refused),
        (ROOT, 0o1777, refused, refused, refused),
        (THIRD, 0o755, refused, refused, refused),
        (OTHER, 0o755, refused, refused, warned),
        (OTHER, 0o775, refused, refused, refused),
    ] {
        fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
        lchown(folder.path(), Some(owner), None).unwrap();
        for name in ["pipe", "link", "own link to link", "written by its group"] {
            assert_eq!(said(&path(name), Chosen::Found), *found, "{name} {owner} {mode:o}");
            assert_eq!(said(&path(name), Chosen::Named), *named, "{name} {owner} {mode:o}");
        }
        for name in ["file", "own link to file"] {
            assert_eq!(said(&path(name), Chosen::Found), *found, "{name} {owner} {mode:o}");
            assert_eq!(said(&path(name), Chosen::Named), *named_file, "{name} {owner} {mode:o}");
        }
        for chosen in [Chosen::Found, Chosen::Named] {
            let is_refused = matches!(said(&path("mine"), chosen), Err(Doubt::Above(_)));
            assert_eq!(is_refused, owner != ROOT, "{owner} {mode:o}");
        }
    }
}

/// Only root can give a folder to another user: as any other user this test proves nothing.
#[test]
fn what_another_user_can_exchange_is_refused_but_in_the_folders_of_a_named_files_owner() {
    const OTHER: u32 = 12_345;
    if !geteuid().is_root() {
        return;
    }
    let outer = tempfile::tempdir().unwrap();
    let path = |name: &str| outer.path().join(name);
    for folder in ["own", "own/inner", "own/theirs", "theirs", "theirs/inner"] {
        fs::create_dir(path(folder)).unwrap();
        for name in ["mine", "file"] {
            fs::write(path(folder).join(name), "").unwrap();
        }
    }
    symlink("../own", path("theirs/link")).unwrap();
    symlink("theirs/link", path("own link")).unwrap();
    for name in [
        "theirs",
        "theirs/link",
        "theirs/inner",
        "theirs/file",
        "theirs/inner/file",
        "own/file",
        "own/inner/file",
        "own/theirs",
        "own/theirs/file",
    ] {
        lchown(path(name), Some(OTHER), None).unwrap();
    }
    for name in ["theirs/mine", "theirs/inner/mine", "theirs/link/mine", "own link/mine"] {
        for chosen in [Chosen::Found, Chosen::Named] {
            let doubt = said(&path(name), chosen).unwrap_err();
            assert!(matches!(doubt, Doubt::Above(_)), "{name} {doubt}");
            assert!(doubt.to_string().contains("belongs to the user 12345"), "{name} {doubt}");
        }
    }
    let warned = Ok(Some(Doubt::Foreign(OTHER)));
    for name in ["theirs/file", "theirs/inner/file", "own link/file"] {
        assert_eq!(said(&path(name), Chosen::Named), warned, "{name}");
        assert!(said(&path(name), Chosen::Found).is_err(), "{name}");
    }
    assert_eq!(said(&path("own/file"), Chosen::Found), warned);
    // If a group, or even all users, can write there, another user may have put the file's folder there.
    let above = |said: Result<Option<Doubt>, Doubt>| match said {
        Ok(doubt) => Ok(matches!(doubt, Some(Doubt::Above(_)))),
        Err(doubt) => Err(matches!(doubt, Doubt::Above(_))),
    };
    for (group, mode, mine, file) in [
        (0, 0o755, Ok(false), Ok(false)),
        (0, 0o775, Ok(false), Err(true)),
        (OTHER, 0o775, Ok(true), Err(true)),
        (0, 0o777, Err(true), Err(true)),
    ] {
        lchown(path("own"), None, Some(group)).unwrap();
        fs::set_permissions(path("own"), Permissions::from_mode(mode)).unwrap();
        for (name, wanted) in [("own/inner/mine", mine), ("own/inner/file", file)] {
            assert_eq!(above(said(&path(name), Chosen::Found)), wanted, "{name} {group} {mode:o}");
        }
        let named = said(&path("own/theirs/file"), Chosen::Named);
        assert_eq!(named.is_err(), file.is_err(), "{group} {mode:o}: {named:?}");
    }
}

#[test]
fn pipes_and_the_links_of_container_secrets_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let text = |path: &Path| read_to_string(path, Chosen::Found).unwrap();
    fs::create_dir(path("..2026")).unwrap();
    fs::write(path("..2026/token"), "t0ken").unwrap();
    symlink("..2026", path("..data")).unwrap();
    symlink("..data/token", path("token")).unwrap();
    assert_eq!(text(&path("token")), ("t0ken".to_owned(), None));

    let (reader, mut writer) = io::pipe().unwrap();
    io::Write::write_all(&mut writer, b"t0ken").unwrap();
    drop(writer);
    let substituted = format!("/dev/fd/{}", reader.as_raw_fd());
    assert_eq!(text(Path::new(&substituted)), ("t0ken".to_owned(), None));

    // A store writes only after a reader opened the pipe.
    nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let pipe = path("pipe");
    let store = std::thread::spawn(move || fs::write(pipe, "t0ken"));
    assert_eq!(text(&path("pipe")), ("t0ken".to_owned(), None));
    store.join().unwrap().unwrap();
}

#[test]
fn what_is_read_is_what_was_judged_whatever_bears_the_name_by_then() {
    let folder = tempfile::tempdir().unwrap();
    let [path, other] = ["file", "other"].map(|name| folder.path().join(name));
    fs::write(&path, "judged").unwrap();
    fs::write(&other, "other").unwrap();
    let (found, _) = judged(&path, Chosen::Found).unwrap();
    fs::rename(&other, &path).unwrap();
    let text = io::read_to_string(opened(&found).unwrap()).unwrap();
    assert_eq!(text, "judged");
}

#[test]
fn links_in_a_circle_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("link");
    symlink("link", &path).unwrap();
    assert!(read(&path, Chosen::Named).is_err());
}

#[test]
fn a_device_without_end_is_no_file_that_a_person_wrote() {
    let error = read_to_string(Path::new("/dev/zero"), Chosen::Named).unwrap_err();
    assert!(error.to_string().contains("longer than 4 MiB"), "{error}");
}
