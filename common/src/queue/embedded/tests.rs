use super::*;
use crate::job::{Lane, RunId};
use crate::queue::conformance::{Harness, check_all};

/// Keeps the directory as long as the queue.
struct Held {
    queue: EmbeddedQueue,
    directory: Arc<tempfile::TempDir>,
}

#[async_trait]
impl Harness for Mutex<Vec<Held>> {
    async fn open(&self) -> Arc<dyn JobQueue> {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let queue = EmbeddedQueue::open(State::open(directory.path()).unwrap()).await.unwrap();
        lock(self).push(Held { queue: queue.clone(), directory });
        Arc::new(queue)
    }

    async fn crash_and_reopen(&self, queue: Arc<dyn JobQueue>) -> Arc<dyn JobQueue> {
        drop(queue);
        let Held { queue, directory } = lock(self).pop().unwrap();
        // The forgotten delivery still holds the old state, so the new one is opened past the lock, as if its
        // holder had died.
        drop(queue);
        std::fs::remove_file(directory.path().join("lock")).unwrap();
        let queue = EmbeddedQueue::open(State::open(directory.path()).unwrap()).await.unwrap();
        lock(self).push(Held { queue: queue.clone(), directory });
        Arc::new(queue)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_queue_keeps_every_law() {
    check_all(&Mutex::new(Vec::<Held>::new())).await;
}

#[tokio::test]
async fn a_message_that_cannot_be_read_fails_with_an_outcome_and_stops_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let state = State::open(directory.path()).unwrap();
    let queue = EmbeddedQueue::open(state.clone()).await.unwrap();
    for number in 0..2 {
        let asset = format!("A{number}").parse().unwrap();
        let job = Job::new(RunId("r".to_owned()), asset, "", Lane::Fresh, 1, None, Timestamp::now());
        queue.publish(&job).await.unwrap();
    }
    let damage = "UPDATE jobs SET body = 'garbage' WHERE asset_id = 'A0'";
    state.write(move |transaction| Ok(transaction.execute(damage, [])?)).await.unwrap();
    assert_eq!(queue.next(StepSet::ALL).await.unwrap().job.asset_id.as_str(), "A1");
    let failed = queue.failed(&FailedFilter::default()).await.unwrap();
    assert_eq!(failed.len(), 1);
    assert!(failed[0].job.is_none());
    assert_eq!(failed[0].event.outcome.name(), "failed");
}
