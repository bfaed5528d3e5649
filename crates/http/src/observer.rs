//! Counts requests and transferred bytes.

use std::fmt;
use std::time::Duration;

use super::{Direction, Operation, Peer, StatusClass};

/// Counts what a [`super::Transport`] does.
pub trait RequestObserver: fmt::Debug + Send + Sync {
    /// A request ended, with or without a response.
    fn request_ended(&self, operation: Operation, class: StatusClass, took: Duration);

    /// A piece of a file was sent to a service or received from it.
    fn bytes_moved(&self, peer: Peer, direction: Direction, bytes: u64);
}

/// Counts nothing.
impl RequestObserver for () {
    fn request_ended(&self, _: Operation, _: StatusClass, _: Duration) {}

    fn bytes_moved(&self, _: Peer, _: Direction, _: u64) {}
}
