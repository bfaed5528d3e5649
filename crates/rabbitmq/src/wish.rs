//! A person's pause as found on the broker; obeyed only if a process of this fleet wrote it.

use super::authentic::Signer;
use super::message::small;
use super::topology::Topology;
use budget::OperatorPause;

/// Reads a pause from its message. An unreadable pause is a pause all the same. `None` if no process of this fleet
/// wrote it.
pub(super) fn pause_in(
    signer: &Signer,
    topology: &Topology,
    message: &lapin::message::Delivery,
) -> Option<OperatorPause> {
    let is_authentic = signer.accepts(&[topology.pause_of_operator()], &message.properties, &message.data);
    let unreadable = |_| OperatorPause { since: jiff::Timestamp::UNIX_EPOCH, reason: None };
    is_authentic.then(|| small(&message.data).unwrap_or_else(unreadable))
}
