//! Reading what a file's first bytes and header say of it.

use std::io::{BufReader, Read};

use common::hash::FileFacts;
use common::spool::SpooledFile;

use crate::error::StepError;

/// Enough for every signature that `infer` knows.
const SIGNATURE_BYTES: u64 = 8192;

/// Collects what has to outlive the file: hash, length, media type by magic bytes, pixel size.
pub(super) async fn facts(file: &SpooledFile) -> Result<FileFacts, StepError> {
    let reader = file.clone();
    let (media_type, pixels) = tokio::task::spawn_blocking(move || (media_type(&reader), pixels(&reader)))
        .await
        .map_err(|error| StepError::Local(format!("reading a file's header failed: {error}")))?;
    Ok(FileFacts { sha256: file.sha256(), bytes: file.bytes(), media_type, pixels })
}

fn media_type(file: &SpooledFile) -> Option<String> {
    let mut start = Vec::new();
    file.reader().take(SIGNATURE_BYTES).read_to_end(&mut start).ok()?;
    infer::get(&start).map(|kind| kind.mime_type().to_owned())
}

fn pixels(file: &SpooledFile) -> Option<(u32, u32)> {
    let size = imagesize::reader_size(BufReader::new(file.reader())).ok()?;
    Some((u32::try_from(size.width).ok()?, u32::try_from(size.height).ok()?))
}
