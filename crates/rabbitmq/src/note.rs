//! Notes on assets, as stored in a queue of leases.

use serde::{Deserialize, Serialize};

use common::asset::AssetId;
use queue::Lockout;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// Its writer recognises it by this id.
    pub(super) id: String,
    pub(super) asset: AssetId,
    #[serde(flatten)]
    pub(super) says: Says,
}

/// What a note records about its asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Says {
    /// The asset is leased. If the process dies, these remain.
    Leased(Vec<Lockout>),
    /// Jobs are kept from the asset until the note expires.
    #[serde(rename = "kept")]
    Lockout(Lockout),
}

impl Note {
    pub(super) fn new(asset: &AssetId, says: Says) -> Self {
        Self { id: uuid::Uuid::now_v7().simple().to_string(), asset: asset.clone(), says }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use common::job::JobId;

    #[test]
    fn what_is_written_is_read_as_it_was_and_without_fields_that_say_nothing() {
        let (id, asset) = ("n".to_owned(), "A-1".parse::<AssetId>().unwrap());
        let (all, own) = (
            Lockout::from_all(Duration::from_secs(2)),
            Lockout::for_job(Duration::from_secs(3), &JobId("j".to_owned())),
        );
        for (says, text) in [
            (Says::Lockout(own.clone()), r#"{"id":"n","asset":"A-1","kept":{"ms":3000,"job":"j"}}"#),
            (
                Says::Leased(vec![all, own]),
                r#"{"id":"n","asset":"A-1","leased":[{"ms":2000},{"ms":3000,"job":"j"}]}"#,
            ),
        ] {
            let note = Note { id: id.clone(), asset: asset.clone(), says };
            assert_eq!(serde_json::to_string(&note).unwrap(), text);
            assert_eq!(serde_json::from_str::<Note>(text).unwrap(), note);
        }
    }
}
