//! Asking whether imports are converted: many jobs share one call.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;

use super::together::Batch;
use super::{Bynder, BynderError};
use common::job::ImportId;
use http_client::Operation;

const OPERATION: &str = "polling imports";

/// What Bynder says of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportState {
    /// In none of the lists: still being converted.
    Pending,
    /// Converted: it can be saved.
    Done,
    /// It cannot be converted.
    Failed,
    /// Refused; the SDKs overlook this list and run into their time-outs.
    Rejected,
}

/// May be null as a whole, and lists may be absent.
#[derive(Debug, Default, Deserialize)]
struct Lists {
    #[serde(default, rename = "itemsDone")]
    done: Option<Vec<String>>,
    #[serde(default, rename = "itemsFailed")]
    failed: Option<Vec<String>>,
    #[serde(default, rename = "itemsRejected")]
    rejected: Option<Vec<String>>,
}

impl Bynder {
    /// Asks for one import's state, together with whoever asks at the same time.
    pub async fn poll_import(&self, import: &ImportId) -> Result<ImportState, BynderError> {
        let bynder = self.clone();
        let poll = move |batch: Arc<Batch<ImportId, ImportState>>| {
            let bynder = bynder.clone();
            async move { bynder.poll_all(&batch).await }
        };
        let state = self.inner.polls.ask(import.clone(), self.inner.gate.interval(), poll).await?;
        Ok(state.unwrap_or(ImportState::Pending))
    }

    async fn poll_all(
        &self,
        batch: &Batch<ImportId, ImportState>,
    ) -> Result<HashMap<ImportId, ImportState>, BynderError> {
        let url = self.url(OPERATION, &["api", "v4", "upload", "poll", ""])?;
        let lists: Option<Lists> = self
            .call(Operation::Imports, OPERATION, |client| {
                let ids: Vec<_> = batch.keys().into_iter().map(String::from).collect();
                client.get(url.clone()).query(&[("items", ids.join(","))])
            })
            .await?;
        let lists = lists.unwrap_or_default();
        let marked = |list: Option<Vec<String>>, state| {
            // A text that is no id was not asked for.
            let ids = list.unwrap_or_default().into_iter().filter_map(|id| ImportId::try_from(id).ok());
            ids.map(move |id| (id, state))
        };
        Ok(marked(lists.done, ImportState::Done)
            .chain(marked(lists.failed, ImportState::Failed))
            .chain(marked(lists.rejected, ImportState::Rejected))
            .collect())
    }
}
