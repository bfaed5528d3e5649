//! Everything that the record has of one asset.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use common::asset::AssetId;
use ledger::state::DatabaseError;
use ledger::{Act, Extent, Ledger, Line};

/// More lines of an asset are not shown.
const MOST_LINES: usize = 500;

/// Acts on one asset that are shown.
const MOST_ACTS: u64 = 50;

/// The history of an asset.
pub(super) struct History {
    /// Oldest first.
    pub(super) lines: Vec<Line>,
    /// Whether the record has more.
    pub(super) is_cut: bool,
    /// What people did to this asset's failed job alone, newest first.
    pub(super) acts: Vec<Act>,
}

impl History {
    /// `None` if the record has nothing of this asset.
    pub(super) async fn of(ledger: &Ledger, asset: &AssetId) -> Result<Option<Self>, DatabaseError> {
        let found = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&found);
        let take = move |line| {
            let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines.push(line);
            if lines.len() > MOST_LINES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        ledger.report(Extent::Asset(asset.clone()), take).await?;
        let mut lines = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
        let is_cut = lines.len() > MOST_LINES;
        lines.truncate(MOST_LINES);
        if lines.is_empty() {
            return Ok(None);
        }
        let acts = ledger.acts_on(asset, MOST_ACTS).await?;
        Ok(Some(Self { lines, is_cut, acts }))
    }

    /// The latest name of the asset; empty if only jobs without an outcome are known.
    pub(super) fn name(&self) -> &str {
        let named =
            self.lines.iter().rev().map(|line| line.asset_name.as_str()).find(|name| !name.is_empty());
        named.unwrap_or_default()
    }
}
