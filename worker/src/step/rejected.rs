//! Keeps the files that failed a check, for people to examine.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use common::file_name::usual_extension;
use common::hash::FileFacts;
use common::job::Job;
use files::private;
use files::spool::SpooledFile;

/// The maximum number of files to keep: a fault at Imatag affects the whole library, and a few files are enough to
/// diagnose it.
const MOST_KEPT: usize = 100;

/// Copies the file to the configured folder, if any. Returns what happened, as the end of the job's reason.
///
/// Nothing here may decide the job's outcome, so an error is only reported.
pub(super) async fn keep(folder: Option<&Path>, job: &Job, file: &SpooledFile, facts: &FileFacts) -> String {
    let Some(folder) = folder.map(Path::to_owned) else { return String::new() };
    let extension = facts.media_type.as_deref().and_then(usual_extension).unwrap_or("bin");
    let name = format!("{}-{}.{}", job.asset_id, facts.sha256.short(), extension);
    let file = file.clone();
    let copying = tokio::task::spawn_blocking(move || copy(&folder, &name, &file));
    match copying.await.map_err(io::Error::other).flatten() {
        Ok(path) => format!(", the file is kept at {}", path.display()),
        Err(error) => {
            tracing::warn!(job_id = %job.job_id, asset_id = %job.asset_id, %error, "a rejected file is not kept");
            format!(", the file is not kept: {error}")
        }
    }
}

fn copy(folder: &Path, name: &str, file: &SpooledFile) -> io::Result<PathBuf> {
    private::folder(folder, &[])?;
    let target = folder.join(name);
    match private::check(&target) {
        // The file is already there, as when the job is replayed.
        Ok(()) => return Ok(target),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", target.display()))),
    }
    if fs::read_dir(folder)?.count() >= MOST_KEPT {
        let reason = format!("{} holds {MOST_KEPT} files already; remove some", folder.display());
        return Err(io::Error::other(reason));
    }
    // It gets its name only once it is complete.
    let unfinished = folder.join(format!("{name}.part"));
    // Left by a process that ended here, or a link that another user created. What cannot be removed is not written to.
    let _ = fs::remove_file(&unfinished);
    let copied = private::create(&unfinished)
        .and_then(|mut part| io::copy(&mut file.reader(), &mut part))
        .and_then(|_| fs::rename(&unfinished, &target));
    if copied.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    copied.map(|()| target)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::os::unix::fs::symlink;

    use files::spool::{Length, Spool};

    use super::*;

    async fn file(outer: &Path) -> SpooledFile {
        let spool = Spool::open(outer.join("spool").as_path(), 1 << 20).unwrap();
        let content = futures::stream::iter([Ok::<_, Infallible>(bytes::Bytes::from_static(b"a file"))]);
        spool.receive(content, Length::Unknown, None).await.unwrap()
    }

    #[tokio::test]
    async fn no_more_files_are_kept_than_a_person_needs_and_one_that_was_not_finished_is_written_anew() {
        let outer = tempfile::tempdir().unwrap();
        let (file, folder) = (file(outer.path()).await, outer.path().join("rejected"));
        private::folder(&folder, &[]).unwrap();
        fs::write(folder.join("last.part"), "half").unwrap();
        (2..MOST_KEPT).for_each(|number| fs::write(folder.join(number.to_string()), "").unwrap());
        assert_eq!(fs::read(copy(&folder, "last", &file).unwrap()).unwrap(), b"a file");
        fs::write(folder.join("another"), "").unwrap();
        let error = copy(&folder, "further", &file).unwrap_err().to_string();
        assert!(error.contains("holds 100 files already"), "{error}");
        fs::remove_file(folder.join("another")).unwrap();
        fs::create_dir(folder.join("2.part")).unwrap();
        fs::remove_file(folder.join("2")).unwrap();
        assert!(copy(&folder, "2", &file).is_err(), "what is in the way is no file");
    }

    #[tokio::test]
    async fn a_file_counts_as_kept_only_where_a_file_of_ours_has_its_name() {
        let outer = tempfile::tempdir().unwrap();
        let (file, folder) = (file(outer.path()).await, outer.path().join("rejected"));
        for _ in 0..2 {
            assert_eq!(fs::read(copy(&folder, "kept", &file).unwrap()).unwrap(), b"a file");
        }
        fs::create_dir(folder.join("folder")).unwrap();
        symlink(folder.join("kept"), folder.join("link")).unwrap();
        symlink(folder.join("nothing"), folder.join("dangling")).unwrap();
        for name in ["folder", "link", "dangling"] {
            let error = copy(&folder, name, &file).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
        assert!(!folder.join("nothing").exists());
    }
}
