use std::os::unix::fs::{lchown, symlink};

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn only_the_user_and_root_are_trusted() {
    assert_eq!(exposure(7, 7, 0o40700), None);
    assert_eq!(exposure(7, 7, 0o40750), Some(Exposure::Open(0o750)));
    assert_eq!(exposure(7, 7, 0o41777), Some(Exposure::Open(0o1777)));
    assert_eq!(exposure(7, 8, 0o40700), Some(Exposure::Foreign(8)));
    assert_eq!(exposure(ROOT, 8, 0o40700), Some(Exposure::Foreign(8)));
    // A volume of root's that this user may use by its group.
    assert_eq!(exposure(7, ROOT, 0o42770), None);
    assert_eq!(exposure(7, ROOT, 0o40755), Some(Exposure::Open(0o755)));
}

#[test]
fn a_folder_is_made_for_one_user_and_closed_if_it_holds_what_is_ours() {
    let outer = tempfile::tempdir().unwrap();
    let path = outer.path().join("a/b");
    assert!(fixed(&path).is_err(), "a folder that is away for a moment was not judged");
    folder(&path, &[]).unwrap();
    fixed(&path.join("new")).unwrap();
    assert_eq!((mode(&path), exposed(&path)), (0o700, None));
    open_to_all(&path);
    fs::write(path.join("ours.x"), "").unwrap();
    folder(&path, &["ours"]).unwrap();
    assert_eq!(mode(&path), 0o700);
    // A folder that others use, too, stays open, and so does one that all users share.
    open_to_all(&path);
    fs::write(path.join("theirs"), "").unwrap();
    folder(&path, &["ours"]).unwrap();
    assert_eq!((mode(&path), exposed(&path)), (0o755, Some(Exposure::Open(0o755))));
    let all = outer.path().join("all");
    fs::create_dir(&all).unwrap();
    fs::set_permissions(&all, Permissions::from_mode(0o1777)).unwrap();
    folder(&all, &[]).unwrap();
    assert_eq!(mode(&all), 0o1777);
    for (mode, is_shared) in [(0o700, false), (0o755, false), (0o775, false), (0o777, true), (0o1777, true)] {
        fs::set_permissions(&all, Permissions::from_mode(mode)).unwrap();
        assert_eq!(unshared(&all).is_err(), is_shared, "{mode:o}");
    }
}

/// Only root can give a link to another user: as any other user this test proves nothing.
#[test]
fn what_belongs_to_another_user_is_refused_also_to_root_and_however_its_name_ends() {
    const OTHER: u32 = 12_345;
    if !geteuid().is_root() {
        return;
    }
    let outer = tempfile::tempdir().unwrap();
    let path = |name: &str| outer.path().join(name);
    for name in ["own", "theirs"] {
        fs::create_dir(path(name)).unwrap();
        open_to_all(&path(name));
    }
    symlink("own", path("link")).unwrap();
    fs::write(path("file"), "").unwrap();
    for name in ["theirs", "link", "file"] {
        lchown(path(name), Some(OTHER), None).unwrap();
    }
    for name in ["theirs", "link"] {
        for end in ["", "/", "//", "/.", "/./"] {
            let refused = folder(&path(&format!("{name}{end}")), &[]).unwrap_err();
            assert!(refused.to_string().contains("belongs to the user 12345"), "{name}{end}: {refused}");
        }
    }
    for refused in [prepare(&path("file")), check(&path("file")), open(&path("file")).map(drop)] {
        assert!(refused.unwrap_err().to_string().contains("belongs to the user 12345"));
    }
    assert_eq!(mode(&path("own")), 0o755, "what a link of another user leads to was changed");
}

#[test]
fn a_file_is_replaced_where_a_link_leads_and_closed_unless_it_keeps_its_mode() {
    let outer = tempfile::tempdir().unwrap();
    let path = |name: &str| outer.path().join(name);
    fs::create_dir(path("real")).unwrap();
    symlink("real/file", path("link")).unwrap();
    fs::write(path("real/file"), "old").unwrap();
    for (permissions, wanted) in [(Some(Permissions::from_mode(0o640)), 0o640), (None, 0o600)] {
        open_to_all(&path("real/file"));
        replace(&path("link"), b"new", permissions).unwrap();
        assert!(path("link").is_symlink());
        assert_eq!(
            (fs::read(path("real/file")).unwrap().as_slice(), mode(&path("real/file"))),
            (&b"new"[..], wanted)
        );
    }
    replace(&path("made"), b"new", None).unwrap();
    assert_eq!(mode(&path("made")), 0o600);
    symlink(path("nowhere"), path("dangling")).unwrap();
    assert!(replace(&path("dangling"), b"new", None).is_err() && !path("nowhere").exists());
    assert!(replace(&path("real"), b"new", None).unwrap_err().to_string().contains("not a regular file"));
    assert_eq!(fs::read_dir(path("real")).unwrap().count(), 1, "something is left over");
}

/// Only root can give a folder to a foreign group: as any other user this test proves less.
#[test]
fn no_file_is_used_by_its_name_in_a_folder_where_another_user_can_exchange_it() {
    let outer = tempfile::tempdir().unwrap();
    let (inner, own_group) = (outer.path().join("folder"), nix::unistd::getegid().as_raw());
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("theirs"), "").unwrap();
    for (mode, group, is_refused) in [
        (0o777, own_group, true),
        (0o773, own_group, true),
        (0o775, own_group, false),
        (0o755, own_group, false),
        (0o1777, own_group, false),
        (0o775, 12_345, true),
        (0o2775, 12_345, true),
        (0o2755, 12_345, false),
    ] {
        if group != own_group && !geteuid().is_root() {
            return;
        }
        lchown(&inner, None, Some(group)).unwrap();
        fs::set_permissions(&inner, Permissions::from_mode(mode)).unwrap();
        folder(&inner, &["ours"]).unwrap();
        let file = inner.join("ours");
        for used in [prepare(&file), check(&file)] {
            assert_eq!(used.is_err(), is_refused, "{mode:o} {group}: {used:?}");
        }
    }
}

/// Only root can give a file to another user: as any other user this test proves nothing.
#[test]
fn no_file_is_replaced_or_made_where_another_user_can_exchange_its_folder_or_a_link_to_it() {
    const OTHER: u32 = 12_345;
    if !geteuid().is_root() {
        return;
    }
    let outer = tempfile::tempdir().unwrap();
    let path = |name: &str| outer.path().join(name);
    for name in ["own", "theirs", "theirs/below"] {
        fs::create_dir(path(name)).unwrap();
        fs::write(path(name).join("file"), "old").unwrap();
    }
    for (target, name) in [("own", "to a folder"), ("own/file", "to a file"), ("theirs/file", "own link")] {
        symlink(target, path(name)).unwrap();
    }
    for name in ["theirs", "to a folder", "to a file"] {
        lchown(path(name), Some(OTHER), None).unwrap();
    }
    for name in ["theirs/file", "theirs/below/file", "to a folder/file", "to a file", "own link"] {
        let refused = replace(&path(name), b"new", None).unwrap_err();
        assert!(refused.to_string().contains("belongs to the user 12345"), "{name}: {refused}");
        assert_eq!(fs::read(path(name)).unwrap(), b"old", "{name}");
    }
    for name in ["theirs/new", "theirs/below/new", "to a folder/new"] {
        let refused = create_named(&path(name)).unwrap_err();
        assert!(refused.to_string().contains("belongs to the user 12345"), "{name}: {refused}");
        assert!(!path(name).exists(), "{name}");
    }
    replace(&path("own/file"), b"new", None).unwrap();
    create_named(&path("own/new")).unwrap();
}

#[test]
fn no_file_is_readable_by_others_and_no_link_is_followed() {
    let outer = tempfile::tempdir().unwrap();
    let path = |name: &str| outer.path().join(name);
    symlink(path("elsewhere"), path("link")).unwrap();
    for name in ["new", "opened", "prepared"] {
        let make = |path: &Path| match name {
            "new" => create(path).map(drop),
            "opened" => open(path).map(drop),
            _ => prepare(path),
        };
        make(&path(name)).unwrap();
        assert_eq!(mode(&path(name)), 0o600, "{name}");
        assert!(make(&path("link")).is_err(), "{name}");
        assert!(!path("elsewhere").exists(), "{name}");
    }
    assert!(create(&path("new")).is_err());
    for name in ["opened", "prepared"] {
        let second = path(&format!("second name of {name}"));
        fs::hard_link(path(name), &second).unwrap();
        assert!(open(&path(name)).is_err() && prepare(&path(name)).is_err(), "{name}");
        fs::remove_file(second).unwrap();
    }
    nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(open(&path("pipe")).is_err() && check(&path("pipe")).is_err());
    open_to_all(&path("prepared"));
    prepare(&path("prepared")).unwrap();
    assert_eq!(mode(&path("prepared")), 0o700);
}

#[test]
fn every_user_can_read_a_file_only_if_they_can_enter_each_folder_above_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, "t0ken").unwrap();
    let cases =
        [(0o755, 0o600, None), (0o755, 0o640, None), (0o755, 0o644, Some(0o644)), (0o700, 0o644, None)];
    for (folder_mode, mode, wanted) in cases {
        fs::set_permissions(folder.path(), Permissions::from_mode(folder_mode)).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert_eq!(is_read_by_all(&path), wanted, "{folder_mode:o} {mode:o}");
    }
}

#[test]
fn a_new_file_is_complete_or_absent_for_this_user_alone_and_takes_no_existing_name() {
    let outer = tempfile::tempdir().unwrap();
    let path = |name: &str| outer.path().join(name);
    let text = |file: &mut File| file.write_all(b"all of it");
    write_new(&path("new"), text).unwrap();
    assert_eq!(fs::read(path("new")).unwrap(), b"all of it");
    assert_eq!(fs::metadata(path("new")).unwrap().mode() & 0o777, 0o600);
    symlink(path("nowhere"), path("dangling")).unwrap();
    for name in ["new", "dangling"] {
        assert_eq!(write_new(&path(name), text).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }
    let failed = write_new(&path("cut"), |file| {
        file.write_all(b"a part").and(Err::<(), _>(io::Error::other("the disk is full")))
    });
    assert_eq!(failed.unwrap_err().to_string(), "the disk is full");
    // A name that is taken meanwhile stays as it is.
    let raced = write_new(&path("raced"), |_| symlink(path("nowhere"), path("raced")));
    assert_eq!(raced.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    let mut names: Vec<_> =
        fs::read_dir(outer.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["dangling", "new", "raced"]);
}
