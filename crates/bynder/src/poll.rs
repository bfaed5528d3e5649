//! Checks whether imports are converted; many jobs share one call.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;

use super::batching::Batch;
use super::{Bynder, BynderError};
use common::job::ImportId;
use http_client::Operation;

const OPERATION: &str = "polling imports";

/// The state of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportState {
    /// In none of the lists: still being converted.
    Pending,
    /// Converted: it can be saved.
    Done,
    /// It cannot be converted.
    Failed,
    /// Refused. Bynder's SDKs do not read this list and wait until they time out.
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
    /// Reads one import's state, in one call with others that are wanted in the lane at the same time.
    pub async fn poll_import(&self, import: &ImportId) -> Result<ImportState, BynderError> {
        let bynder = self.clone();
        let poll = move |batch: Arc<Batch<ImportId, ImportState>>| {
            let bynder = bynder.clone();
            async move { bynder.poll_all(&batch).await }
        };
        let state = self.inner.polls[self.lane as usize].ask(import.clone(), self.gathering(), poll).await?;
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
            // A text that is not an id was not in the request.
            let ids = list.unwrap_or_default().into_iter().filter_map(|id| ImportId::try_from(id).ok());
            ids.map(move |id| (id, state))
        };
        Ok(marked(lists.done, ImportState::Done)
            .chain(marked(lists.failed, ImportState::Failed))
            .chain(marked(lists.rejected, ImportState::Rejected))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use async_trait::async_trait;
    use common::job::Lane;
    use secrecy::SecretString;
    use tokio::sync::{Notify, Semaphore};

    use super::*;
    use crate::tests::{Script, json, settings};
    use crate::{Credential, Gate, Paused};

    /// Holds calls until it is released.
    #[derive(Debug)]
    struct Held {
        has_caller: Notify,
        open: Semaphore,
    }

    #[async_trait]
    impl Gate for Held {
        async fn admit(&self, _: Lane, calls: u32) -> Result<u32, Paused> {
            self.has_caller.notify_one();
            self.open.acquire().await.unwrap().forget();
            Ok(calls)
        }

        fn check(&self) -> Result<(), Paused> {
            Ok(())
        }

        fn interval(&self) -> Duration {
            Duration::ZERO
        }

        fn refund(&self, _: u32) {}

        fn refused(&self) {}

        fn answered(&self) {}
    }

    #[tokio::test]
    async fn one_who_asks_while_the_call_waits_for_the_budget_joins_it() {
        let (script, url) = Script::serve(vec![json(200, r#"{"itemsDone":["A","B"]}"#)]).await;
        let gate = Arc::new(Held { has_caller: Notify::new(), open: Semaphore::new(0) });
        let token = Credential::Token(SecretString::from("t"));
        let bynder = Bynder::new(settings(url, token), Arc::clone(&gate) as _).unwrap();
        let [a, b] = ["A", "B"].map(|import| ImportId::try_from(import.to_owned()).unwrap());
        let later = async {
            gate.has_caller.notified().await;
            tokio::join!(bynder.poll_import(&b), async { gate.open.add_permits(2) }).0
        };
        let (first, later) = tokio::join!(bynder.poll_import(&a), later);
        assert_eq!((first, later), (Ok(ImportState::Done), Ok(ImportState::Done)));
        assert_eq!(script.seen().len(), 1);
    }
}
