//! Reading what has to be remembered of a spooled file.

use std::io::BufReader;

use common::hash::FileFacts;
use common::spool::SpooledFile;
use media::Checks;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::error::StepError;

/// Decoding takes memory and a processor, however many jobs are in flight: one file at a time.
static DECODER: Semaphore = Semaphore::const_new(1);

/// Collects what has to outlive the file: its hash and length, and what its bytes say.
///
/// # Errors
/// The reading was stopped.
pub async fn facts(file: &SpooledFile, checks: &Checks) -> Result<FileFacts, StepError> {
    let turn = DECODER.acquire().await.map_err(|error| StepError::Local(error.to_string()))?;
    let (spooled, checks) = (file.clone(), checks.clone());
    let reading = spawn_blocking(move || media::read(BufReader::new(spooled.reader()), &checks)).await;
    drop(turn);
    match reading {
        Ok(reading) => Ok(reading.into_facts(file.sha256(), file.bytes())),
        Err(error) => Err(StepError::Local(format!("reading a file was stopped: {error}"))),
    }
}
