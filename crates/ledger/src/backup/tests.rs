use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::TempDir;

use super::restore::STAGED;
use super::*;
use crate::Ledger;
use crate::state::{ARCHIVE, DATABASE_FILE, State, StateError};
use crate::tests::samples::{job, watermarked};
use files::pack::Pack;

const PORTAL_HERE: &str = "https://acme.example";

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn state(&self) -> PathBuf {
        self.0.path().join("state")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Records passes over some assets, each after the other.
    async fn record(&self, passes: std::ops::Range<u32>) -> Ledger {
        let ledger = Ledger::new(State::open_when_free(&self.state()).await.unwrap());
        ledger.portal_or(PORTAL_HERE).await.unwrap();
        let record = move |transaction: &rusqlite::Transaction<'_>| {
            for (pass, asset) in passes.flat_map(|pass| (0..5).map(move |asset| (pass, asset))) {
                crate::note_published(transaction, &job(asset, pass))?;
                crate::note_outcome(transaction, &watermarked(&job(asset, pass)))?;
            }
            Ok(())
        };
        ledger.state.write(record).await.unwrap();
        ledger
    }

    async fn restore(&self, from: &str) -> Result<Restored, RestoreError> {
        restore(&self.state(), &self.file(from), PORTAL_HERE).await
    }

    async fn outcomes(&self) -> usize {
        let state = State::open_to_read(&self.state()).unwrap().unwrap();
        Ledger::new(state).outcomes_of(&job(0, 0).asset_id).await.unwrap().len()
    }
}

#[tokio::test]
async fn a_state_in_use_is_backed_up_and_comes_back_with_its_archive() {
    let place = Place::new();
    let ledger = place.record(0..3).await;
    ledger.archive(watermarked(&job(0, 9)).at).await.unwrap();
    // The process works, and a change of it is under way.
    let connection = Connection::open(place.state().join(DATABASE_FILE)).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE; INSERT INTO facts VALUES ('unfinished', '1')").unwrap();
    let reading = State::open_to_read(&place.state()).unwrap().unwrap();
    let done = write(&reading, &place.file("backup")).await.unwrap();
    assert_eq!((done.archives, done.manifest.portal.as_deref()), (1, Some(PORTAL_HERE)));
    drop((connection, reading, ledger));
    assert_eq!(place.outcomes().await, 3);
    fs::remove_dir_all(place.state()).unwrap();
    let restored = place.restore("backup").await.unwrap();
    assert_eq!((restored.kept, restored.manifest), (None, Some(done.manifest)));
    assert_eq!(place.outcomes().await, 3);
    let ledger = Ledger::new(State::open(&place.state()).unwrap());
    assert_eq!(ledger.fact("unfinished").await.unwrap(), None);
}

#[tokio::test]
async fn the_state_before_is_kept_and_is_whole_though_both_have_an_archive_file_of_one_name() {
    let place = Place::new();
    let ledger = place.record(0..3).await;
    write(&ledger.state, &place.file("early")).await.unwrap();
    ledger.archive(watermarked(&job(0, 1)).at).await.unwrap();
    write(&ledger.state, &place.file("one")).await.unwrap();
    drop(ledger);
    // From the same beginning another archive is made, whose first file is a different one.
    place.restore("early").await.unwrap();
    fs::remove_dir_all(place.state().join(ARCHIVE)).unwrap();
    let ledger = place.record(3..6).await;
    ledger.archive(watermarked(&job(0, 9)).at).await.unwrap();
    drop(ledger);
    assert_eq!(place.outcomes().await, 6);
    let kept = place.restore("one").await.unwrap().kept.unwrap();
    assert_eq!(place.outcomes().await, 3);
    let back = restore(&place.state(), &kept, PORTAL_HERE).await.unwrap();
    assert!(back.manifest.is_none(), "a copy of the file alone");
    assert_eq!(place.outcomes().await, 6);
}

#[tokio::test]
async fn what_is_restored_checks_before_it_repeats_and_deletes_no_file_of_the_archive() {
    let place = Place::new();
    let ledger = place.record(0..3).await;
    let waiting = "INSERT INTO jobs (job_id, run_id, asset_id, step, lane, state, due_ms, body)
                   VALUES ('j', 'r', 'A', 'save', 'fresh', 'ready', 0, x'')";
    ledger.state.write(move |transaction| Ok(transaction.execute_batch(waiting)?)).await.unwrap();
    ledger.set_fact("archiving", Some("outcomes-000001.jsonl.gz".to_owned())).await.unwrap();
    write(&ledger.state, &place.file("backup")).await.unwrap();
    ledger.archive(watermarked(&job(0, 9)).at).await.unwrap();
    drop(ledger);
    place.restore("backup").await.unwrap();
    let ledger = Ledger::new(State::open(&place.state()).unwrap());
    assert_eq!(ledger.fact("archiving").await.unwrap(), None);
    let redelivered = "SELECT redelivered FROM jobs";
    let redelivered = ledger
        .state
        .read(move |connection| Ok(connection.query_row(redelivered, [], |row| row.get::<_, bool>(0))?));
    assert!(redelivered.await.unwrap(), "the job may have been done since");
    ledger.archive(watermarked(&job(0, 1)).at).await.unwrap();
    assert!(place.state().join("archive/outcomes-000001.jsonl.gz").exists(), "the kept state needs it");
}

#[tokio::test]
async fn a_state_that_is_damaged_or_of_a_later_release_is_moved_aside() {
    let place = Place::new();
    let ledger = place.record(0..3).await;
    write(&ledger.state, &place.file("backup")).await.unwrap();
    drop(ledger);
    let path = place.state().join(DATABASE_FILE);
    let newer = {
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        drop(connection);
        fs::read(&path).unwrap()
    };
    for content in [newer, b"no database".repeat(1000)] {
        fs::write(&path, &content).unwrap();
        let kept = place.restore("backup").await.unwrap().kept.unwrap();
        assert_eq!(fs::read(kept).unwrap(), content);
        assert_eq!(place.outcomes().await, 3);
    }
    // The head is well, and a page is not.
    let mut content = fs::read(&path).unwrap();
    let middle = content.len() / 2 / 4096 * 4096;
    content[4096..middle].fill(0xff);
    fs::write(&path, &content).unwrap();
    place.restore("backup").await.unwrap();
    assert_eq!(place.outcomes().await, 3);
}

/// Fails unless nothing but this is refused, and the present state stays.
async fn assert_refused(place: &Place, from: &str, said: &str) {
    let error = place.restore(from).await.unwrap_err().to_string();
    assert!(error.contains(said), "{from}: {error}");
    assert_eq!(place.outcomes().await, 4, "{from}");
    let left = fs::read_dir(place.state()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with(".tmp")).collect();
    assert_eq!(left, [""; 0], "{from}");
}

fn pack(path: &Path, files: &[(&str, &[u8])]) {
    let mut file = fs::File::create(path).unwrap();
    let mut pack = Pack::new(&mut file);
    for (name, bytes) in files {
        pack.add(name, bytes.len() as u64, *bytes).unwrap();
    }
    pack.finish().unwrap();
}

#[tokio::test]
async fn a_long_name_in_what_should_be_a_backup_is_not_read() {
    let place = Place::new();
    drop(place.record(0..4).await);
    for kind in [tar::EntryType::GNULongName, tar::EntryType::XHeader] {
        let packed = fs::File::create(place.file("long")).unwrap();
        let mut packed =
            tar::Builder::new(flate2::write::GzEncoder::new(packed, flate2::Compression::fast()));
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(64);
        header.set_cksum();
        // If it were read, it would be the manifest's name or an invalid attribute.
        let mut name = [0; 64];
        name[..MANIFEST.len()].copy_from_slice(MANIFEST.as_bytes());
        packed.append(&header, &name[..]).unwrap();
        let mut file = tar::Header::new_gnu();
        file.set_size(2);
        file.set_cksum();
        packed.append(&file, &b"{}"[..]).unwrap();
        packed.into_inner().unwrap().finish().unwrap();
        assert_refused(&place, "long", "it is not a backup of the connector").await;
    }
}

#[tokio::test]
async fn what_a_killed_restore_left_is_gone_after_the_next_one_also_where_files_are_open_to_all() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let ledger = place.record(0..4).await;
    ledger.archive(watermarked(&job(0, 1)).at).await.unwrap();
    write(&ledger.state, &place.file("backup")).await.unwrap();
    drop(ledger);
    let left = place.state().join(STAGED);
    fs::create_dir(&left).unwrap();
    fs::set_permissions(&left, fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(left.join(DATABASE_FILE), "half").unwrap();
    place.restore("backup").await.unwrap();
    assert!(!left.exists());
    assert_eq!(place.outcomes().await, 4);
}

#[tokio::test]
async fn a_backup_that_any_user_can_write_is_refused_before_it_is_read() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    drop(place.record(0..4).await);
    fs::write(place.file("open"), "no backup").unwrap();
    fs::set_permissions(place.file("open"), fs::Permissions::from_mode(0o666)).unwrap();
    assert_refused(&place, "open", "its mode 666 lets any user write it").await;
}

/// Only root can give a file to another user: as any other user this test proves nothing.
#[tokio::test]
async fn a_backup_that_another_user_can_change_is_refused_before_it_is_read() {
    use std::os::unix::fs::lchown;
    const OTHER: Option<u32> = Some(12_345);
    let place = Place::new();
    drop(place.record(0..4).await);
    fs::create_dir(place.file("theirs")).unwrap();
    for name in ["foreign", "theirs/file"] {
        fs::write(place.file(name), "no backup").unwrap();
    }
    for name in ["foreign", "theirs"] {
        if lchown(place.file(name), OTHER, None).is_err() {
            return;
        }
    }
    assert_refused(&place, "foreign", "it belongs to the user 12345; give it to this one (chown)").await;
    assert_refused(&place, "theirs/file", "which is above it, belongs to the user 12345").await;
}

#[tokio::test]
async fn what_is_damaged_incomplete_foreign_or_no_backup_is_refused_and_changes_nothing() {
    let place = Place::new();
    let ledger = place.record(0..3).await;
    ledger.archive(watermarked(&job(0, 1)).at).await.unwrap();
    write(&ledger.state, &place.file("backup")).await.unwrap();
    drop(ledger);
    let ledger = place.record(3..4).await;
    drop(ledger);
    let whole = fs::read(place.file("backup")).unwrap();
    for length in [10, whole.len() / 2, whole.len() - 1] {
        fs::write(place.file("cut"), &whole[..length]).unwrap();
        assert_refused(&place, "cut", "cannot be restored").await;
    }
    let mut flipped = whole.clone();
    let last = flipped.len() - 6;
    flipped[last] ^= 1;
    fs::write(place.file("check sum"), flipped).unwrap();
    assert_refused(&place, "check sum", "cannot be restored").await;
    assert!(std::process::Command::new("mkfifo").arg(place.file("pipe")).status().unwrap().success());
    assert_refused(&place, "pipe", "it is not a file").await;
    fs::write(place.file("text"), "no backup").unwrap();
    assert_refused(&place, "text", "cannot be restored").await;
    let manifest =
        serde_json::json!({"backup": 1, "release": "0", "at": "2026-01-02T03:04:05Z", "format": 1});
    let manifest = manifest.to_string().into_bytes();
    let newer = String::from_utf8(manifest.clone()).unwrap().replace("\"backup\":1", "\"backup\":2");
    let damaged = [b"SQLite format 3\0", &[7; 9000][..]].concat();
    for (name, files, said) in [
        ("none", &[("connector.sqlite", &b""[..])][..], "not a backup"),
        ("newer layout", &[(MANIFEST, newer.as_bytes()), ("connector.sqlite", b"")], "a newer release"),
        ("other", &[(MANIFEST, &manifest), ("lock", b"1")], "files that are not of a backup"),
        ("up", &[(MANIFEST, &manifest), ("archive/other", b"1")], "another file than one of the archive"),
        ("damaged", &[(MANIFEST, &manifest), ("connector.sqlite", &damaged)], "cannot be restored"),
        ("empty", &[(MANIFEST, &manifest), ("connector.sqlite", b"")], "it holds no state"),
    ] {
        pack(&place.file(name), files);
        assert_refused(&place, name, said).await;
    }
    // What the manifest says is refused before anything is unpacked.
    for (name, manifest, said) in [
        (
            "newer format",
            r#"{"backup": 1, "release": "0", "at": "2026-01-02T03:04:05Z", "format": 99}"#,
            "99",
        ),
        (
            "other portal",
            r#"{"backup": 1, "release": "0", "at": "2026-01-02T03:04:05Z", "format": 1, "portal": "https://other.example"}"#,
            "holds the state of https://other.example",
        ),
    ] {
        pack(&place.file(name), &[(MANIFEST, manifest.as_bytes()), ("connector.sqlite", &damaged)]);
        assert_refused(&place, name, said).await;
    }
    let other = restore(&place.state(), &place.file("backup"), "https://other.example").await.unwrap_err();
    assert!(other.to_string().contains("holds the state of https://acme.example"), "{other}");
    // A copy of the state file alone, whose archive is gone.
    State::open(&place.state()).unwrap().copy_to(&place.file("alone")).await.unwrap();
    fs::rename(place.state().join(ARCHIVE), place.file("gone")).unwrap();
    let error = place.restore("alone").await.unwrap_err().to_string();
    assert!(error.contains("outcomes-000001.jsonl.gz of its archive is missing"), "{error}");
    fs::rename(place.file("gone"), place.state().join(ARCHIVE)).unwrap();
    let held = State::open(&place.state()).unwrap();
    let busy = place.restore("backup").await.unwrap_err();
    assert!(matches!(busy, RestoreError::State(StateError::InUse { .. })), "{busy}");
    drop(held);
    let later = Connection::open(place.file("alone")).unwrap();
    later.pragma_update(None, "user_version", 99).unwrap();
    drop(later);
    let newer = place.restore("alone").await.unwrap_err();
    assert!(matches!(newer, RestoreError::State(StateError::Newer { found: 99, .. })), "{newer}");
}

#[tokio::test]
async fn a_state_file_with_statements_that_no_release_wrote_is_refused_before_they_run() {
    let place = Place::new();
    drop(place.record(0..4).await);
    let planted = [
        ("CREATE TRIGGER planted AFTER UPDATE ON jobs BEGIN DELETE FROM facts; END", "trigger \"planted\""),
        ("CREATE TABLE planted (id)", "table \"planted\""),
        (
            "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema VALUES ('trigger', 'sqlite_stat1', 'jobs', 0, \
             'CREATE TRIGGER sqlite_stat1 AFTER UPDATE ON jobs BEGIN DELETE FROM facts; END')",
            "trigger \"sqlite_stat1\"",
        ),
        ("DROP TRIGGER outcomes_are_kept", "trigger \"outcomes_are_kept\""),
        (
            "ALTER TABLE facts RENAME TO kept; CREATE VIEW facts AS SELECT * FROM kept",
            "index \"sqlite_autoindex_facts_1\"",
        ),
    ];
    for (number, (sql, said)) in planted.into_iter().enumerate() {
        let name = format!("forged {number}");
        State::open(&place.state()).unwrap().copy_to(&place.file(&name)).await.unwrap();
        let forged = Connection::open(place.file(&name)).unwrap();
        forged.execute_batch(sql).unwrap();
        drop(forged);
        assert_refused(&place, &name, &format!("its state file is not of a state: the {said} differs")).await;
    }
}

#[tokio::test]
async fn a_backup_that_would_fill_the_disk_is_refused_before_it_is_unpacked() {
    let place = Place::new();
    drop(place.record(0..4).await);
    let manifest = r#"{"backup": 1, "release": "0", "at": "2026-01-02T03:04:05Z", "format": 1}"#;
    let zeros = vec![0; 8 << 20];
    pack(&place.file("bomb"), &[(MANIFEST, manifest.as_bytes()), ("connector.sqlite", &zeros)]);
    assert_refused(&place, "bomb", "more than 100 times as long unpacked").await;
}
