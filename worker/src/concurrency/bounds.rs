//! Between which numbers the permits may vary.

/// The fewest permits: one for submits, and enough for later steps that one long transfer does not stop them.
const LEAST: usize = 4;
/// The permits at the start, if the configuration names no number.
const START: usize = 16;
/// The most permits, if the configuration names no number. Their steps fit into the memory of a worker, and their
/// consumers do not strain a broker.
const MOST: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) least: usize,
    pub(super) start: usize,
    pub(super) most: usize,
}

impl Bounds {
    /// `configured` is `worker.concurrency`: never more than that, and that many from the start.
    pub(super) fn new(configured: Option<usize>) -> Self {
        match configured {
            Some(most) => Self { least: LEAST.min(most), start: most, most },
            None => Self { least: LEAST, start: START, most: MOST },
        }
    }
}
