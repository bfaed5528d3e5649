//! A moment in a job's life, measured by how long the job had waited by then.

use serde::{Deserialize, Deserializer, Serialize};

/// A moment, as the milliseconds that the job had waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct WaitMark(pub(super) u64);

impl<'de> Deserialize<'de> for WaitMark {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// The release before wrote a time of day, which says nothing on another machine.
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Waited(u64),
            TimeOfDay(#[expect(dead_code, reason = "only its presence counts")] jiff::Timestamp),
        }
        Ok(Self(match Written::deserialize(deserializer)? {
            Written::Waited(waited) => waited,
            Written::TimeOfDay(_) => u64::MAX,
        }))
    }
}
