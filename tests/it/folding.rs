//! Taking outcomes from the broker into the ledger.

use common::outcome::Outcome;
use futures::FutureExt;
use ledger::Ledger;
use ledger::state::State;
use queue::{JobConsumer, JobPublisher, Settlement, StepSet};

use crate::queue::{PATIENCE, settings};

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_that_the_ledger_could_not_take_in_come_again() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(State::open(directory.path()).unwrap());
    let settings = settings("fold".to_owned()).await;
    let broker = rabbitmq::Broker::open(&settings, PATIENCE).await.unwrap();
    let (publisher, consumer) = (broker.publisher(ledger.clone()), broker.consumer());
    let outcomes = broker.outcomes();
    let end = async |id: &str| {
        publisher.publish(&crate::broker_faults::job(id)).await.unwrap();
        let delivery = consumer.next(StepSet::ALL).await.unwrap();
        let event = delivery.job.ended(Outcome::Gone, jiff::Timestamp::now());
        consumer.settle(delivery, Settlement::Finish(Box::new(event))).await.unwrap();
    };
    end("A1").await;
    let full = Ledger::new(State::open_to_read(directory.path()).unwrap().unwrap());
    assert!(outcomes.fold_into(&full).await.is_err());
    end("A2").await;
    while outcomes.fold_into(&ledger).await.unwrap() > 0 {}
    for id in ["A1", "A2"] {
        assert_eq!(ledger.outcomes_of(&id.parse().unwrap()).await.unwrap().len(), 1, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_took_the_outcomes_in_waits_for_the_next_without_asking_the_broker_again() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::new(State::open(directory.path()).unwrap());
    let settings = settings("folded".to_owned()).await;
    let broker = rabbitmq::Broker::open(&settings, PATIENCE).await.unwrap();
    let outcomes = broker.outcomes();
    assert_eq!(outcomes.fold_into(&ledger).await.unwrap(), 0);
    assert!(outcomes.wait().now_or_never().is_none());
    // Another that wants to take them in is not kept waiting by it.
    let (waited, folded) = tokio::join!(outcomes.wait(), outcomes.fold_into(&ledger));
    waited.unwrap();
    assert_eq!(folded.unwrap(), 0);
}
