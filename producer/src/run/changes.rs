//! A scheduled delta run: the newest changes first, and no more of them than workers begin within about a minute.
//!
//! A bulk change of thousands of assets must not delay the picture that is uploaded next. So the run reads all that changed before it
//! publishes anything, and leaves what exceeds the lane to the next run: the cursor then stays, and that run sees it again.

use std::cmp::Reverse;

use bynder::MOST_IDS;
use common::asset::{Asset, AssetId};
use common::job::Lane;
use jiff::Timestamp;

use super::{Fate, Run, RunCounts, RunError};
use crate::enumerate::Step;
use crate::filter::digits;
use crate::select::{Decision, SkipReason};

/// More changes since the cursor, less the overlap, are not all read for each run, which would use up the request budget.
const MOST_CHANGES: u64 = 20_000;
/// Of more changes, this many pages of the newest are read.
const MOST_PAGES: u32 = 20;

/// A change that needs a job. Its row is listed again when it is published: a row may be large.
struct Change {
    id: AssetId,
    created: Timestamp,
    modified: Timestamp,
}

/// The newest changes that need a job, at most a few times as many as one run publishes.
struct Newest {
    most: usize,
    assets: Vec<Change>,
    dropped: u64,
}

impl Newest {
    fn new(most: u64) -> Self {
        Self { most: usize::try_from(most).unwrap_or(usize::MAX), assets: Vec::new(), dropped: 0 }
    }

    fn keep(&mut self, asset: &Asset) {
        let Asset { id, created, modified, .. } = asset;
        self.assets.push(Change { id: id.clone(), created: *created, modified: *modified });
        if self.assets.len() >= self.most.saturating_mul(4) {
            self.sort();
            self.dropped += self.assets.drain(self.most.saturating_mul(2)..).count() as u64;
        }
    }

    /// In turn the asset created last and the one modified last: a bulk change of older assets delays neither a new asset nor a new
    /// version.
    fn sort(&mut self) {
        self.assets.sort_by_key(|change| Reverse(change.modified));
        let mut modified = std::mem::take(&mut self.assets);
        let mut by_creation: Vec<_> = (0..modified.len()).collect();
        by_creation.sort_by_key(|place| Reverse(modified[*place].created));
        let turns = by_creation.into_iter().zip(0..).flat_map(|(created, changed)| [created, changed]);
        let mut order = vec![usize::MAX; modified.len()];
        turns.enumerate().for_each(|(turn, place)| order[place] = order[place].min(turn));
        let mut ranked: Vec<_> = order.into_iter().zip(modified.drain(..)).collect();
        ranked.sort_by_key(|(turn, _)| *turn);
        self.assets = ranked.into_iter().map(|(_, kept)| kept).collect();
    }
}

impl Run<'_> {
    /// How many jobs of the lane may wait for a worker, if this run publishes the newest first.
    pub(super) fn most_fresh(&self) -> Option<u64> {
        self.first.as_ref()?;
        self.options.most_fresh.filter(|_| self.options.scope.lane() == Lane::Fresh)
    }

    /// Publishes the newest changes while fewer than `most` jobs of the lane wait for a worker.
    pub(super) async fn publish_newest(
        &mut self,
        most: u64,
        observe: &impl Fn(&RunCounts),
    ) -> Result<(), RunError> {
        let mut newest = Newest::new(most);
        let is_short =
            |first: &Step| first.next.is_none() || first.total.is_some_and(|total| total <= MOST_CHANGES);
        if self.first.as_ref().is_some_and(is_short) {
            while let Some(step) = self.next_page().await? {
                self.keep_candidates(step, &mut newest).await?;
                observe(&self.found);
                if self.found.listed > 2 * MOST_CHANGES {
                    // The portal's count was wrong. The cursor stays.
                    newest.dropped += 1;
                    break;
                }
            }
        } else {
            self.read_newest(&mut newest).await?;
        }
        newest.sort();
        let mut room = 0;
        if !newest.assets.is_empty() {
            let depth = self.patiently(async || self.environment.queue.depth().await).await?;
            room = most.saturating_sub(depth.submit_fresh);
        }
        let mut ids: Vec<_> = newest.assets.into_iter().map(|change| change.id).collect();
        let chosen = ids.len().min(usize::try_from(room).unwrap_or(usize::MAX)).min(MOST_IDS);
        let mut postponed = newest.dropped + (ids.len() - chosen) as u64;
        ids.truncate(chosen);
        if !ids.is_empty() {
            postponed += self.publish_named(&ids).await?;
        }
        if postponed > 0 {
            tracing::info!(
                assets = postponed,
                "more has changed than is worked on within a minute; the newest go first, the rest follows with the next runs"
            );
        }
        for _ in 0..postponed {
            self.skip(SkipReason::Postponed);
        }
        observe(&self.found);
        Ok(())
    }

    /// Lists these assets again, and publishes their jobs; returns how many are not in the listing any more.
    async fn publish_named(&mut self, ids: &[AssetId]) -> Result<u64, RunError> {
        let query = self.environment.filter.push_down().of_ids(ids.to_vec());
        let listed = self.ask_for(query).await?;
        for asset in ids.iter().filter_map(|id| listed.get(&digits(id.as_str()))) {
            self.go_on()?;
            if self.consider(asset, Lane::Fresh, self.cause(asset)).await? == Fate::Limited {
                break;
            }
        }
        Ok((ids.len() - listed.len()) as u64)
    }

    /// Reads the newest pages of more changes than a run reads. Rows move between pages while people work, so some may be missed:
    /// the cursor stays.
    async fn read_newest(&mut self, newest: &mut Newest) -> Result<(), RunError> {
        self.first = None;
        newest.dropped += 1;
        let pages =
            (0..self.walk.requests()).flat_map(|request| (1..=MOST_PAGES).map(move |page| (request, page)));
        for (request, page) in pages {
            self.go_on()?;
            let step = self.patience.unless_over(self.walk.newest(request, page, self.patience)).await??;
            self.keep_candidates(step, newest).await?;
            if newest.assets.len() >= newest.most {
                break;
            }
        }
        Ok(())
    }

    async fn keep_candidates(&mut self, step: Step, newest: &mut Newest) -> Result<(), RunError> {
        self.saw(&step);
        let known = self.known_of(&step.assets).await?;
        for asset in step.assets {
            self.go_on()?;
            if self.taken_up.contains_key(&asset.id) {
                continue;
            }
            let (cause, known) = (self.cause(&asset), known.get(&asset.id).copied().unwrap_or_default());
            match self.row_decision(&asset, Lane::Fresh, cause, known) {
                Decision::Skip(reason) => drop(self.leave(&asset, reason, cause, known).await?),
                _ => newest.keep(&asset),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use common::asset::samples;
    use jiff::Timestamp;

    use super::*;

    fn changed(created: i64, modified: i64) -> Asset {
        let at = |second| Timestamp::from_second(second).unwrap();
        Asset { created: at(created), modified: at(modified), ..samples::asset() }
    }

    #[test]
    fn the_newest_are_kept_and_the_rest_is_counted() {
        const MOST: u64 = 50;
        let mut newest = Newest::new(MOST);
        let all = 9 * MOST as i64;
        for second in 0..all {
            newest.keep(&changed(0, second));
        }
        newest.sort();
        assert_eq!(newest.dropped + newest.assets.len() as u64, 9 * MOST);
        assert!((2 * MOST..4 * MOST).contains(&(newest.assets.len() as u64)));
        assert_eq!(newest.assets[0].modified.as_second(), all - 1);
    }

    #[test]
    fn a_bulk_change_of_older_assets_delays_neither_a_new_asset_nor_a_new_version() {
        let mut newest = Newest::new(50);
        let (asset, version) = (changed(1_000, 1_000), changed(3, 2_000));
        newest.keep(&asset);
        for number in 0..150 {
            newest.keep(&changed(number % 7, 1_001 + number));
        }
        newest.keep(&version);
        newest.sort();
        let times = |asset: &Asset| (asset.created, asset.modified);
        let first: Vec<_> =
            newest.assets.iter().take(2).map(|change| (change.created, change.modified)).collect();
        assert!(first.contains(&times(&asset)) && first.contains(&times(&version)), "{first:?}");
    }
}
