//! The listing requests of a filter, each made when it is sent: a million ids need ten thousand.

use bynder::ListQuery;
use common::asset::AssetId;

use super::Ids;

/// Ids in one listing request: 36 characters each, so that the URL stays below 4 KiB.
const MOST_IDS_A_REQUEST: usize = 100;

/// What the portal is asked for; several requests if one cannot carry all ids or collections.
#[derive(Debug, Clone, Default)]
pub struct Requests {
    /// What all requests have in common.
    pub(super) base: ListQuery,
    pub(super) ids: Ids,
    /// Listed one by one, unless there are ids.
    pub(super) collections: Vec<String>,
}

impl Requests {
    /// The request for these assets alone, under what all requests have in common: a portal may leave out archived assets, for
    /// example, unless they are asked for.
    pub fn of_ids(&self, ids: Vec<AssetId>) -> ListQuery {
        ListQuery { ids, ..self.base.clone() }
    }

    pub fn get(&self, index: usize) -> Option<ListQuery> {
        if !self.ids.is_empty() {
            let ids = self.ids.written().chunks(MOST_IDS_A_REQUEST).nth(index)?;
            return Some(ListQuery { ids: ids.to_vec(), ..self.base.clone() });
        }
        if self.collections.is_empty() {
            return (index == 0).then(|| self.base.clone());
        }
        let id = self.collections.get(index)?;
        Some(ListQuery { collection_ids: vec![id.clone()], ..self.base.clone() })
    }

    /// Whether two requests may list the same asset: it may be in several collections.
    pub fn may_overlap(&self) -> bool {
        self.ids.is_empty() && self.collections.len() > 1
    }

    pub fn iter(&self) -> impl Iterator<Item = ListQuery> {
        (0..).map_while(|index| self.get(index))
    }
}
