//! Counting requests and what they move.

use std::fmt;
use std::time::Duration;

use super::{Direction, Operation, Peer, StatusClass};

/// Counts what a [`super::Transport`] does.
pub trait RequestObserver: fmt::Debug + Send + Sync {
    /// A request was answered, or was not.
    fn request_ended(&self, operation: Operation, class: StatusClass, took: Duration);

    /// A piece of a file went to a service or came from it.
    fn bytes_moved(&self, peer: Peer, direction: Direction, bytes: u64);
}

/// Watches nothing.
impl RequestObserver for () {
    fn request_ended(&self, _: Operation, _: StatusClass, _: Duration) {}

    fn bytes_moved(&self, _: Peer, _: Direction, _: u64) {}
}
