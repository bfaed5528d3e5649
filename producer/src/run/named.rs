//! Assets that were requested by id, and whether they appeared.

use std::collections::HashSet;

use common::asset::AssetId;

use crate::filter::{IdKey, Ids};

/// The maximum number of assets that a message names.
const MOST_TOLD: usize = 10;

/// Requested ids that have not appeared yet.
#[derive(Debug, Default)]
pub(super) struct RequestedIds {
    all: Ids,
    missing: HashSet<IdKey>,
}

impl RequestedIds {
    pub(super) fn new(ids: &Ids) -> Self {
        Self { all: ids.clone(), missing: ids.keys().clone() }
    }

    pub(super) fn saw(&mut self, id: &AssetId) {
        if !self.missing.is_empty() {
            self.missing.remove(&IdKey::from(id));
        }
    }

    pub(super) fn log_missing(&self) {
        if self.missing.is_empty() {
            return;
        }
        let missing = self.all.written().iter().filter(|id| self.missing.contains(&IdKey::from(*id)));
        let some: Vec<_> = missing.take(MOST_TOLD).map(AssetId::as_str).collect();
        tracing::warn!(
            count = self.missing.len(),
            ids = some.join(","),
            "requested assets were not found: they are not in the library, another filter excludes them, or the token's \
             user does not see them"
        );
    }
}
