//! A person's pause as a member finds it: obeyed where a process of this fleet wrote it.

use std::time::Duration;

use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions};

use super::super::QueueError;
use super::authentic::Signer;
use super::group::is_there;
use super::link::answered;
use super::message::small;
use super::{EgressGroup, Topology};
use crate::budget::OperatorPause;

/// Looks at a queue that seems empty before a pause counts as over: it does while another process reads its message.
const LOOKS: u32 = 3;
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A person's pause as its message has it; one that cannot be read is a pause all the same. `None` where no process of this
/// fleet wrote it.
pub(super) fn pause_in(
    signer: &Signer,
    topology: &Topology,
    message: &lapin::message::Delivery,
) -> Option<OperatorPause> {
    let is_authentic = signer.accepts(&[topology.pause_of_operator()], &message.properties, &message.data);
    let unreadable = |_| OperatorPause { since: jiff::Timestamp::UNIX_EPOCH, reason: None };
    is_authentic.then(|| small(&message.data).unwrap_or_else(unreadable))
}

impl EgressGroup {
    /// A person's pause, if there is one. One that is known stays known as it was; one that is not authentic is set aside.
    pub(super) async fn operator_pause(
        &self,
        observer: &Channel,
        known: Option<OperatorPause>,
    ) -> Result<Option<OperatorPause>, QueueError> {
        let queue = || self.shared.topology.pause_of_operator();
        if let Some(known) = known {
            for _ in 0..LOOKS {
                if is_there(observer, queue()).await? {
                    return Ok(Some(known));
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            return Ok(None);
        }
        if !is_there(observer, queue()).await? {
            return Ok(None);
        }
        let Some(got) = answered(observer.basic_get(queue(), BasicGetOptions::default())).await? else {
            // Another process reads it right now.
            return Ok(Some(OperatorPause { since: jiff::Timestamp::now(), reason: None }));
        };
        let message = got.delivery;
        let pause = pause_in(&self.shared.signer, &self.shared.topology, &message);
        if pause.is_some() {
            let back = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
            answered(message.acker.nack(back)).await?;
        } else {
            self.shared.set_aside(&message.data, "a pause is not signed by a key of this fleet").await?;
            answered(message.acker.ack(BasicAckOptions::default())).await?;
        }
        Ok(pause)
    }
}
