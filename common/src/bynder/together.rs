//! Questions that many jobs ask at the same time, put to the portal in one call.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::BynderError;

/// How long the first asker waits for others to join, at least: where the budget is used up, the call waits for its
/// turn, and whoever asks meanwhile still joins.
const GATHER: Duration = Duration::from_millis(250);

/// Ids in one call: each has 35 characters and goes into the URL.
pub(super) const MOST_IDS: usize = 50;

type Answer<V> = Result<Option<V>, BynderError>;
type Asker<K, V> = (K, oneshot::Sender<Answer<V>>);

/// Those who wait for the next call; clones share them.
pub(super) struct Together<K, V> {
    waiting: Arc<Mutex<Vec<Asker<K, V>>>>,
}

/// Those whose turn it is; nobody until the call is let go.
pub(super) struct Batch<K, V> {
    waiting: Together<K, V>,
    taken: Mutex<Option<Taken<K, V>>>,
}

struct Taken<K, V> {
    askers: Vec<Asker<K, V>>,
    /// Whether others were left behind, for whom nobody calls but this batch's caller.
    left_some: bool,
}

impl<K, V> Together<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    /// The answer for one key, or `None` where the portal said nothing of it. `call` fetches the answers for a batch,
    /// whose keys it takes when it is let go.
    pub(super) async fn ask<F>(
        &self,
        key: K,
        call: impl Fn(Arc<Batch<K, V>>) -> F + Send + 'static,
    ) -> Answer<V>
    where
        F: Future<Output = Result<HashMap<K, V>, BynderError>> + Send,
    {
        let (sender, receiver) = oneshot::channel();
        let leads = {
            let mut waiting = self.lock();
            waiting.push((key, sender));
            waiting.len() == 1
        };
        if leads {
            // A task of its own: the leader may be cancelled while others wait for its call.
            let waiting = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(GATHER).await;
                waiting.call_for_all(call).await;
            });
        }
        receiver.await.unwrap_or(Ok(None))
    }

    /// Calls until nobody is left behind: a batch holds no more than [`MOST_IDS`].
    async fn call_for_all<F>(&self, call: impl Fn(Arc<Batch<K, V>>) -> F)
    where
        F: Future<Output = Result<HashMap<K, V>, BynderError>> + Send,
    {
        loop {
            let batch = Arc::new(Batch { waiting: self.clone(), taken: Mutex::default() });
            let answer = call(Arc::clone(&batch)).await;
            // A call that was never let go took nobody so far, and is answered all the same.
            let taken = lock(&batch.taken).take().unwrap_or_else(|| self.take());
            for (key, sender) in taken.askers {
                let answer = answer.as_ref().map(|answers| answers.get(&key).cloned()).map_err(Clone::clone);
                // An asker that went away does not need it.
                let _ = sender.send(answer);
            }
            if !taken.left_some {
                return;
            }
        }
    }

    fn take(&self) -> Taken<K, V> {
        let mut waiting = self.lock();
        let count = waiting.len().min(MOST_IDS);
        let askers = waiting.drain(..count).collect();
        Taken { askers, left_some: !waiting.is_empty() }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Asker<K, V>>> {
        lock(&self.waiting)
    }
}

impl<K, V> Batch<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    /// The keys to ask for: fixed at the first call of this.
    pub(super) fn keys(&self) -> Vec<K> {
        let mut taken = lock(&self.taken);
        let taken = taken.get_or_insert_with(|| self.waiting.take());
        taken.askers.iter().map(|(key, _)| key.clone()).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K, V> Clone for Together<K, V> {
    fn clone(&self) -> Self {
        Self { waiting: Arc::clone(&self.waiting) }
    }
}

impl<K, V> Default for Together<K, V> {
    fn default() -> Self {
        Self { waiting: Arc::default() }
    }
}

impl<K, V> fmt::Debug for Together<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Together")
    }
}
