//! One file of the archive: outcomes as compressed lines of JSON, and in a second file their keys, so that a search reads few files.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;

use super::Archive;
use crate::state::DatabaseError;
use crate::state::record::Recorded;
use common::parse_error::of_json;
use files::private;

/// The beginning of the names of all files in the folder.
pub(crate) const PREFIX: &str = "outcomes-";
/// The most bytes of a line: far above any outcome. A longer one is left out, so that it does not hide all others.
const LONGEST_LINE: u64 = 1 << 20;
/// The length of a key.
const KEY: usize = 4;

/// The name of the file with this number.
pub(crate) fn name(number: i64) -> String {
    format!("{PREFIX}{number:06}.jsonl.gz")
}

/// The path of a file with this name. The name comes from the state file, which another user may have made, so one that leads out of
/// the folder is refused.
pub(crate) fn at(folder: &Path, name: &str) -> io::Result<PathBuf> {
    if !name.starts_with(PREFIX) || name.contains(['/', '\0']) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the state file names another file than one of the archive",
        ));
    }
    Ok(folder.join(name))
}

pub(crate) fn keys_of(path: &Path) -> PathBuf {
    path.with_extension("keys")
}

/// The texts by which an outcome is looked for.
fn texts(row: &Recorded) -> impl Iterator<Item = String> {
    let event = &row.event;
    let hashes = [event.original, event.watermarked].into_iter().flatten().map(|hash| hash.to_string());
    hashes.chain([event.asset_id.to_string(), event.run_id.to_string()])
}

/// Writes a file that does not exist, and its keys; returns how many those are. Both are on disk when this returns.
pub(super) fn write(folder: &Path, name: &str, rows: &[Recorded]) -> io::Result<u64> {
    private::folder(folder, &[PREFIX])?;
    private::unshared(folder)?;
    let path = folder.join(name);
    let keys: BTreeSet<u32> =
        rows.iter().flat_map(texts).map(|text| crc32fast::hash(text.as_bytes())).collect();
    let create = |path: &Path| {
        private::create_named(path)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    };
    let mut file = BufWriter::new(create(&keys_of(&path))?);
    keys.iter().try_for_each(|key| file.write_all(&key.to_be_bytes()))?;
    file.into_inner()?.sync_all()?;
    let mut encoder = GzEncoder::new(BufWriter::new(create(&path)?), Compression::default());
    for row in rows {
        serde_json::to_writer(&mut encoder, row)?;
        encoder.write_all(b"\n")?;
    }
    encoder.finish()?.into_inner()?.sync_all()?;
    File::open(folder)?.sync_all()?;
    // The folder may be new.
    folder.parent().map(File::open).transpose()?.map(|above| above.sync_all()).transpose()?;
    Ok(keys.len() as u64)
}

/// Deletes a file and its keys, as far as they exist.
pub(super) fn delete(folder: &Path, name: &str) -> io::Result<()> {
    let path = at(folder, name)?;
    [keys_of(&path), path].iter().try_for_each(|path| match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    })
}

/// Passes the outcomes of a file to `take` until it breaks; with `text`, those that contain this id or hash.
pub(crate) fn read(
    folder: &Path,
    archive: &Archive,
    text: Option<&str>,
    take: &mut impl FnMut(Recorded) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, DatabaseError> {
    let damaged = |error: String| {
        DatabaseError::Damaged(format!(
            "the file {} of its archive: {error}",
            folder.join(&archive.file).display()
        ))
    };
    let failed = |error: io::Error| damaged(error.to_string());
    let path = at(folder, &archive.file).map_err(failed)?;
    if let Some(text) = text
        && !has_key(&keys_of(&path), archive.keys, crc32fast::hash(text.as_bytes())).map_err(failed)?
    {
        return Ok(ControlFlow::Continue(()));
    }
    private::check(&path).map_err(failed)?;
    let mut lines = BufReader::new(GzDecoder::new(BufReader::new(File::open(&path).map_err(failed)?)));
    let mut line = Vec::new();
    while (&mut lines).take(LONGEST_LINE).read_until(b'\n', &mut line).map_err(failed)? > 0 {
        if line.len() as u64 == LONGEST_LINE && !line.ends_with(b"\n") {
            tracing::warn!(
                file = archive.file,
                "a line of the archive is too long for an outcome and is left out"
            );
            lines.skip_until(b'\n').map_err(failed)?;
        } else if text.is_none_or(|text| String::from_utf8_lossy(&line).contains(text)) {
            let row = serde_json::from_slice(&line).map_err(|error| damaged(of_json(&error)))?;
            if take(row).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        line.clear();
    }
    Ok(ControlFlow::Continue(()))
}

/// Whether a sorted file of keys has this one.
fn has_key(path: &Path, keys: u64, key: u32) -> io::Result<bool> {
    private::check(path)?;
    let file = File::open(path)?;
    if Some(file.metadata()?.len()) != keys.checked_mul(KEY as u64) {
        return Err(io::Error::other(format!("{} has another length than was written", path.display())));
    }
    let (mut low, mut high) = (0, keys);
    while low < high {
        let middle = low.midpoint(high);
        let mut bytes = [0; KEY];
        file.read_exact_at(&mut bytes, middle * KEY as u64)?;
        match u32::from_be_bytes(bytes).cmp(&key) {
            std::cmp::Ordering::Equal => return Ok(true),
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
        }
    }
    Ok(false)
}
