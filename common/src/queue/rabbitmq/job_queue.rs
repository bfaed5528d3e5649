//! The queue's laws, kept with what the other modules provide.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use lapin::types::ShortString;

use super::super::{
    Delivery, Depth, FailedFilter, FailedJob, JobQueue, LONGEST_HELD, Lease, QueueError, Settlement, StepSet,
    Unrenewed,
};
use super::message::Failed;
use super::topology::Topology;
use super::{RabbitQueue, Ticket, take};
use crate::asset::AssetId;
use crate::fault;
use crate::job::{Job, JobId, Lane, Step};
use crate::ledger::Intent;

#[async_trait]
impl JobQueue for RabbitQueue {
    async fn publish(&self, job: &Job) -> Result<(), QueueError> {
        let Some(ledger) = &self.ledger else {
            return Err(QueueError::Broken("only a producer publishes new jobs".to_owned()));
        };
        let mut job = job.clone();
        match ledger.intend(&job).await? {
            Intent::Confirmed => return Ok(()),
            // It may be there already; two of a kind have to look before they act.
            Intent::Unconfirmed => job.suspect = true,
            Intent::New => {}
        }
        fault::crash_point("publish.before");
        let job_id = job.job_id.clone();
        self.publish_job(job, None).await?;
        fault::crash_point("publish.confirmed");
        ledger.confirm(&job_id).await?;
        Ok(())
    }

    async fn next(&self, steps: StepSet) -> Result<Delivery, QueueError> {
        let queues = queues(&self.topology, steps);
        loop {
            // What is taken now could not be handed on.
            self.publisher.unblocked().await?;
            let taken = self.work.next(&queues).await?;
            match Job::decode(&taken.message.data) {
                Ok(job) => return Ok(self.delivery(job, taken)),
                Err(error) => {
                    tracing::warn!(%error, "a message that is no job goes to the dead letters");
                    let id = taken.message.properties.message_id().as_ref().map(ShortString::as_str);
                    let id = Failed::unreadable(&taken.message.data, id, &error).event.job_id;
                    // On a task of its own: this may be cancelled, and the message would be lost sight of.
                    let queue = self.clone();
                    let buried = tokio::spawn(async move {
                        let (dead, body) = (queue.topology.dead(), taken.message.data.clone());
                        let sent = queue.to_queue(dead, &id, body).await;
                        if sent.is_err() || taken.acknowledge().await.is_err() {
                            taken.give_back().await;
                        }
                        sent
                    });
                    buried.await.map_err(|error| QueueError::Broken(error.to_string()))??;
                }
            }
        }
    }

    async fn settle(&self, delivery: Delivery, settlement: Settlement) -> Result<(), QueueError> {
        let Delivery { receipt, ticket, .. } = delivery;
        // The step may have taken hours: the broker is waited for as long as the delivery may be held.
        if let Some(taken) = ticket.as_ref().and_then(Ticket::taken) {
            tokio::select! {
                open = self.publisher.unblocked_until(taken.at + LONGEST_HELD) => open?,
                () = taken.lost.cancelled() => {}
            }
        }
        if !ticket.as_ref().is_some_and(Ticket::is_valid) {
            // Another worker gets this job; publishing its successor would make two of it.
            return Err(QueueError::Unavailable("the delivery was void before the step ended".to_owned()));
        }
        fault::crash_point("settle.before");
        match settlement {
            Settlement::Forward(job) => self.publish_job(*job, None).await?,
            Settlement::Wait { job, rung } => self.publish_job(*job, Some(rung)).await?,
            Settlement::Finish(event) => self.report(&event).await?,
            Settlement::Fail { job, event } => {
                let failed = Failed { event: *event, job: Some(*job), unreadable: None };
                self.to_queue(self.topology.failed(), &failed.event.job_id, failed.encode()?).await?;
                self.report(&failed.event).await?;
            }
        }
        fault::crash_point("settle.published");
        let taken = ticket.and_then(|ticket| take(&ticket.taken));
        drop(receipt);
        match taken {
            Some(taken) => taken.acknowledge().await?,
            None => return Err(QueueError::Broken("the delivery was settled before".to_owned())),
        }
        fault::crash_point("settle.acknowledged");
        Ok(())
    }

    async fn lease(&self, asset: &AssetId) -> Result<Option<Lease>, QueueError> {
        self.leases.take(asset).await
    }

    async fn depth(&self) -> Result<Depth, QueueError> {
        let mut depth = Depth { in_flight: self.in_flight.load(Ordering::Relaxed), ..Depth::default() };
        for (step, lane) in WORK {
            depth.add_ready(step, lane, self.ready_in(self.topology.work(step, lane)).await?);
        }
        for wait in self.topology.waits() {
            depth.waiting += self.ready_in(wait).await?;
        }
        depth.failed = self.ready_in(self.topology.failed()).await?;
        Ok(depth)
    }

    async fn failed(&self, filter: &FailedFilter) -> Result<Vec<FailedJob>, QueueError> {
        self.pass().await?.list(filter).await
    }

    async fn replay(&self, jobs: &HashSet<JobId>) -> Result<u64, QueueError> {
        self.pass().await?.replay(jobs).await
    }

    async fn discard(&self, jobs: &HashSet<JobId>) -> Result<u64, QueueError> {
        self.pass().await?.discard(jobs).await
    }

    fn contact(&self) -> Result<(), QueueError> {
        self.contact.check()
    }

    async fn renew(&self, delivery: Delivery) -> Result<Delivery, Unrenewed> {
        let old = delivery.ticket.as_ref().and_then(Ticket::taken);
        let exchanged = match &old {
            Some(old) => self.exchange(old, &delivery.job).await,
            None => Err(QueueError::Broken("the delivery was settled before".to_owned())),
        };
        match exchanged {
            Ok(taken) => {
                // It was acknowledged, so there is nothing to give back.
                drop(delivery.ticket.as_ref().and_then(|ticket| take(&ticket.taken)));
                Ok(self.delivery(delivery.job, taken))
            }
            Err(error) => Err(Unrenewed { delivery: Box::new(delivery), error }),
        }
    }
}

/// The work queues, the one to prefer first.
pub(super) const WORK: [(Step, Lane); 4] = [
    (Step::Save, Lane::Fresh),
    (Step::Transfer, Lane::Fresh),
    (Step::Submit, Lane::Fresh),
    (Step::Submit, Lane::Backlog),
];

fn queues(topology: &Topology, steps: StepSet) -> Vec<ShortString> {
    let wanted = WORK.into_iter().filter(|(step, lane)| steps.holds(*step, *lane));
    wanted.map(|(step, lane)| topology.work(step, lane)).collect()
}
