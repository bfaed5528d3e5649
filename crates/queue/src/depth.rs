//! The depth of the queue.

use serde::Serialize;

use common::job::{Lane, Step};

/// Number of jobs by where they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Depth {
    /// Ready to submit, fresh lane.
    pub submit_fresh: u64,
    /// Ready to submit, backlog.
    pub submit_backlog: u64,
    /// Ready to transfer.
    pub transfer: u64,
    /// Ready to save.
    pub save: u64,
    /// Not due yet, at any step.
    pub waiting: u64,
    /// Delivered and not settled.
    pub in_flight: u64,
    pub failed: u64,
}

impl Depth {
    /// Jobs that have no outcome yet.
    pub fn open(&self) -> u64 {
        self.submit_fresh + self.submit_backlog + self.transfer + self.save + self.waiting + self.in_flight
    }

    pub fn add_ready(&mut self, step: Step, lane: Lane, count: u64) {
        match (step, lane) {
            (Step::Submit, Lane::Fresh) => self.submit_fresh += count,
            (Step::Submit, Lane::Backlog) => self.submit_backlog += count,
            (Step::Transfer, _) => self.transfer += count,
            (Step::Save, _) => self.save += count,
        }
    }
}
