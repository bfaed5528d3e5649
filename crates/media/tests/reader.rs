//! Reader processes: nothing in a file affects more than the reading of that file.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up its world has to stop there")]

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use common::content::View;
use media::reader::{LEAST_MEMORY, Options, Readers};
use media::{Checks, Content, ContentHash, Reading, read};
use sample_files::{Format, file};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

/// Longer than any test runs, so that a deadline passes only in the tests about it.
const LONG: Duration = Duration::from_mins(10);

/// One child for ordinary files.
fn readers(deadline: Duration) -> Readers {
    let program = env!("CARGO_BIN_EXE_media-reader").into();
    Readers::new(Options { program, memory: LEAST_MEMORY, deadline })
}

fn descriptor(content: &[u8]) -> OwnedFd {
    let mut written = tempfile::NamedTempFile::new().unwrap();
    written.write_all(content).unwrap();
    File::open(written.path()).unwrap().into()
}

async fn reading(readers: &Readers, content: &[u8]) -> Reading {
    let reader = readers.reader(content.len() as u64).await.unwrap();
    reader.read(descriptor(content), &Checks::default()).await.unwrap()
}

fn unreadable(reading: Reading) -> String {
    match reading.content {
        Content::Unreadable(reason) => reason,
        other => panic!("{other:?}"),
    }
}

/// A picture that triggers this fault in its reader.
fn broken(fault: &str) -> Vec<u8> {
    let mut content = file(Format::Png, 2, 64, 48);
    content.extend_from_slice(format!("{:32}\nreader-fault:{fault}", "").as_bytes());
    content
}

#[tokio::test]
async fn a_reader_reads_what_the_library_reads() {
    let readers = readers(LONG);
    for format in [Format::Jpeg, Format::Png, Format::Tiff, Format::Mp4, Format::Pdf, Format::Wav] {
        let content = file(format, 3, 160, 120);
        let here = read(std::io::Cursor::new(&content), &Checks::default());
        assert_eq!(reading(&readers, &content).await, here, "{format:?}");
    }
}

/// Readers that run as an unprivileged user, because some limits do not apply to root.
fn readers_of_another_user(folder: &Path, within: &str) -> Readers {
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    let program = folder.join("reader");
    fs::copy(env!("CARGO_BIN_EXE_media-reader"), &program).unwrap();
    let script = folder.join("as-another-user");
    let as_user = if rustix::process::getuid().is_root() {
        "/usr/bin/setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs"
    } else {
        ""
    };
    fs::write(&script, format!("#!/bin/sh\nexec {as_user} {within} {} \"$@\"\n", program.display())).unwrap();
    fs::set_permissions(&script, Permissions::from_mode(0o755)).unwrap();
    Readers::new(Options { program: script, memory: LEAST_MEMORY, deadline: LONG })
}

/// Needs threads: decoders start some for pictures above a megapixel.
#[tokio::test]
async fn a_reader_of_a_user_without_rights_decodes_large_pictures_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let readers = readers_of_another_user(folder.path(), "");
    for format in [Format::Jpeg, Format::Png, Format::Tiff] {
        let content = file(format, 3, 2000, 1500);
        let here = read(std::io::Cursor::new(&content), &Checks::default());
        let Content::Picture(picture) = &here.content else { panic!("{format:?}: {here:?}") };
        assert!(matches!(picture.view, Some(View::Thumbnail(_))), "{format:?}: {here:?}");
        assert_eq!(reading(&readers, &content).await, here, "{format:?}");
    }
}

#[tokio::test]
async fn where_a_user_may_start_no_threads_it_is_no_fault_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let readers = readers_of_another_user(folder.path(), "/usr/bin/prlimit --nproc=0:0");
    let error = readers.reader(1).await.map(drop).unwrap_err();
    assert!(error.to_string().starts_with("cannot start a reader of files: "), "{error}");
}

#[tokio::test]
async fn a_reader_that_breaks_fails_its_file_alone_and_says_why() {
    let readers = readers(LONG);
    let good = file(Format::Png, 2, 64, 48);
    for (fault, wanted) in [
        ("abort", "its reader ran out of memory or crashed (signal 6)"),
        ("overflow", "its reader ran out of memory or crashed (signal "),
        ("fill", "its reader ran out of memory or crashed (signal 6)"),
        ("nonsense", "its reader answered nonsense"),
        ("endless", "its reader answered nonsense"),
        ("leave", "its reader ended without an answer (exit status: 1)"),
    ] {
        let reason = unreadable(reading(&readers, &broken(fault)).await);
        assert!(reason.starts_with(wanted), "{fault}: {reason}");
        assert!(matches!(reading(&readers, &good).await.content, Content::Picture(_)), "after {fault}");
    }
}

#[tokio::test]
async fn a_reader_that_hangs_is_ended_at_the_deadline() {
    let readers = readers(Duration::from_secs(2));
    let reason = unreadable(reading(&readers, &broken("hang")).await);
    assert_eq!(reason, "reading it took longer than 2 s");
    let good = file(Format::Png, 2, 64, 48);
    assert!(matches!(reading(&readers, &good).await.content, Content::Picture(_)));
}

#[tokio::test]
async fn a_result_is_not_read_where_its_original_broke_its_reader() {
    let readers = readers(Duration::from_secs(2));
    for fault in ["hang", "abort"] {
        let content = broken(fault);
        let hash = ContentHash::of(&content[..]).unwrap();
        let original = reading(&readers, &content).await.into_facts(hash, content.len() as u64);
        let reader = readers.reader(content.len() as u64).await.unwrap();
        let result =
            reader.read(descriptor(&content), &Checks::default().of_result(&original)).await.unwrap();
        assert_eq!((result.content, result.pixels), (Content::Unread, Some((64, 48))), "{fault}");
    }
}

#[tokio::test]
async fn a_reader_whose_file_is_given_up_makes_room_for_the_next() {
    let readers = readers(LONG);
    let broken = broken("hang");
    let hanging = reading(&readers, &broken);
    assert!(tokio::time::timeout(Duration::from_millis(300), hanging).await.is_err());
    let good = file(Format::Png, 2, 64, 48);
    assert!(matches!(reading(&readers, &good).await.content, Content::Picture(_)));
}

#[tokio::test]
async fn a_reader_reaches_nothing_but_its_file() {
    let readers = readers(LONG);
    let reached = unreadable(reading(&readers, &broken("reach")).await);
    for way in ["open", "write", "connect", "send", "attribute", "local"] {
        assert!(reached.contains(&format!("{way}: Operation not permitted")), "{way}: {reached}");
    }
}

#[test]
fn on_a_kernel_without_seccomp_files_are_read_all_the_same() {
    let rules = [(libc::SYS_seccomp, Vec::new())].into();
    let absent = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let architecture = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, absent, architecture).unwrap();
    seccompiler::apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
    // This thread passes the filter on to what it starts.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let readers = readers(LONG);
        let good = file(Format::Png, 2, 64, 48);
        assert!(matches!(reading(&readers, &good).await.content, Content::Picture(_)));
        let reached = unreadable(reading(&readers, &broken("reach")).await);
        assert!(!reached.contains("connect: Operation not permitted"), "there is a filter: {reached}");
    });
}

#[tokio::test]
async fn a_program_that_is_no_reader_is_no_fault_of_the_file() {
    for program in ["/nowhere/at/all", "/bin/true", "/bin/cat"] {
        let readers = Readers::new(Options { program: program.into(), memory: LEAST_MEMORY, deadline: LONG });
        let error = readers.reader(1).await.map(drop).unwrap_err();
        assert!(error.to_string().starts_with("cannot start a reader of files: "), "{program}: {error}");
    }
}
