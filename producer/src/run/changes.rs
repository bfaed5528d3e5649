//! A scheduled delta run: the newest changes first, and no more of them than workers begin within about a minute.
//!
//! A bulk change of thousands of assets must not delay the picture that is uploaded next. So the run reads all that changed before it
//! publishes anything, and leaves what exceeds the lane to the next run: the cursor then stays, and that run sees it again.

use std::cmp::Reverse;

use common::asset::Asset;
use common::job::Lane;

use super::{Cause, Fate, Run, RunCounts, RunError};
use crate::select::{Decision, SkipReason};

/// Changes within the overlap above which a run publishes in the order of the listing and waits for the queue: reading all of them
/// again for each run would use up the request budget.
const MOST_CHANGES: u64 = 20_000;

/// The newest changes that need a job, at most twice as many as one run publishes: a row may be large.
struct Newest {
    most: usize,
    assets: Vec<(Asset, Cause)>,
    dropped: u64,
}

impl Newest {
    fn new(most: u64) -> Self {
        Self { most: usize::try_from(most).unwrap_or(usize::MAX), assets: Vec::new(), dropped: 0 }
    }

    fn keep(&mut self, asset: Asset, cause: Cause) {
        self.assets.push((asset, cause));
        if self.assets.len() >= self.most.saturating_mul(2) {
            self.sort();
            self.dropped += self.assets.drain(self.most..).count() as u64;
        }
    }

    fn sort(&mut self) {
        self.assets.sort_by_key(|(asset, _)| Reverse(asset.modified));
    }
}

impl Run<'_> {
    /// How many jobs of the lane may wait for a worker, if this run publishes the newest first.
    pub(super) fn most_fresh(&self) -> Option<u64> {
        let first = self.first.as_ref()?;
        let is_short = first.next.is_none() || first.total.is_some_and(|total| total <= MOST_CHANGES);
        self.options.most_fresh.filter(|_| is_short && self.options.scope.lane() == Lane::Fresh)
    }

    /// Publishes the newest changes while fewer than `most` jobs of the lane wait for a worker.
    pub(super) async fn publish_newest(
        &mut self,
        most: u64,
        observe: &impl Fn(&RunCounts),
    ) -> Result<(), RunError> {
        let mut newest = Newest::new(most);
        while let Some(step) = self.next_page().await? {
            self.saw(&step);
            for asset in step.assets {
                self.go_on()?;
                if self.taken_up.contains(&asset.id) {
                    continue;
                }
                let cause = self.cause(&asset);
                match self.row_decision(&asset, Lane::Fresh, cause).await? {
                    Decision::Skip(_) => drop(self.consider(&asset, Lane::Fresh, cause).await?),
                    _ => newest.keep(asset, cause),
                }
            }
            observe(&self.found);
            if self.found.listed > 2 * MOST_CHANGES {
                // The portal's count was wrong. The cursor stays, and later runs get further.
                newest.dropped += 1;
                break;
            }
        }
        newest.sort();
        let mut room = 0;
        if !newest.assets.is_empty() {
            let depth = self.patiently(async || self.environment.queue.depth().await).await?;
            room = most.saturating_sub(depth.submit_fresh);
        }
        let mut postponed = newest.dropped;
        for (asset, cause) in newest.assets {
            self.go_on()?;
            if self.found.published >= room {
                postponed += 1;
                continue;
            }
            if self.consider(&asset, Lane::Fresh, cause).await? == Fate::Limited {
                break;
            }
        }
        if postponed > 0 {
            tracing::info!(
                assets = postponed,
                "more has changed than is worked on within a minute; the newest go first, the rest follows with the next runs"
            );
            self.found.skipped.insert(SkipReason::Postponed, postponed);
        }
        observe(&self.found);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use common::asset::samples;
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn the_newest_are_kept_and_the_rest_is_counted() {
        const MOST: u64 = 50;
        let mut newest = Newest::new(MOST);
        let all = 3 * MOST as i64;
        for second in 0..all {
            let modified = Timestamp::from_second(second).unwrap();
            newest.keep(Asset { modified, ..samples::asset() }, Cause::Walked);
        }
        newest.sort();
        let seconds: Vec<_> = newest.assets.iter().map(|(asset, _)| asset.modified.as_second()).collect();
        assert!(seconds.is_sorted_by(|one, next| one > next) && seconds[0] == all - 1);
        assert_eq!(newest.dropped + seconds.len() as u64, 3 * MOST);
        assert!(seconds.len() as u64 >= MOST && (seconds.len() as u64) < 2 * MOST);
    }
}
