//! Asking whether imports are converted: many jobs share one call.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::oneshot;

use super::{Bynder, BynderError};

const OPERATION: &str = "polling imports";

/// How long the first asker waits for others to join.
const GATHER: Duration = Duration::from_millis(250);

/// Ids in one call: each has 35 characters and goes into the URL.
const MOST_IDS: usize = 50;

/// Bynder's id of an uploaded file that is not saved yet.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ImportId(String);

impl ImportId {
    /// The id as the portal wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for ImportId {
    fn from(id: String) -> Self {
        Self(id)
    }
}

impl fmt::Display for ImportId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

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

type Answer = Result<ImportState, BynderError>;

/// Those who wait for the next call.
#[derive(Debug, Default)]
pub(super) struct Poller {
    waiting: Mutex<Vec<(ImportId, oneshot::Sender<Answer>)>>,
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
    pub async fn poll_import(&self, import: &ImportId) -> Answer {
        let (sender, receiver) = oneshot::channel();
        let leads = {
            let mut waiting = self.inner.poller.lock();
            waiting.push((import.clone(), sender));
            waiting.len() == 1
        };
        if leads {
            // A task of its own: the leader may be cancelled while others wait for its call.
            let bynder = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(GATHER).await;
                bynder.poll_waiting().await;
            });
        }
        receiver.await.unwrap_or(Ok(ImportState::Pending))
    }

    async fn poll_waiting(&self) {
        let waiting = std::mem::take(&mut *self.inner.poller.lock());
        let mut waiting = waiting.into_iter().peekable();
        while waiting.peek().is_some() {
            let batch: Vec<_> = waiting.by_ref().take(MOST_IDS).collect();
            let ids: Vec<_> = batch.iter().map(|(import, _)| import.as_str()).collect();
            let answer = self.poll_all(&ids).await;
            for (import, sender) in batch {
                let state = answer.as_ref().map(|states| states.get(import.as_str()).copied());
                let state = state.map(|state| state.unwrap_or(ImportState::Pending)).map_err(Clone::clone);
                // An asker that went away does not need the answer.
                let _ = sender.send(state);
            }
        }
    }

    async fn poll_all(&self, ids: &[&str]) -> Result<HashMap<String, ImportState>, BynderError> {
        let mut url = self.url(OPERATION, &["api", "v4", "upload", "poll", ""])?;
        url.query_pairs_mut().append_pair("items", &ids.join(","));
        let lists: Option<Lists> = self.call(OPERATION, |client| client.get(url.clone())).await?;
        let lists = lists.unwrap_or_default();
        let marked = |list: Option<Vec<String>>, state| {
            list.unwrap_or_default().into_iter().map(move |id| (id, state))
        };
        Ok(marked(lists.done, ImportState::Done)
            .chain(marked(lists.failed, ImportState::Failed))
            .chain(marked(lists.rejected, ImportState::Rejected))
            .collect())
    }
}

impl Poller {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(ImportId, oneshot::Sender<Answer>)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
