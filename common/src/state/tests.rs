use super::*;

#[test]
fn a_second_process_is_refused_and_told_who_holds_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let _held = State::open(directory.path()).unwrap();
    let refused = State::open(directory.path()).unwrap_err();
    assert!(matches!(refused, StateError::InUse { holder, .. } if holder == std::process::id().to_string()));
}

#[test]
fn a_damaged_file_is_named_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(DATABASE_FILE);
    std::fs::write(&path, "this is no database, but it may be somebody's").unwrap();
    assert!(
        matches!(State::open(directory.path()).unwrap_err(), StateError::Damaged { path: named, .. } if named == path)
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "this is no database, but it may be somebody's");
}

#[test]
fn a_file_of_a_later_release_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(State::open(directory.path()).unwrap());
    let connection = Connection::open(directory.path().join(DATABASE_FILE)).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    drop(connection);
    assert!(matches!(State::open(directory.path()).unwrap_err(), StateError::Newer { found: 99, .. }));
}

#[tokio::test]
async fn a_failed_change_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let state = State::open(directory.path()).unwrap();
    let failed = state
        .write(|transaction| {
            transaction.execute("INSERT INTO facts VALUES ('a', 'b')", [])?;
            transaction.execute("INSERT INTO nowhere VALUES (1)", [])?;
            Ok(())
        })
        .await;
    assert!(failed.is_err());
    let count = state.read(|connection| {
        Ok(connection.query_row("SELECT count(*) FROM facts", [], |row| row.get::<_, u32>(0))?)
    });
    assert_eq!(count.await.unwrap(), 0);
}

#[test]
fn only_the_owner_may_look_into_the_directory() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("state");
    drop(State::open(&directory).unwrap());
    assert_eq!(std::fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
}
