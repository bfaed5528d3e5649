//! Reads what has to be remembered of a spooled file.

use std::io;

use async_trait::async_trait;
use common::hash::FileFacts;
use files::spool::SpooledFile;
use media::Checks;
use media::reader::Readers;

use crate::error::StepError;

/// Reads files.
#[async_trait]
pub trait Inspector: Send + Sync {
    /// Collects what has to outlive the file: its hash and length, and the properties in its bytes. Fails if no
    /// file can be read, whatever it contains.
    async fn facts(&self, file: &SpooledFile, checks: &Checks) -> Result<FileFacts, StepError>;
}

#[async_trait]
impl Inspector for Readers {
    async fn facts(&self, file: &SpooledFile, checks: &Checks) -> Result<FileFacts, StepError> {
        let broken = |error: io::Error| StepError::Local(error.to_string());
        let reader = self.reader(file.bytes()).await;
        let reader = reader.map_err(|error| StepError::NoReader(error.to_string()))?;
        let reading = reader.read(file.descriptor().map_err(broken)?, checks).await.map_err(broken)?;
        Ok(reading.into_facts(file.sha256(), file.bytes()))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use files::spool::{Length, Spool};
    use media::reader::{LEAST_MEMORY, Options};

    use super::*;
    use crate::error::Verdict;

    #[tokio::test]
    async fn where_no_reader_can_be_started_the_job_waits_and_uses_no_attempt() {
        let folder = tempfile::tempdir().unwrap();
        let spool = Spool::open(folder.path(), 1 << 20).unwrap();
        let content = futures::stream::iter([Ok::<_, Infallible>(bytes::Bytes::from_static(b"a file"))]);
        let file = spool.receive(content, Length::Unknown, None).await.unwrap();
        let program = folder.path().join("nothing");
        let deadline = Duration::from_secs(1);
        let readers = Readers::new(Options { program, memory: LEAST_MEMORY, deadline });
        let error = readers.facts(&file, &Checks::default()).await.unwrap_err();
        assert!(error.to_string().contains("cannot start a reader of files"), "{error}");
        assert_eq!(error.verdict(), Verdict::Pause { at_least: Duration::ZERO, suspect: false });
    }
}
