//! What the metrics show of the record, whoever wrote it: this process, or a command beside it.

use ledger::state::DatabaseError;

use crate::run::Environment;

impl Environment {
    /// Reports to the metrics what the ledger knows.
    pub async fn measure_record(&self) -> Result<(), DatabaseError> {
        if let Some(found) = self.ledger.last_verification().await? {
            self.metrics.verified(&found);
        }
        if let Some(library) = self.ledger.library().await? {
            self.metrics.library_counted(&library);
        }
        Ok(())
    }
}
