//! The queue on a real broker keeps the same laws as the embedded one.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::ledger::Ledger;
use common::queue::conformance::{Harness, check_all};
use common::queue::rabbitmq::Settings;
use common::queue::{JobQueue, RabbitQueue};
use common::state::State;

use crate::harness::broker::Broker;

const PATIENCE: Duration = Duration::from_secs(30);

/// Opens queues under names of their own, each with a ledger as a producer has one.
#[derive(Default)]
struct Broken {
    number: AtomicU32,
    latest: Mutex<Option<(Settings, Ledger, RabbitQueue)>>,
}

async fn settings(prefix: String) -> Settings {
    Settings {
        url: Broker::shared().await.url().into(),
        authority: None,
        prefix,
        rungs: [5, 300].map(Duration::from_millis).to_vec(),
        program: "test".to_owned(),
    }
}

#[async_trait::async_trait]
impl Harness for Broken {
    async fn open(&self) -> Arc<dyn JobQueue> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let settings = settings(format!("laws{number}")).await;
        let directory = tempfile::tempdir().unwrap().keep();
        let ledger = Ledger::new(State::open(&directory).unwrap());
        let queue = RabbitQueue::open(&settings, Some(ledger.clone()), PATIENCE).await.unwrap();
        *self.latest.lock().unwrap() = Some((settings, ledger, queue.clone()));
        Arc::new(queue)
    }

    async fn crash_and_reopen(&self, queue: Arc<dyn JobQueue>) -> Arc<dyn JobQueue> {
        drop(queue);
        let (settings, ledger, old) = self.latest.lock().unwrap().take().unwrap();
        // What a dead process leaves is connections that end without a word.
        drop(old);
        let queue = RabbitQueue::open(&settings, Some(ledger.clone()), PATIENCE).await.unwrap();
        *self.latest.lock().unwrap() = Some((settings, ledger, queue.clone()));
        Arc::new(queue)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_on_a_broker_keeps_every_law() {
    check_all(&Broken::default()).await;
}
