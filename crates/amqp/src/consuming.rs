//! Starts consumers, and leaves no unread one behind.

use futures::TryFutureExt;
use lapin::options::BasicConsumeOptions;
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Consumer};

use super::connection::{ANSWER, answered};
use queue::QueueError;

/// Starts a consumer. If the answer does not come in time, the channel is closed.
pub async fn consume(
    channel: &Channel,
    queue: ShortString,
    tag: ShortString,
    arguments: FieldTable,
) -> Result<Consumer, QueueError> {
    let consuming = channel.basic_consume(queue, tag, BasicConsumeOptions::default(), arguments);
    answered(consuming).inspect_err(|_| close(channel)).await
}

/// Closes a channel on which an answer is outstanding. A consumer that starts late would take messages and never return
/// them, or lock every other process out of an exclusive queue.
pub fn close(channel: &Channel) {
    let channel = channel.clone();
    tasks::brief(async move {
        let _ = tokio::time::timeout(ANSWER, channel.close(200, "done".into())).await;
    });
}
