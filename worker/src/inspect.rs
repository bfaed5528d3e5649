//! Reading what has to be remembered of a spooled file.

use std::io;

use common::hash::FileFacts;
use common::spool::SpooledFile;
use media::Checks;
use media::reader::Readers;

use crate::error::StepError;

/// Collects what has to outlive the file: its hash and length, and what its bytes say.
///
/// # Errors
/// No file can be read, whatever is in it.
pub async fn facts(file: &SpooledFile, checks: &Checks, readers: &Readers) -> Result<FileFacts, StepError> {
    let broken = |error: io::Error| StepError::Local(error.to_string());
    let reader = readers.reader(file.bytes()).await.map_err(broken)?;
    let reading = reader.read(file.descriptor().map_err(broken)?, checks).await.map_err(broken)?;
    Ok(reading.into_facts(file.sha256(), file.bytes()))
}
