//! Runs that publish at the same time, without a portal.

use std::sync::Mutex;

use async_trait::async_trait;
use budget::Budget;
use bynder::Metaproperty;
use common::asset::samples;
use common::job::Job;
use config::Config;
use ledger::state::State;
use queue::{Depth, EmbeddedQueue, QueueError};
use wiring::WrittenFields;

use super::*;
use crate::portal::Resolved;
use crate::wiring::Queues;

/// A queue to which another run publishes a job while a run waits for room.
struct Meanwhile {
    queue: EmbeddedQueue,
    job: Mutex<Option<Job>>,
}

#[async_trait]
impl JobPublisher for Meanwhile {
    async fn publish(&self, job: &Job) -> Result<(), QueueError> {
        self.queue.publish(job).await
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        let job = self.job.lock().unwrap().take();
        if let Some(job) = job {
            self.queue.publish(&job).await?;
        }
        self.queue.depth().await
    }
}

fn job_of(asset: &Asset, lane: Lane) -> Job {
    Job::new(RunId("other".to_owned()), asset.id.clone(), "", lane, 1, None, Timestamp::now())
}

async fn environment(meanwhile: Job) -> Environment {
    let file = "bynder = { domain = 'acme.bynder.com', hash_metaproperty = 'h', api_token = 't' }\n\
                imatag = { directory = 'd', api_key = 'k' }";
    let config = Config::parse(file).unwrap();
    let metrics = Metrics::new();
    let bynder =
        wiring::bynder(&config, &Budget::alone(std::num::NonZero::new(4000).unwrap(), None), &metrics)
            .unwrap();
    let state = State::in_memory().unwrap();
    let queue = EmbeddedQueue::open(state.clone()).await.unwrap();
    let hash: Metaproperty = serde_json::from_str(r#"{"id": "1", "name": "h"}"#).unwrap();
    let resolved = Resolved {
        filter: Filter::default(),
        destinations: Destinations::resolve(&config.imatag, &bynder, &[]).await.unwrap(),
        fields: WrittenFields { hash, status: None, link: None },
        metaproperties: Vec::new(),
    };
    let jobs = Arc::new(Meanwhile { queue: queue.clone(), job: Mutex::new(Some(meanwhile)) });
    let queues = Queues { jobs, failed: Arc::new(queue) };
    crate::wiring::environment(&config, bynder, Ledger::new(state), queues, resolved, metrics)
}

/// A run that has not asked the portal for anything yet.
async fn run_of<'a>(environment: &'a Environment, options: &'a Options, patience: &'a Patience) -> Run<'a> {
    let (id, ledger) = (RunId("run".to_owned()), &environment.ledger);
    let day = Arc::clone(&environment.day);
    let allowance = Allowance::of(&id, &environment.limits, None, None, ledger, day).await.unwrap();
    let stretch = Stretch { field: DateField::Created, from: None, to: None };
    let requests = environment.filter.push_down();
    Run {
        environment,
        options,
        patience,
        id,
        walked: Walked {
            scope: options.scope,
            started: Timestamp::now(),
            by_portal: true,
            latest_change: None,
        },
        cursor: None,
        walk: Walk::new(environment.bynder.clone(), requests, stretch, Duration::ZERO, None),
        first: None,
        found: RunCounts::default(),
        allowance,
        named: RequestedIds::default(),
        recorded: 0,
        taken_up: HashMap::new(),
        census: None,
        is_page_again: false,
    }
}

#[tokio::test]
async fn an_asset_that_gets_a_job_from_another_run_during_the_wait_for_room_gets_no_second_one() {
    for (lane, others, fate) in [
        (Lane::Backlog, Lane::Fresh, Fate::Left(SkipReason::JobOpen)),
        (Lane::Backlog, Lane::Backlog, Fate::Left(SkipReason::JobOpen)),
        // A job that waits in the backlog does not delay a change.
        (Lane::Fresh, Lane::Backlog, Fate::Published),
    ] {
        let asset = samples::asset();
        let environment = environment(job_of(&asset, others)).await;
        let (options, patience) = (Options::default(), Patience::brief());
        let mut run = run_of(&environment, &options, &patience).await;
        let known = run.known_of(std::slice::from_ref(&asset)).await.unwrap();
        assert!(known.is_empty());
        let found = run.consider_row(&asset, lane, Cause::Walked, ledger::Known::default()).await.unwrap();
        assert_eq!(found, fate, "{others:?} meanwhile");
        let published = if fate == Fate::Published { 2 } else { 1 };
        assert_eq!(environment.queue.depth().await.unwrap().open(), published, "{others:?} meanwhile");
        assert_eq!(run.found.published, published - 1);
    }
}
