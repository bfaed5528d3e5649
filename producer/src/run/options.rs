//! What a run has to do.

use std::fmt;
use std::sync::Arc;

use common::asset::Asset;
use common::outcome::FailureClass;

use crate::filter::Filter;
use crate::scope::Scope;

/// What this run has to do.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The whole library, or what changed.
    pub scope: Scope,
    /// The maximum number of jobs to publish.
    pub max_assets: Option<u64>,
    /// Only count: no job, no checkpoint, no cursor.
    pub dry_run: bool,
    /// The filters apply to this run only, so it does not count as a run over everything.
    pub is_part: bool,
    /// Whether assets that the filters name by id are taken up although they failed before.
    pub retries_named: bool,
    /// Takes up what failed before, in one failure class or in any.
    pub retry_failed: Option<Option<FailureClass>>,
    /// Which assets a person requested.
    pub admission: Admission,
    /// At most this many jobs of the fresh lane may wait for a worker, and the rest is left to the next run; `None` waits for room,
    /// since there may be no next run.
    pub most_fresh: Option<u64>,
    /// Called for each asset that a dry run selects.
    pub planned: Option<Planned>,
    /// How many assets were requested in all, and how many of them are left.
    pub asked_for: Option<(u64, u64)>,
}

/// Receives each asset that a dry run selects, with the version that it would protect.
#[derive(Clone)]
pub struct Planned(Arc<EachAsset>);

type EachAsset = dyn Fn(&Asset, u32) + Send + Sync;

impl Planned {
    pub fn new(each: impl Fn(&Asset, u32) + Send + Sync + 'static) -> Self {
        Self(Arc::new(each))
    }

    pub(super) fn show(&self, asset: &Asset, base: u32) {
        (self.0)(asset, base);
    }
}

impl fmt::Debug for Planned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Planned")
    }
}

/// Which of the assets that pass the filters a person requested.
#[derive(Debug, Clone, Default)]
pub enum Admission {
    /// All of them.
    #[default]
    All,
    /// Those that also pass these filters, which applied when the request was made.
    Under(Box<Filter>),
    /// None: the filters that applied are not known.
    Nothing,
}

impl Admission {
    pub(super) fn admits(&self, asset: &Asset) -> bool {
        match self {
            Self::All => true,
            Self::Under(filter) => filter.check(asset).is_ok(),
            Self::Nothing => false,
        }
    }
}
