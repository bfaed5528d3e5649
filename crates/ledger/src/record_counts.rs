//! The assets of the record, by what became of them.

use serde::Serialize;

use super::Ledger;
use crate::state::DatabaseError;
use crate::state::record::{DROPPED, Kind};

/// The assets of the record by their latest outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RecordCounts {
    /// The connector protected them, or found them protected.
    pub protected: u64,
    /// The protected file is saved, and a person has to approve it.
    pub awaiting_approval: u64,
    /// A person uploaded a newer version meanwhile.
    pub superseded: u64,
    pub failed: u64,
    /// The asset does not exist any more.
    pub gone: u64,
    /// None of their jobs has an outcome.
    pub without_outcome: u64,
}

impl Ledger {
    /// The assets of the record.
    pub async fn record_counts(&self) -> Result<RecordCounts, DatabaseError> {
        let sql = "SELECT outcome, assets FROM asset_counts";
        self.state
            .read(move |connection| {
                let mut statement = connection.prepare_cached(sql)?;
                let mut rows = statement.query([])?;
                let mut counts = RecordCounts::default();
                while let Some(row) = rows.next()? {
                    let code: i64 = row.get(0)?;
                    let kind = Kind::of(if code >= DROPPED { code - DROPPED } else { code });
                    let count = match kind {
                        Some(Kind::Watermarked | Kind::AlreadyProtected) => &mut counts.protected,
                        Some(Kind::AwaitingApproval) => &mut counts.awaiting_approval,
                        Some(Kind::Superseded) => &mut counts.superseded,
                        Some(Kind::Failed(_)) => &mut counts.failed,
                        Some(Kind::Gone) => &mut counts.gone,
                        Some(Kind::Unreadable) | None => &mut counts.without_outcome,
                    };
                    *count += row.get::<_, u64>(1)?;
                }
                Ok(counts)
            })
            .await
    }
}
