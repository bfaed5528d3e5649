//! Assets that were requested by id, and whether they appeared.

use std::collections::BTreeMap;

use common::asset::AssetId;

use crate::filter::{Filter, digits};

/// The maximum number of assets that a message names.
const MOST_TOLD: usize = 10;

/// Ids that have not appeared yet, as they were written, by their digits.
#[derive(Debug, Default)]
pub(super) struct RequestedIds(BTreeMap<String, String>);

impl RequestedIds {
    pub(super) fn of_filter(filter: &Filter) -> Self {
        let ids = filter.include.ids.written().iter().map(AssetId::as_str);
        Self(ids.map(|id| (digits(id), id.to_owned())).collect())
    }

    pub(super) fn saw(&mut self, id: &AssetId) {
        if !self.0.is_empty() {
            self.0.remove(&digits(id.as_str()));
        }
    }

    pub(super) fn log_missing(&self) {
        if self.0.is_empty() {
            return;
        }
        let some: Vec<_> = self.0.values().take(MOST_TOLD).map(String::as_str).collect();
        tracing::warn!(
            count = self.0.len(),
            ids = some.join(","),
            "assets that were named did not come: they are not in the library, another filter leaves them out, or the \
             token's user does not see them"
        );
    }
}
