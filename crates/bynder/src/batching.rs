//! Combines queries that many jobs make at the same time into one call.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::job::Lane;
use tokio::sync::oneshot;

use super::BynderError;

/// The first caller waits for others to join for as long as the budget needs for this many calls: if the budget is
/// large, waiting costs more than a call. If the budget is used up, the call waits for its turn, and all callers
/// that arrive meanwhile join. The backlog has more time.
const fn worth_calls(lane: Lane) -> u32 {
    match lane {
        Lane::Fresh => 4,
        Lane::Backlog => 32,
    }
}
/// The limits of that wait.
const SHORTEST_GATHERING: Duration = Duration::from_millis(10);
const fn longest_gathering(lane: Lane) -> Duration {
    match lane {
        Lane::Fresh => Duration::from_millis(250),
        Lane::Backlog => Duration::from_secs(2),
    }
}

/// Ids in one call: each has 35 characters and becomes part of the URL.
pub const MOST_IDS: usize = 50;

type Answer<V> = Result<Option<V>, BynderError>;
type Answers<K, V> = Result<HashMap<K, V>, BynderError>;
type Asker<K, V> = (K, oneshot::Sender<Answer<V>>);

/// The callers that wait for the next call; clones share them.
pub(super) struct Batcher<K, V> {
    waiting: Arc<Mutex<Vec<Asker<K, V>>>>,
}

/// The callers of one call; empty until the budget lets the call go.
pub(super) struct Batch<K, V> {
    waiting: Batcher<K, V>,
    taken: Mutex<Option<Taken<K, V>>>,
}

struct Taken<K, V> {
    askers: Vec<Asker<K, V>>,
    /// Whether callers were left over, for whom only this batch's caller will call.
    left_some: bool,
}

impl<K, V> Batcher<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    /// The result for one key; `None` if the response does not contain it. `call` fetches the results of a batch
    /// and reads the batch's keys once the budget lets it go; others may join for the time of [`gathering`].
    pub(super) async fn ask<F>(
        &self,
        key: K,
        gathering: Duration,
        call: impl Fn(Arc<Batch<K, V>>) -> F + Send + Sync + 'static,
    ) -> Answer<V>
    where
        F: Future<Output = Answers<K, V>> + Send,
    {
        let (sender, receiver) = oneshot::channel();
        let leads = {
            let mut waiting = self.lock();
            waiting.push((key, sender));
            waiting.len() == 1
        };
        if leads {
            // In a separate task: this future may be cancelled while others wait for its call.
            let leader = Leader(self.clone());
            tasks::brief(async move {
                tokio::time::sleep(gathering).await;
                leader.0.call_for_all(call).await;
            });
        }
        receiver.await.unwrap_or_else(|_| Err(abandoned()))
    }

    /// Calls until no caller is left over, since a batch holds at most [`MOST_IDS`].
    async fn call_for_all<F>(&self, call: impl Fn(Arc<Batch<K, V>>) -> F)
    where
        F: Future<Output = Answers<K, V>> + Send,
    {
        loop {
            let batch = Arc::new(Batch { waiting: self.clone(), taken: Mutex::default() });
            let answer = call(Arc::clone(&batch)).await;
            // A call that the budget never let go has no callers yet, but they all get its error.
            let taken = lock(&batch.taken).take().unwrap_or_else(|| self.take());
            match answer {
                Err(error) if taken.askers.len() > 1 && concerns_one(&error) => {
                    for asker in taken.askers {
                        self.call_for_one(&call, asker).await;
                    }
                }
                answer => share(taken.askers, &answer),
            }
            if !taken.left_some {
                return;
            }
        }
    }

    /// Calls for one caller alone, so that an error about one key does not fail the others.
    async fn call_for_one<F>(&self, call: &impl Fn(Arc<Batch<K, V>>) -> F, asker: Asker<K, V>)
    where
        F: Future<Output = Answers<K, V>> + Send,
    {
        let taken = Taken { askers: vec![asker], left_some: false };
        let batch = Arc::new(Batch { waiting: self.clone(), taken: Mutex::new(Some(taken)) });
        let answer = call(Arc::clone(&batch)).await;
        if let Some(taken) = lock(&batch.taken).take() {
            share(taken.askers, &answer);
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

/// Gives each caller the result of its key. A failed call is one failure, however many callers it had: one caller
/// gets the error, the others only retry later.
fn share<K: Eq + Hash, V: Clone>(askers: Vec<Asker<K, V>>, answer: &Answers<K, V>) {
    let has_it = askers.iter().position(|(_, sender)| !sender.is_closed());
    for (index, (key, sender)) in askers.into_iter().enumerate() {
        let answer = match answer {
            Ok(answers) => Ok(answers.get(&key).cloned()),
            Err(error) if has_it == Some(index) => Err(error.clone()),
            Err(error) => Err(shared(error)),
        };
        // A caller that was cancelled does not need it.
        let _ = sender.send(answer);
    }
}

/// The error for the callers that do not get the call's own.
fn shared(error: &BynderError) -> BynderError {
    match error {
        BynderError::Paused { .. } => error.clone(),
        BynderError::BatchFailed { .. }
        | BynderError::Withheld { .. }
        | BynderError::Unauthorized { .. }
        | BynderError::Forbidden { .. }
        | BynderError::NotFound { .. }
        | BynderError::Refused { .. }
        | BynderError::Unavailable { .. }
        | BynderError::Unexpected { .. }
        | BynderError::Misconfigured { .. }
        | BynderError::Local { .. } => BynderError::BatchFailed { reason: error.to_string() },
    }
}

/// Whether the error may be about one of the keys and not about the call.
fn concerns_one(error: &BynderError) -> bool {
    match error {
        BynderError::NotFound { .. } | BynderError::Refused { .. } => true,
        BynderError::Paused { .. }
        | BynderError::BatchFailed { .. }
        | BynderError::Withheld { .. }
        | BynderError::Unauthorized { .. }
        | BynderError::Forbidden { .. }
        | BynderError::Unavailable { .. }
        | BynderError::Unexpected { .. }
        | BynderError::Misconfigured { .. }
        | BynderError::Local { .. } => false,
    }
}

/// How long a call of this lane waits for others to join, if calls are this `interval` apart.
pub(super) fn gathering(lane: Lane, interval: Duration) -> Duration {
    (interval * worth_calls(lane)).clamp(SHORTEST_GATHERING, longest_gathering(lane))
}

fn abandoned() -> BynderError {
    BynderError::BatchFailed { reason: "it was given up before it was answered".to_owned() }
}

/// Fails the callers that still wait if the task panics: nothing else would call for them.
struct Leader<K, V>(Batcher<K, V>);

impl<K, V> Drop for Leader<K, V> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            lock(&self.0.waiting).clear();
        }
    }
}

impl<K, V> Batch<K, V>
where
    K: Clone + Eq + Hash + Send + Sync + 'static,
    V: Clone + Send + 'static,
{
    /// The keys to request: fixed at the first call of this function.
    pub(super) fn keys(&self) -> Vec<K> {
        let mut taken = lock(&self.taken);
        let taken = taken.get_or_insert_with(|| self.waiting.take());
        taken.askers.iter().map(|(key, _)| key.clone()).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K, V> Clone for Batcher<K, V> {
    fn clone(&self) -> Self {
        Self { waiting: Arc::clone(&self.waiting) }
    }
}

impl<K, V> Default for Batcher<K, V> {
    fn default() -> Self {
        Self { waiting: Arc::default() }
    }
}

impl<K, V> fmt::Debug for Batcher<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Batcher")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use http_client::Sent;

    fn refused() -> BynderError {
        BynderError::Refused { operation: "o".to_owned(), status: 400, message: "no".to_owned() }
    }

    fn unavailable() -> BynderError {
        BynderError::Unavailable { operation: "o".to_owned(), reason: "503".to_owned(), sent: Sent::Maybe }
    }

    /// The result of each of these keys and the number of calls, with a portal that responds to a batch like this.
    async fn asked(
        keys: std::ops::Range<u32>,
        portal: fn(&[u32]) -> Answers<u32, u32>,
    ) -> (Vec<Answer<u32>>, u32) {
        let (together, calls) = (Batcher::<u32, u32>::default(), Arc::new(AtomicU32::new(0)));
        let asking = keys.map(|key| {
            let calls = Arc::clone(&calls);
            together.ask(key, SHORTEST_GATHERING, move |batch: Arc<Batch<u32, u32>>| {
                calls.fetch_add(1, Ordering::Relaxed);
                async move { portal(&batch.keys()) }
            })
        });
        let answers = futures::future::join_all(asking).await;
        (answers, calls.load(Ordering::Relaxed))
    }

    #[test]
    fn others_are_waited_for_the_longer_the_scarcer_calls_are_and_in_the_backlog_longest() {
        let of_budget = |lane, requests: u32| gathering(lane, Duration::from_mins(5) / requests).as_millis();
        let table = [(400, 250, 2000), (4000, 250, 2000), (24_000, 50, 400), (u32::MAX, 10, 10)];
        for (requests, fresh, backlog) in table {
            assert_eq!(
                (of_budget(Lane::Fresh, requests), of_budget(Lane::Backlog, requests)),
                (fresh, backlog)
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn many_share_a_call_and_each_has_its_own_answer() {
        let (answers, calls) = asked(0..120, |keys| {
            Ok(keys.iter().filter(|key| **key != 7).map(|key| (*key, key * 2)).collect())
        })
        .await;
        assert_eq!(calls, 3);
        for (key, answer) in (0..).zip(answers) {
            assert_eq!(answer, Ok((key != 7).then_some(key * 2)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_fails_is_one_askers_failure_and_the_others_come_back() {
        let (answers, calls) = asked(0..30, |_| Err(unavailable())).await;
        assert_eq!(calls, 1);
        let own = answers.iter().filter(|answer| **answer == Err(unavailable())).count();
        let shared =
            answers.iter().filter(|answer| matches!(answer, Err(BynderError::BatchFailed { .. }))).count();
        assert_eq!((own, shared), (1, 29));
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_portal_has_against_one_is_not_held_against_the_others() {
        let (answers, calls) = asked(0..5, |keys| match keys {
            [3] => Err(refused()),
            [key] => Ok(HashMap::from([(*key, *key)])),
            _ => Err(refused()),
        })
        .await;
        assert_eq!(calls, 6);
        assert_eq!(answers, [Ok(Some(0)), Ok(Some(1)), Ok(Some(2)), Err(refused()), Ok(Some(4))]);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever_for_a_call_that_broke_off() {
        let (answers, _) = asked(0..60, |_| panic!("broken off")).await;
        assert!(answers.iter().all(|answer| matches!(answer, Err(BynderError::BatchFailed { .. }))));
    }
}
