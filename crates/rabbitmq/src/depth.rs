//! Counts the jobs in each state, from the broker's queues and the announcements of the deployment's processes.

use std::sync::atomic::Ordering;
use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::{FieldTable, ShortString};

use super::topology::WORK;
use super::{Broker, Connections};
use amqp::{ANSWER, answered};
use ledger::QueueCheck;
use queue::{Depth, QueueError};

/// Every process announces itself within this time.
const HANDS_KNOWN: Duration = Duration::from_secs(6);
const POLL_EVERY: Duration = Duration::from_millis(200);

impl Broker {
    /// Counts the jobs in each state; jobs in hand are counted for this process only.
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn depth(&self) -> Result<Depth, QueueError> {
        self.shared.depth().await
    }

    /// Deliveries in the hands of all processes of this deployment; `None` while that is unknown. The broker shows only
    /// messages that are ready.
    pub fn in_hand(&self) -> Option<u64> {
        self.shared.crew.in_hand()
    }

    /// Checks every place where a job can be: the queues, including the wait queues and the dead letters, and the hands
    /// of this deployment's processes.
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn check_queues(&self) -> Result<QueueCheck, QueueError> {
        let is_empty = async || {
            let depth = self.depth().await?;
            let dead = self.shared.ready_in(self.shared.topology.dead()).await?;
            Ok::<_, QueueError>(depth.open() == 0 && dead == 0)
        };
        if !is_empty().await? {
            return Ok(QueueCheck::Busy);
        }
        let known = async {
            loop {
                match self.in_hand() {
                    Some(jobs) => break jobs,
                    None => tokio::time::sleep(POLL_EVERY).await,
                }
            }
        };
        // Processes of an earlier release never announce this.
        let hands = tokio::time::timeout(HANDS_KNOWN, known).await;
        // Jobs that were in hand may be in a queue by now. And a node cut off from the others reports its queues as
        // empty.
        let is_empty = hands == Ok(0) && is_empty().await? && self.shared.contact.check().is_ok();
        Ok(if is_empty { QueueCheck::Empty } else { QueueCheck::Busy })
    }
}

impl Connections {
    pub(super) async fn depth(&self) -> Result<Depth, QueueError> {
        let mut depth = Depth { in_flight: self.in_hand.load(Ordering::Relaxed), ..Depth::default() };
        for (step, lane) in WORK {
            depth.add_ready(step, lane, self.ready_in(self.topology.work(step, lane)).await?);
        }
        for wait in self.topology.waits() {
            depth.waiting += self.ready_in(wait).await?;
        }
        depth.failed = self.ready_in(self.topology.failed()).await?;
        Ok(depth)
    }

    async fn ready_in(&self, queue: ShortString) -> Result<u64, QueueError> {
        // The channel is reused, since counts are frequent, and dropped after any error: a late answer would be taken
        // for the next one.
        let mut kept = self.counting.lock().await;
        let known =
            kept.take().filter(|(live, channel)| !live.lost.is_cancelled() && channel.status().connected());
        let (live, channel) = if let Some(known) = known {
            known
        } else {
            let live = self.consume_link.wait(ANSWER).await?;
            let channel = live.channel().await?;
            (live, channel)
        };
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
        let found = answered(channel.queue_declare(queue, passive, FieldTable::default())).await?;
        *kept = Some((live, channel));
        Ok(u64::from(found.message_count()))
    }
}
