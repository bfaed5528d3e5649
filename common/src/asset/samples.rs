//! Sample assets, for the tests of other crates.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Asset, AssetDetail, AssetId, AssetType, FileVersion};

/// An image `A` of zero bytes, with everything else empty.
pub fn asset() -> Asset {
    Asset {
        id: AssetId("A".to_owned()),
        name: String::new(),
        file_name: None,
        kind: AssetType::Image,
        extensions: Vec::new(),
        bytes: 0,
        active_version: Some(1),
        created: Timestamp::UNIX_EPOCH,
        modified: Timestamp::UNIX_EPOCH,
        archived: false,
        public: false,
        limited: false,
        brand_id: None,
        orientation: None,
        tags: Vec::new(),
        properties: BTreeMap::new(),
        option_ids: Vec::new(),
    }
}

/// An asset with versions of these lengths, of which the given one is active.
pub fn detail(lengths: &[u64], active: u32) -> AssetDetail {
    let versions = (1..).zip(lengths).map(|(number, bytes)| FileVersion {
        number,
        active: Some(number == active),
        bytes: Some(*bytes),
        file_name: None,
        added: Some(Timestamp::UNIX_EPOCH),
    });
    AssetDetail { asset: Asset { active_version: Some(active), ..asset() }, versions: versions.collect() }
}
